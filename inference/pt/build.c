/* The builder's tools: nodes, constants, attributes of modules. See build.h. */
#include "inference/pt/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "inference/ops/op.h"

int build_fail(struct build *b, enum status st, const struct pt_value *module, const char *format, ...)
{
    const struct slice class = pt_class_name(module);
    char text[40] = "", what[120];
    va_list ap;

    if (b->st != ST_OK)
        return GRAPH_NONE;
    for (size_t i = 0; i < class.n && i + 1 < sizeof text; i++)
        text[i] = class.p[i] > ' ' && class.p[i] < 127 ? class.p[i] : '?';
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    b->st = fault_set(b->fault, st, "model", "layer %d%s%s%s: %s", b->layer, class.n ? " (" : "", text,
                      class.n ? ")" : "", what);
    return GRAPH_NONE;
}

static int out_of_memory(struct build *b)
{
    if (b->st == ST_OK)
        b->st =
            fault_set(b->fault, ST_TOO_LARGE, "model",
                      "the network has too many nodes, or needs more memory than its file size allows");
    return GRAPH_NONE;
}

void feature_add(struct build *b, struct feature *to, int x)
{
    if (x == GRAPH_NONE)
        return;
    if (to->n >= LIMIT_PT_FEATURES)
        build_fail(b, ST_TOO_LARGE, NULL, "more than %d inputs", LIMIT_PT_FEATURES);
    else
        to->at[to->n++] = x;
}

/* Modules */

bool build_has(const struct pt_value *module, const char *name)
{
    return pt_is_module(pt_part(module, name));
}

int build_part(struct build *b, const struct pt_value *module, const char *name, int x)
{
    const struct pt_value *part = pt_part(module, name);

    if (!pt_is_module(part))
        return build_fail(b, ST_UNSUPPORTED, module, "its part %s is missing", name);
    return build_run(b, part, x);
}

const struct pt_value *build_child(const struct pt_value *list, size_t i)
{
    const struct pt_value *parts = pt_attribute(list, "_modules");

    for (size_t k = 1; parts && parts->kind == PT_DICT && k < parts->items.n; k += 2)
        if (pt_is_module(parts->items.at[k]) && i-- == 0)
            return parts->items.at[k];
    return NULL;
}

size_t build_children(const struct pt_value *list)
{
    size_t n = 0;

    while (build_child(list, n))
        n++;
    return n;
}

int64_t build_int(struct build *b, const struct pt_value *module, const char *name, int64_t low,
                  int64_t high)
{
    int64_t v = low;

    if (!pt_int(pt_attribute(module, name), &v) || v < low || v > high)
        build_fail(b, ST_UNSUPPORTED, module, "its attribute %s is missing or out of range", name);
    return v < low || v > high ? low : v;
}

bool build_flag(const struct pt_value *module, const char *name)
{
    const struct pt_value *v = pt_attribute(module, name);

    return v && ((v->kind == PT_BOOL && v->boolean) || (v->kind == PT_INT && v->integer));
}

double build_real(const struct pt_value *module, const char *name, double absent)
{
    const struct pt_value *v = pt_attribute(module, name);

    return v && v->kind == PT_FLOAT ? v->real : v && v->kind == PT_INT ? (double)v->integer : absent;
}

bool build_pair(const struct pt_value *v, int64_t low, int64_t high, int64_t absent, int64_t ret[2])
{
    ret[0] = ret[1] = absent;
    if (!v || v->kind == PT_NONE)
        return true;
    if (pt_int(v, &ret[0])) {
        ret[1] = ret[0];
    } else if ((v->kind != PT_TUPLE && v->kind != PT_LIST) || v->items.n != 2 ||
               !pt_int(v->items.at[0], &ret[0]) || !pt_int(v->items.at[1], &ret[1])) {
        return false;
    }
    return ret[0] >= low && ret[0] <= high && ret[1] >= low && ret[1] <= high;
}

/* Attributes */

struct attribute attribute_int(const char *name, int64_t i)
{
    return (struct attribute){ .name = name, .kind = ATTRIBUTE_INT, .i = i };
}

struct attribute attribute_float(const char *name, float f)
{
    return (struct attribute){ .name = name, .kind = ATTRIBUTE_FLOAT, .f = f };
}

struct attribute attribute_string(const char *name, const char *s)
{
    return (struct attribute){ .name = name, .kind = ATTRIBUTE_STRING, .s = s };
}

static void *copy(struct build *b, const void *p, size_t n, size_t size)
{
    void *q = arena_array(b->graph->arena, n + 1, size);

    if (!q)
        out_of_memory(b);
    else if (n)
        memcpy(q, p, n * size);
    return q;
}

struct attribute attribute_ints(struct build *b, const char *name, const int64_t v[], size_t n)
{
    return (struct attribute){
        .name = name, .kind = ATTRIBUTE_INTS, .n = n, .ints = copy(b, v, n, sizeof *v)
    };
}

struct attribute attribute_floats(struct build *b, const char *name, const float v[], size_t n)
{
    return (struct attribute){
        .name = name, .kind = ATTRIBUTE_FLOATS, .n = n, .floats = copy(b, v, n, sizeof *v)
    };
}

/* Nodes */

struct feature build_node_many(struct build *b, const char *type, const int in[], int nin,
                               const struct attribute attributes[], int nattributes, int nout)
{
    const struct value unknown = { 0 };
    struct feature y = { 0 };
    char name[32], tensor[48];
    int at;

    snprintf(name, sizeof name, "model.%d", b->layer);
    if (b->st != ST_OK)
        return y;
    if ((at = graph_add_node(b->graph, type, name, nin, nout, nattributes)) == GRAPH_NONE) {
        out_of_memory(b);
        return y;
    }
    b->graph->nodes[at].op = op_internal(type);
    if (nattributes)
        memcpy(b->graph->nodes[at].attributes, attributes, (size_t)nattributes * sizeof *attributes);
    memcpy(b->graph->nodes[at].inputs, in, (size_t)nin * sizeof *in);
    for (int i = 0; i < nout; i++) {
        int t; /* its number makes the name its own: a calibration knows tensors by their names */
        snprintf(tensor, sizeof tensor, "%s/%d", name, b->graph->ntensors);
        if ((t = graph_add_tensor(b->graph, tensor, &unknown)) == GRAPH_NONE) {
            out_of_memory(b);
            return (struct feature){ 0 };
        }
        b->graph->nodes[at].outputs[i] = t;
        feature_add(b, &y, t);
    }
    return y;
}

int build_node(struct build *b, const char *type, const int in[], int nin,
               const struct attribute attributes[], int nattributes)
{
    const struct feature y = build_node_many(b, type, in, nin, attributes, nattributes, 1);

    return y.n ? y.at[0] : GRAPH_NONE;
}

int build_unary(struct build *b, const char *type, int x)
{
    return build_node(b, type, &x, 1, NULL, 0);
}

int build_binary(struct build *b, const char *type, int x, int y)
{
    return build_node(b, type, (int[]){ x, y }, 2, NULL, 0);
}

int build_concat(struct build *b, const struct feature *x, int axis)
{
    const struct attribute a = attribute_int("axis", axis);

    return x->n == 1 ? x->at[0] : build_node(b, "Concat", x->at, x->n, &a, 1);
}

struct feature build_halves(struct build *b, int x)
{
    const struct attribute a[] = { attribute_int("axis", 1), attribute_int("num_outputs", 2) };
    struct feature y = build_node_many(b, "Split", &x, 1, a, 2, 2);

    if (y.n != 2) /* failed: blocks may use both all the same */
        y.at[0] = y.at[1] = GRAPH_NONE;
    return y;
}

int build_reshape(struct build *b, int x, const int64_t dims[], size_t n)
{
    return build_binary(b, "Reshape", x, build_constant_ints(b, dims, n));
}

int build_reshape_like(struct build *b, int x, int like)
{
    return build_binary(b, "Reshape", x, build_unary(b, "Shape", like));
}

/* Constants */

int build_constant(struct build *b, const char *name, const struct value *v)
{
    int t;

    if (b->st != ST_OK)
        return GRAPH_NONE;
    t = graph_add_tensor(b->graph, name, v);
    return t == GRAPH_NONE ? out_of_memory(b) : t;
}

int build_constant_ints(struct build *b, const int64_t v[], size_t n)
{
    const struct value x = {
        .type = DTYPE_I64, .rank = 1, .dims = { (int64_t)n }, .data = copy(b, v, n, sizeof *v)
    };

    return build_constant(b, "ints", &x);
}

int build_constant_float(struct build *b, float f)
{
    const struct value x = { .type = DTYPE_F32, .data = copy(b, &f, 1, sizeof f) };

    return build_constant(b, "number", &x);
}
