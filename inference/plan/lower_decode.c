/* YoloDecode on blocked maps. Other numbers of bins, and CPUs without AVX-512, run by the reference. */
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

/* in: the maps, then how many classes and extras they hold, which blocks do not tell. */
static void run(const struct call *c)
{
    const int64_t *counts = value_i64(c->in[c->nin - 1]);
    const float *strides = node_attribute(c->node, "strides")->floats;
    const int maps = maps_of_level(c->node);
    struct decode d = {
        .nlevels = (c->nin - 1) / maps,
        .bins = c->in[0]->dims[1] == 4 ? 16 : 1,
        .boxes = (enum decode_boxes)word_index(node_string(c->node, "boxes", "centre"), boxes_words),
        .extra = (enum decode_extra)word_index(node_string(c->node, "extra", "none"), extra_words),
        .classes = (size_t)counts[0],
        .extras = (size_t)counts[1],
        .dims = (size_t)node_int(c->node, "dims", 2),
        .anchors = (size_t)c->out[0]->dims[2],
        .rows = value_f32(c->out[0])
    };

    for (int i = 0; i < d.nlevels; i++)
        d.levels[i] = (struct decode_level){ .boxes = value_f32(c->in[maps * i]),
                                             .scores = value_f32(c->in[maps * i + 1]),
                                             .extras = maps > 2 ? value_f32(c->in[maps * i + 2]) : NULL,
                                             .plane = value_span(c->in[maps * i], 2, 4),
                                             .width = (size_t)c->in[maps * i]->dims[3],
                                             .stride = strides[i] };
    decode_run(&d, team_size());
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

void lower_yolo_decode(struct lowering *l, const struct node *n)
{
    int slots[3 * DECODE_LEVELS + 2], counts;

    if (l->block != 16 || !is_common_head(l, n) || (counts = slot_of_counts(l, n)) == GRAPH_NONE) {
        lower_reference(l, n);
        return;
    }
    for (int i = 0; i < n->ninputs; i++)
        slots[i] = lower_blocked(l, n->inputs[i]);
    slots[n->ninputs] = counts;
    slots[n->ninputs + 1] = lower_plain_output(l, n->outputs[0]);
    lower_native(l, n, run, n->ninputs + 1, 1, slots);
}
