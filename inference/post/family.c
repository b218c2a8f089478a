/* The table of families, recognition, and what several of them use. See head.h. */
#include "inference/post/family.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inference/graph/late.h"

/* Those that need the most to be true come first. */
static const struct family *const families[] = {
    &family_yolo_classify, &family_yunet,      &family_ultraface,       &family_ssd,
    &family_nanodet,       &family_fastestdet, &family_dbnet,           &family_yolox,
    &family_nanodet_plus,  &family_kept_rows,  &family_rtdetr_parts,    &family_kept_parts,
    &family_rows,          &family_rtdetr,     &family_yolov6,          &family_yolov5,
    &family_yolov8,        &family_classifier, &family_yolov5_classify,
};

enum { NFAMILIES = sizeof families / sizeof families[0] };

const char *family_name(size_t i)
{
    return i < NFAMILIES ? families[i]->name : NULL;
}

const char *head_name(const struct head *h)
{
    return h->family ? h->family->name : "raw";
}

/* ---- recognition ---- */

static bool fits(const struct family *family, const struct head_facts *f, struct head *ret)
{
    struct head h = { .input_height = f->input_height, .input_width = f->input_width };

    if (!family->recognise(f, &h) || h.n == 0 || h.n > LIMIT_HEAD_ROWS ||
        h.nclasses > LIMIT_MODEL_CLASSES || h.nkeypoints > LIMIT_KEYPOINTS ||
        h.nmasks > LIMIT_MASK_COEFFICIENTS)
        return false;
    h.family = family;
    for (size_t i = 0; i < f->noutputs; i++)
        if (f->outputs[i].late)
            h.late[h.nlate++] = (struct late_output){ (int)i, f->outputs[i].v };
    *ret = h;
    return true;
}

/* What the outputs look like, for a sentence. */
static void describe(const struct head_facts *f, char *text, size_t size)
{
    char shape[64];
    size_t n = 0;

    for (size_t i = 0; i < f->noutputs && i < 3 && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "",
                              value_shape_text(&f->outputs[i].v, shape, sizeof shape));
    if (f->noutputs > 3 && n < size)
        snprintf(text + n, size - n, " ...");
}

bool head_recognise(const struct head_facts *f, const char *family, struct head *ret, char *why,
                    size_t size)
{
    char shapes[96] = "none";

    *ret = (struct head){ .input_height = f->input_height, .input_width = f->input_width };
    for (size_t i = 0; i < NFAMILIES; i++)
        if ((family ? strcmp(family, families[i]->name) == 0 : !families[i]->declared_only) &&
            fits(families[i], f, ret))
            return true;
    describe(f, shapes, sizeof shapes);
    if (family)
        snprintf(why, size, "its outputs (%s) are not those of %.24s", shapes, family);
    else if (f->nclasses)
        snprintf(why, size, "its outputs (%s) are not those of a known %s model with %zu class names",
                 shapes, f->task_known ? model_task_name(f->task) : "detection", f->nclasses);
    else
        snprintf(why, size, "its outputs (%s) are not those of a model family known here", shapes);
    return false;
}

/* ---- facts of the graph ---- */

static bool is_shapeless(const char *type)
{
    static const char *const moves[] = { "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze",
                                         "Concat",  "Identity",  "Cast",    "Split" };

    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        if (strcmp(type, moves[i]) == 0)
            return true;
    return false;
}

/* Walks up from an output past nodes that only move numbers; of several inputs the first. */
static const char *made_by(const struct graph *g, int tensor)
{
    for (int steps = 0; steps < g->nnodes; steps++) {
        const int producer = g->tensors[tensor].producer;
        const struct node *n = producer == GRAPH_NONE ? NULL : &g->nodes[producer];
        if (!n)
            return "";
        if (!is_shapeless(n->type) || n->ninputs == 0 || n->inputs[0] == GRAPH_NONE)
            return n->type;
        tensor = n->inputs[0];
    }
    return "";
}

static bool reads_input(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->ninputs; i++)
        if (g->ninputs && n->inputs[i] == g->inputs[0])
            return true;
    return false;
}

/* Past nodes that only rename or fold dimensions. */
static const struct node *maker(const struct graph *g, int tensor)
{
    static const char *const moves[] = { "Identity", "Unsqueeze", "Squeeze", "Reshape" };

    for (int steps = 0; steps < g->nnodes; steps++) {
        const int producer = g->tensors[tensor].producer;
        const struct node *n = producer == GRAPH_NONE ? NULL : &g->nodes[producer];
        bool passes = false;
        for (size_t i = 0; n && i < sizeof moves / sizeof moves[0]; i++)
            passes |= strcmp(n->type, moves[i]) == 0;
        if (!passes || n->ninputs == 0 || n->inputs[0] == GRAPH_NONE)
            return n;
        tensor = n->inputs[0];
    }
    return NULL;
}

/* Columns of a Concat along the last dim whose part was cast from integers. */
static uint32_t integer_columns(const struct graph *g, int output)
{
    const struct node *n = maker(g, output), *part;
    const struct value *v = &g->tensors[output].v;
    uint32_t columns = 0;
    int64_t at = 0, axis = n ? node_int(n, "axis", 0) : 0;

    if (!n || strcmp(n->type, "Concat") != 0 || v->rank == 0 || (axis != -1 && axis != v->rank - 1))
        return 0;
    for (int i = 0; i < n->ninputs && n->inputs[i] != GRAPH_NONE; i++) {
        const struct value *p = &g->tensors[n->inputs[i]].v;
        if (p->rank != v->rank)
            return 0;
        part = maker(g, n->inputs[i]);
        for (int64_t k = 0; part && k < p->dims[p->rank - 1] && at + k < 32; k++)
            if (strcmp(part->type, "Cast") == 0 && part->inputs[0] != GRAPH_NONE &&
                g->tensors[part->inputs[0]].v.type == DTYPE_I64)
                columns |= (uint32_t)1 << (at + k);
        at += p->dims[p->rank - 1];
    }
    return columns;
}

/* Marks late outputs; without memory none is. */
static void read_late(const struct graph *g, struct head_facts *ret)
{
    bool *late = calloc((size_t)g->ntensors + 1, sizeof *late);

    for (int i = 0; late && i < g->nnodes; i++)
        if (!g->nodes[i].dead)
            (void)late_mark(&g->nodes[i], late);
    for (size_t i = 0; late && i < ret->noutputs; i++)
        ret->outputs[i].late = late[g->outputs[i]];
    free(late);
}

void head_read_graph(const struct graph *g, struct head_facts *ret)
{
    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        ret->exponential = ret->exponential || strcmp(n->type, "Exp") == 0;
        ret->focus = ret->focus || (strcmp(n->type, "Slice") == 0 && reads_input(g, n));
    }
    ret->noutputs = (size_t)g->noutputs < HEAD_OUTPUTS ? (size_t)g->noutputs : HEAD_OUTPUTS;
    for (size_t i = 0; i < ret->noutputs; i++)
        ret->outputs[i] = (struct output_fact){ .v = g->tensors[g->outputs[i]].v,
                                                .made_by = made_by(g, g->outputs[i]),
                                                .name = g->tensors[g->outputs[i]].name,
                                                .integers = integer_columns(g, g->outputs[i]) };
    read_late(g, ret);
}

/* ---- for families ---- */

bool fact_is(const struct head_facts *f, size_t i, int rank)
{
    const struct value *v = &f->outputs[i].v;

    if (i >= f->noutputs || v->type != DTYPE_F32 || v->rank != rank || v->dims[0] != 1)
        return false;
    for (int k = 0; k < rank; k++)
        if (v->dims[k] < 1)
            return false;
    return true;
}

size_t head_grid(struct head *h, const int strides[], int n)
{
    size_t cells = 0;

    h->nlevels = n;
    for (int i = 0; i < n; i++) {
        struct level *l = &h->levels[i];
        l->stride = strides[i];
        l->width = (h->input_width + strides[i] - 1) / strides[i];
        l->height = (h->input_height + strides[i] - 1) / strides[i];
        cells += (size_t)l->width * (size_t)l->height;
    }
    return cells;
}

bool head_cell(const struct head *h, size_t i, int *level, int *x, int *y)
{
    for (int k = 0; k < h->nlevels; k++) {
        const size_t width = (size_t)h->levels[k].width, cells = width * (size_t)h->levels[k].height;
        if (i < cells) {
            *level = k;
            *x = (int)(i % width);
            *y = (int)(i / width);
            return true;
        }
        i -= cells;
    }
    return false;
}

float squash(float logit)
{
    return 1 / (1 + expf(-logit));
}

float unsquash(float p)
{
    return logf(p / (1 - p));
}

static float unit(float x)
{
    return x > 0 ? fminf(x, 1) : 0;
}

static void table_keypoints(const struct head *h, const float *table, const struct candidate *c,
                            struct keypoint ret[])
{
    for (size_t k = 0; k < h->nkeypoints; k++) {
        const size_t at = h->extra_at + k * h->keypoint_dims;
        ret[k].x = head_element(h, table, c->row, at);
        ret[k].y = head_element(h, table, c->row, at + 1);
        ret[k].visibility = h->keypoint_dims > 2 ? unit(head_element(h, table, c->row, at + 2)) : 1;
    }
}

void head_keypoints(const struct head *h, const struct value out[], const struct candidate *c,
                    struct keypoint ret[])
{
    if (h->family->keypoints)
        h->family->keypoints(h, out, c, ret);
    else
        table_keypoints(h, out[0].data, c, ret);
}
