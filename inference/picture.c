/* See picture.h. */
#include "inference/picture.h"

#include <stdio.h>
#include <string.h>

enum { ONNX_UINT8 = 2 /* as attribute "to" of Cast */ };

static bool is_planes(int64_t dim)
{
    return dim == 3 || dim == 1;
}

/* int64 [1, 2], by the names that RT-DETR and its descendants use. */
static bool asks_for_size(const struct graph *g, int input)
{
    const struct tensor *t = &g->tensors[input];

    return t->v.type == DTYPE_I64 && t->v.rank == 2 && t->v.dims[0] <= 1 && t->v.dims[1] == 2 &&
           (strcmp(t->name, "orig_target_sizes") == 0 || strcmp(t->name, "orig_size") == 0);
}

/* Planes first unless the shape can only mean the other. */
static bool has_planes_last(const struct value *v)
{
    return !is_planes(v->dims[1]) && is_planes(v->dims[3]);
}

bool picture_layout_read(const struct graph *g, struct picture_layout *ret, char *why, size_t size)
{
    const bool sized = g->ninputs == 2 && asks_for_size(g, g->inputs[1]);
    const struct value *v = g->ninputs == 1 || sized ? &g->tensors[g->inputs[0]].v : NULL;
    char shape[64];
    int at;

    if (!v) {
        snprintf(why, size, "it has %d inputs, and a picture is one", g->ninputs);
        return false;
    }
    at = v->rank == 4 && has_planes_last(v) ? 3 : 1;
    if ((v->type != DTYPE_F32 && v->type != DTYPE_U8) || v->rank != 4 || v->dims[0] > 1 ||
        (!is_planes(v->dims[at]) && v->dims[at] != -1)) {
        snprintf(why, size, "its input (%s %s) is not one picture of three planes or one",
                 dtype_name(v->type), value_shape_text(v, shape, sizeof shape));
        return false;
    }
    *ret = (struct picture_layout){ .planes = v->dims[at] == 1 ? 1 : 3,
                                    .height = v->dims[at == 3 ? 1 : 2],
                                    .width = v->dims[at == 3 ? 2 : 3],
                                    .last = at == 3,
                                    .bytes = v->type == DTYPE_U8,
                                    .sized = sized };
    return true;
}

static void set_size(struct value *v, const struct picture_layout *l, int height, int width)
{
    const int64_t first[4] = { 1, l->planes, height, width }, last[4] = { 1, height, width, l->planes };

    for (int i = 0; i < 4; i++)
        if (v->dims[i] == -1)
            v->dims[i] = l->last ? last[i] : first[i];
}

/* The second input becomes a constant. */
static bool answer_size(struct graph *g, int height, int width)
{
    struct value *v = &g->tensors[g->inputs[1]].v;
    int64_t *size = arena_array(g->arena, 2, sizeof *size);

    if (!size)
        return false;
    size[0] = width;
    size[1] = height;
    v->dims[0] = 1;
    v->data = size;
    g->ninputs = 1;
    return true;
}

/* A node from one tensor to another with one attribute; false: out of memory. */
static bool add_node(struct graph *g, const char *type, int from, int to, const struct attribute *a)
{
    const int i = graph_add_node(g, type, "picture", 1, 1, 1);

    if (i == GRAPH_NONE)
        return false;
    g->nodes[i].inputs[0] = from;
    g->nodes[i].outputs[0] = to;
    g->nodes[i].attributes[0] = *a;
    return true;
}

/* Transpose nodes of `turned` back to planes read `planes` as it is. */
static void pass_by(struct graph *g, int turned, int planes)
{
    static const int64_t back[4] = { 0, 3, 1, 2 };

    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        const struct attribute *perm =
            strcmp(n->type, "Transpose") == 0 ? node_attribute(n, "perm") : NULL;

        if (perm && perm->n == 4 && n->inputs[0] == turned &&
            memcmp(perm->ints, back, sizeof back) == 0) {
            n->type = "Identity";
            n->nattributes = 0;
            n->inputs[0] = planes;
        }
    }
}

/* The numbers of planes are whole already (letterbox.h), so that casting them loses nothing. */
static bool put_in_front(struct graph *g, const struct picture_layout *l, int height, int width)
{
    static const int64_t turn[4] = { 0, 2, 3, 1 };
    const struct attribute perm = { .name = "perm", .kind = ATTRIBUTE_INTS, .n = 4, .ints = turn };
    const struct attribute to = { .name = "to", .kind = ATTRIBUTE_INT, .i = ONNX_UINT8 };
    const struct value v = { .type = DTYPE_F32, .rank = 4, .dims = { 1, l->planes, height, width } };
    const struct value unknown = { 0 };
    const int old = g->inputs[0], planes = graph_add_tensor(g, "picture", &v);
    int bytes = l->bytes ? old : planes;

    if (planes == GRAPH_NONE)
        return false;
    if (l->bytes && l->last && (bytes = graph_add_tensor(g, "picture in bytes", &unknown)) == GRAPH_NONE)
        return false;
    if (l->last)
        pass_by(g, old, bytes);
    g->inputs[0] = planes;
    return (!l->bytes || add_node(g, "Cast", planes, bytes, &to)) &&
           (!l->last || add_node(g, "Transpose", bytes, old, &perm));
}

enum status picture_bind(struct graph *g, const struct picture_layout *l, int height, int width,
                         struct fault *f)
{
    set_size(&g->tensors[g->inputs[0]].v, l, height, width);
    if (l->sized && !answer_size(g, height, width))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (!l->last && !l->bytes)
        return ST_OK;
    if (!put_in_front(g, l, height, width))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (int i = 0; i < g->ntensors; i++)
        g->tensors[i].producer = GRAPH_NONE;
    return graph_verify(g, f); /* which also puts the new nodes first */
}
