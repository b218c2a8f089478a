/*
 * YoloDecode on blocked maps, also together with the YoloRows that picks from what it gives. Other
 * numbers of bins, and CPUs without AVX-512, run by the references.
 */
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/kernels/decode.h"
#include "inference/kernels/team.h"
#include "inference/plan/lower.h"

static const char *const boxes_words[] = { "centre", "corners", "rotated", NULL };
static const char *const extra_words[] = { "none",   "raw",           "angle", "plain-angle",
                                           "points", "offset-points", NULL };

/* The operator has checked that it is one of them. */
static int word_index(const char *word, const char *const words[])
{
    int i = 0;

    while (words[i + 1] && strcmp(word, words[i]) != 0)
        i++;
    return i;
}

static int maps_of_level(const struct node *n)
{
    return strcmp(node_string(n, "extra", "none"), "none") == 0 ? 2 : 3;
}

static bool is_common_head(const struct lowering *l, const struct node *n)
{
    const struct value *first = lower_value(l, n->inputs[0]);
    bool ok = cpu_isa() >= CPU_AVX512 && n->ninputs <= maps_of_level(n) * DECODE_LEVELS &&
              first->dims[0] == 1 && (first->dims[1] == 64 || first->dims[1] == 4);

    for (int i = 0; ok && i < n->ninputs; i++)
        ok = lower_can_block(l, n->inputs[i]);
    return ok;
}

/* The n maps of a call and, behind them, how many classes and extras they hold: blocks do not tell. */
static struct decode read_maps(const struct call *c, int n)
{
    const int64_t *counts = value_i64(c->in[n]);
    const float *strides = node_attribute(c->node, "strides")->floats;
    const int maps = maps_of_level(c->node);
    struct decode d = {
        .nlevels = n / maps,
        .bins = c->in[0]->dims[1] == 4 ? 16 : 1,
        .boxes = (enum decode_boxes)word_index(node_string(c->node, "boxes", "centre"), boxes_words),
        .extra = (enum decode_extra)word_index(node_string(c->node, "extra", "none"), extra_words),
        .classes = (size_t)counts[0],
        .extras = (size_t)counts[1],
        .dims = (size_t)node_int(c->node, "dims", 2)
    };

    for (int i = 0; i < d.nlevels; i++) {
        d.levels[i] = (struct decode_level){ .boxes = value_f32(c->in[maps * i]),
                                             .scores = value_f32(c->in[maps * i + 1]),
                                             .extras = maps > 2 ? value_f32(c->in[maps * i + 2]) : NULL,
                                             .plane = value_span(c->in[maps * i], 2, 4),
                                             .width = (size_t)c->in[maps * i]->dims[3],
                                             .stride = strides[i] };
        d.anchors += d.levels[i].plane;
    }
    return d;
}

static void run(const struct call *c)
{
    struct decode d = read_maps(c, c->nin - 1);

    d.rows = value_f32(c->out[0]);
    decode_run(&d, team_size());
}

/* out: the rows, then room for scores and for numbers of anchors. */
static void run_best(const struct call *c)
{
    const struct decode d = read_maps(c, c->nin - 1);
    const size_t k = (size_t)c->out[0]->dims[1];
    float *best = value_f32(c->out[1]);
    int64_t *anchors = value_i64(c->out[2]);

    decode_best(&d, &(const struct decode_room){ best, best + d.anchors, anchors, anchors + k }, k,
                value_f32(c->out[0]), team_size());
}

static int slot_of_counts(struct lowering *l, const struct node *n)
{
    const int64_t classes = lower_value(l, n->inputs[1])->dims[1];
    struct value v = { .type = DTYPE_I64, .rank = 1, .dims = { 2 } };
    int64_t *counts = arena_array(l->graph->arena, 2, sizeof *counts);

    if (!counts)
        return GRAPH_NONE;
    counts[0] = classes;
    counts[1] = lower_value(l, n->outputs[0])->dims[1] - 4 - classes;
    v.data = counts;
    return lower_slot(l, &v);
}

/* Slots of the maps and the counts; how many, or 0 when memory is short. */
static int add_maps(struct lowering *l, const struct node *n, int slots[])
{
    const int counts = slot_of_counts(l, n);

    for (int i = 0; i < n->ninputs; i++)
        slots[i] = lower_blocked(l, n->inputs[i]);
    slots[n->ninputs] = counts;
    return counts == GRAPH_NONE ? 0 : n->ninputs + 1;
}

/* The YoloRows that alone reads what decoder n gives, and can take the maps in its place, or NULL. */
static const struct node *only_rows(const struct lowering *l, const struct node *n)
{
    const int t = n->outputs[0];
    const struct node *found = NULL;
    int readers = 0;

    for (int i = 0; i < l->graph->noutputs; i++)
        readers += l->graph->outputs[i] == t;
    for (int i = 0; i < l->graph->nnodes; i++)
        for (int k = 0; !l->graph->nodes[i].dead && k < l->graph->nodes[i].ninputs; k++)
            if (l->graph->nodes[i].inputs[k] == t) {
                found = &l->graph->nodes[i];
                readers++;
            }
    return readers == 1 && found && strcmp(found->type, "YoloRows") == 0 &&
                   node_int(found, "nclasses", 0) == lower_value(l, n->inputs[1])->dims[1]
               ? found
               : NULL;
}

void lower_yolo_decode(struct lowering *l, const struct node *n)
{
    int slots[3 * DECODE_LEVELS + 2], nin;

    if (l->block != 16 || !is_common_head(l, n)) {
        lower_reference(l, n);
        return;
    }
    if (only_rows(l, n)) /* that one decodes */
        return;
    if ((nin = add_maps(l, n, slots)) == 0) {
        lower_reference(l, n);
        return;
    }
    slots[nin] = lower_plain_output(l, n->outputs[0]);
    lower_native(l, n, run, nin, 1, slots);
}

/* A node that decodes maps and finds the best rows of them carries the decoder's attributes. */
void lower_yolo_rows(struct lowering *l, const struct node *n)
{
    const int producer = l->graph->tensors[n->inputs[0]].producer;
    const struct node *d = producer == GRAPH_NONE ? NULL : &l->graph->nodes[producer];
    struct value room = { .type = DTYPE_F32, .rank = 1 }, numbers = { .type = DTYPE_I64, .rank = 1 };
    int slots[3 * DECODE_LEVELS + 4], nin;

    if (l->block != 16 || !d || strcmp(d->type, "YoloDecode") != 0 || !is_common_head(l, d) ||
        only_rows(l, d) != n) {
        lower_reference(l, n);
        return;
    }
    if ((nin = add_maps(l, d, slots)) == 0)
        return; /* the arena says so */
    const int64_t rows = lower_value(l, n->outputs[0])->dims[1];
    room.dims[0] = lower_value(l, n->inputs[0])->dims[2] + rows * node_int(n, "nclasses", 0);
    numbers.dims[0] = 2 * rows;
    slots[nin] = lower_plain_output(l, n->outputs[0]);
    slots[nin + 1] = lower_slot(l, &room);
    slots[nin + 2] = lower_slot(l, &numbers);
    lower_native(l, d, run_best, nin, 3, slots);
}
