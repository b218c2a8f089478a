/*
 * Einsum of one or two operands (ONNX, opset 12): "bij,bjk->bik". Each letter is an index; letters that
 * the output lacks are summed. Without "->" the output has, in alphabetical order, the letters that
 * appear once. Not supported: "..." and more than eight letters.
 */
#include <ctype.h>
#include <string.h>
#include "inference/ops/op.h"

enum { LETTERS_MAX = LIMIT_TENSOR_RANK, NO_LETTER = -1 };

struct einsum {
    int noperands, nkept, nletters; /* letters: the output's first, then the summed ones */
    char letters[LETTERS_MAX + 1];
    int64_t dims[LETTERS_MAX];
    int64_t strides[2][LETTERS_MAX]; /* of the operands, by letter */
    bool known[LETTERS_MAX];
};

static int letter_index(const struct einsum *e, char letter)
{
    for (int i = 0; i < e->nletters; i++)
        if (e->letters[i] == letter)
            return i;
    return NO_LETTER;
}

static bool add_letter(struct einsum *e, char letter)
{
    if (letter_index(e, letter) != NO_LETTER)
        return true;
    if (e->nletters == LETTERS_MAX)
        return false;
    e->letters[e->nletters++] = letter;
    return true;
}

/* The output's letters: those behind the arrow, else those that appear once. */
static bool read_output(struct einsum *e, const char *text, const char *arrow)
{
    if (arrow)
        for (const char *s = arrow + 2; *s; s++) {
            if (*s == ' ')
                continue;
            if (!isalpha((unsigned char)*s) || letter_index(e, *s) != NO_LETTER || !add_letter(e, *s))
                return false;
        }
    for (int letter = 'A'; !arrow && letter <= 'z'; letter++) {
        const char *first = isalpha(letter) ? strchr(text, letter) : NULL;
        if (first && !strchr(first + 1, letter) && !add_letter(e, (char)letter))
            return false;
    }
    e->nkept = e->nletters;
    return true;
}

/* One operand's letters against its dims. */
static bool read_operand(struct einsum *e, const char *text, size_t n, const struct value *v)
{
    int64_t stride = (int64_t)value_elements(v);
    int at = 0;

    for (size_t i = 0; i < n; i++) {
        int k;
        if (text[i] == ' ')
            continue;
        if (!isalpha((unsigned char)text[i]) || at >= v->rank || !add_letter(e, text[i]))
            return false;
        k = letter_index(e, text[i]);
        if (e->known[k] && e->dims[k] != v->dims[at])
            return false;
        e->known[k] = true;
        e->dims[k] = v->dims[at];
        stride = v->dims[at] ? stride / v->dims[at] : 0;
        e->strides[e->noperands][k] += stride; /* a letter twice: the diagonal */
        at++;
    }
    e->noperands++;
    return at == v->rank;
}

static bool einsum_read(const struct call *c, struct einsum *ret)
{
    const char *text = node_string(c->node, "equation", ""), *arrow = strstr(text, "->");
    const size_t length = arrow ? (size_t)(arrow - text) : strlen(text);
    struct einsum e = { 0 };
    size_t at = 0;

    if (!read_output(&e, text, arrow))
        return false;
    for (int i = 0; i < c->nin; i++) {
        const char *comma = memchr(text + at, ',', length - at);
        const size_t n = comma ? (size_t)(comma - text) - at : length - at;
        if (!comma != (i == c->nin - 1) || !read_operand(&e, text + at, n, c->in[i]))
            return false;
        at += n + (comma != NULL);
    }
    for (int i = 0; i < e.nletters; i++)
        if (!e.known[i])
            return false;
    *ret = e;
    return true;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct einsum e;

    for (int i = 0; i < c->nin; i++)
        if (!c->in[i] || c->in[i]->type != DTYPE_F32)
            return op_unsupported(c, f, "only float32 is supported");
    if (!einsum_read(c, &e))
        return op_unsupported(c, f, "this equation, or it does not fit the shapes");
    call_set_shape(c, 0, DTYPE_F32, e.nkept, e.dims);
    return ST_OK;
}

static void reference(const struct call *c)
{
    struct einsum e;
    struct walk kept = { .noffsets = 2 };
    size_t at = 0;

    if (!einsum_read(c, &e) || value_elements(c->out[0]) == 0)
        return;
    kept.rank = e.nkept;
    kept.dims = e.dims;
    kept.strides[0] = e.strides[0];
    kept.strides[1] = e.strides[1];
    do {
        struct walk summed = { .rank = e.nletters - e.nkept,
                               .noffsets = 2,
                               .dims = e.dims + e.nkept,
                               .strides = { e.strides[0] + e.nkept, e.strides[1] + e.nkept } };
        double sum = 0;
        bool empty = false;
        for (int i = e.nkept; i < e.nletters; i++)
            empty |= e.dims[i] == 0;
        if (!empty)
            do
                sum += (double)value_f32(c->in[0])[kept.offset[0] + summed.offset[0]] *
                       (c->nin > 1 ? (double)value_f32(c->in[1])[kept.offset[1] + summed.offset[1]] : 1);
            while (walk_step(&summed));
        value_f32(c->out[0])[at++] = (float)sum;
    } while (walk_step(&kept));
}

/* One product for each place of all letters together. */
static double work(const struct call *c)
{
    struct einsum e;
    double n = 1;

    if (!einsum_read(c, &e))
        return 0;
    for (int i = 0; i < e.nletters; i++)
        n *= (double)e.dims[i];
    return n;
}

const struct op ops_einsum[] = {
    { .name = "Einsum",
      .since = 12,
      .min_in = 1,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "s:equation",
      .infer = infer,
      .reference = reference,
      .work = work,
      .heavy = true },
    { 0 },
};
