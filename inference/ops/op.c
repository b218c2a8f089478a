/*
 * What the operators' files share: refusals, axes, lists that moved from attribute to input.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "inference/ops/op.h"

__attribute__((format(printf, 4, 0))) static enum status
refuse(enum status st, const struct call *c, struct fault *f, const char *format, va_list ap)
{
    char what[128], type[32], name[64];

    vsnprintf(what, sizeof what, format, ap);
    text_printable(c->node->type, type, sizeof type);
    text_printable(c->node->name, name, sizeof name);
    return fault_set(f, st, "model", "%s \"%s\": %s", type, name, what);
}

enum status op_refuse(const struct call *c, struct fault *f, const char *format, ...)
{
    va_list ap;
    enum status st;

    va_start(ap, format);
    st = refuse(ST_INVALID, c, f, format, ap);
    va_end(ap);
    return st;
}

enum status op_unsupported(const struct call *c, struct fault *f, const char *format, ...)
{
    va_list ap;
    enum status st;

    va_start(ap, format);
    st = refuse(ST_UNSUPPORTED, c, f, format, ap);
    va_end(ap);
    return st;
}

void call_set_shape(const struct call *c, int i, enum dtype type, int rank, const int64_t dims[])
{
    struct value *v = call_out(c, i);

    if (!v)
        return;
    v->type = type;
    v->rank = rank;
    if (rank > 0)
        memmove(v->dims, dims, (size_t)rank * sizeof dims[0]);
}

void call_set_like(const struct call *c, int i, const struct value *like)
{
    call_set_shape(c, i, like->type, like->rank, like->dims);
}

enum status call_axis(const struct call *c, int64_t axis, int rank, int *ret, struct fault *f)
{
    if (axis < -rank || axis >= rank)
        return op_refuse(c, f, "axis %lld is outside a tensor of rank %d", (long long)axis, rank);
    *ret = (int)(axis < 0 ? axis + rank : axis);
    return ST_OK;
}

enum status call_list(const struct call *c, const char *attribute, int input, struct int_list *ret,
                      struct fault *f)
{
    const struct attribute *a = attribute ? node_attribute(c->node, attribute) : NULL;
    const struct value *v = input >= 0 ? call_in(c, input) : NULL;
    const size_t most = sizeof ret->v / sizeof ret->v[0];
    size_t n;

    ret->n = -1;
    if (v && (v->type == DTYPE_F32 || v->rank > 1))
        return op_refuse(c, f, "input %d must be a list of integers", input + 1);
    if (v && !v->data)
        return op_unsupported(c, f, "input %d (%s) depends on the picture", input + 1,
                              attribute ? attribute : "a list");
    n = v ? value_elements(v) : a ? a->n : 0;
    if (n > most)
        return op_refuse(c, f, "a list of %zu entries is too long", n);
    call_list_checked(c, attribute, input, ret);
    return ST_OK;
}

void call_list_checked(const struct call *c, const char *attribute, int input, struct int_list *ret)
{
    const struct attribute *a = attribute ? node_attribute(c->node, attribute) : NULL;
    const struct value *v = input >= 0 ? call_in(c, input) : NULL;

    ret->n = -1;
    if (v) {
        ret->n = (int)value_elements(v);
        for (int i = 0; i < ret->n; i++)
            ret->v[i] = value_get_i64(v, (size_t)i);
    } else if (a) {
        ret->n = (int)a->n;
        if (a->n)
            memcpy(ret->v, a->ints, a->n * sizeof ret->v[0]);
    }
}
