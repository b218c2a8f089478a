/* The stack machine of pickles, restricted to building values: see pickle.h. */
#include "inference/pt/pickle.h"

#include <string.h>
#include "inference/literal.h"
#include "inference/pt/calls.h"

struct opcode {
    enum status (*run)(struct pickle *pk, const struct opcode *op);
    int width;         /* bytes of the number or length that follows, or a count */
    enum pt_kind kind; /* of the value made */
};

size_t pickle_memory(size_t n)
{
    return (size_t)LIMIT_PICKLE_MEMORY_BYTES + 4 * (n < LIMIT_PICKLE_BYTES ? n : LIMIT_PICKLE_BYTES);
}

enum status pickle_refuse(const struct pickle *pk, enum status st, const char *what)
{
    fault_at(pk->fault, st, "model", (int64_t)pk->at, "the pickle %s at byte %zu", what, pk->at);
    return st;
}

enum status pickle_full(const struct pickle *pk)
{
    return pickle_refuse(pk, ST_TOO_LARGE, "needs more memory than is allowed");
}

static enum status broken(const struct pickle *pk, const char *what)
{
    return pickle_refuse(pk, ST_INVALID, what);
}

/* Values and arrays of the arena */

enum status pickle_value(struct pickle *pk, enum pt_kind kind, struct pt_value **ret)
{
    struct pt_value *v;

    if (pk->nvalues >= LIMIT_PICKLE_VALUES)
        return pickle_refuse(pk, ST_TOO_LARGE, "has too many values");
    if (!(v = arena_alloc(pk->arena, sizeof *v)))
        return pickle_full(pk);
    v->kind = kind;
    v->id = pk->nvalues++;
    *ret = v;
    return ST_OK;
}

/* The new capacity of an array of n elements that must hold need; the array moves to *ret. */
static enum status grow(struct pickle *pk, const void *old, size_t n, size_t need, size_t *cap,
                        void *ret)
{
    size_t wanted = *cap ? *cap : 4;
    void *p;

    while (wanted < need)
        wanted *= 2; /* need is bounded by the number of values: no overflow */
    if (!(p = arena_array(pk->arena, wanted, sizeof(void *))))
        return pickle_full(pk);
    if (n)
        memcpy(p, old, n * sizeof(void *));
    memcpy(ret, &p, sizeof p);
    *cap = wanted;
    return ST_OK;
}

static enum status reserve(struct pickle *pk, struct pt_items *items, size_t more)
{
    if (more <= items->cap - items->n)
        return ST_OK;
    return grow(pk, items->at, items->n, items->n + more, &items->cap, &items->at);
}

enum status pickle_push(struct pickle *pk, struct pt_items *items, const struct pt_value *v)
{
    enum status st = reserve(pk, items, 1);

    if (st == ST_OK)
        items->at[items->n++] = v;
    return st;
}

enum status pickle_append(struct pickle *pk, struct pt_items *to, const struct pt_items *from)
{
    const size_t n = from->n; /* to and from may be the same */
    enum status st = reserve(pk, to, n);

    if (st != ST_OK || n == 0)
        return st;
    for (size_t i = 0; i < n; i++)
        to->at[to->n++] = from->at[i];
    return ST_OK;
}

/* The stack. Nothing reaches below the last mark. */

static enum status push(struct pickle *pk, struct pt_value *v)
{
    enum status st;

    if (pk->depth == pk->stack_cap &&
        (st = grow(pk, pk->stack, pk->depth, pk->depth + 1, &pk->stack_cap, &pk->stack)) != ST_OK)
        return st;
    pk->stack[pk->depth++] = v;
    return ST_OK;
}

static enum status push_new(struct pickle *pk, enum pt_kind kind, struct pt_value **ret)
{
    struct pt_value *v = NULL;
    enum status st = pickle_value(pk, kind, &v);

    *ret = v;
    return st == ST_OK ? push(pk, v) : st;
}

static enum status need(const struct pickle *pk, size_t n)
{
    const size_t floor = pk->nmarks ? pk->marks[pk->nmarks - 1] : 0;

    return pk->depth - floor >= n ? ST_OK : broken(pk, "takes more from its stack than is there");
}

static enum status pop(struct pickle *pk, struct pt_value **ret)
{
    enum status st = need(pk, 1);

    if (st == ST_OK)
        *ret = pk->stack[--pk->depth];
    return st;
}

static enum status top(struct pickle *pk, struct pt_value **ret)
{
    enum status st = need(pk, 1);

    if (st == ST_OK)
        *ret = pk->stack[pk->depth - 1];
    return st;
}

/* Takes the values above the last mark off the stack: they stay readable in *ret until the next push. */
static enum status pop_to_mark(struct pickle *pk, struct pt_items *ret)
{
    size_t from;

    if (pk->nmarks == 0)
        return broken(pk, "looks for a mark that was not set");
    from = pk->marks[--pk->nmarks];
    *ret = (struct pt_items){ .at = (const struct pt_value **)pk->stack + from, .n = pk->depth - from };
    pk->depth = from;
    return ST_OK;
}

/* Input */

static enum status take(struct pickle *pk, size_t n, const unsigned char **ret)
{
    if (n > pk->text.n - pk->at)
        return broken(pk, "ends too early");
    *ret = (const unsigned char *)pk->text.p + pk->at;
    pk->at += n;
    return ST_OK;
}

/* A little-endian number of width bytes, 1 to 8. */
static enum status take_number(struct pickle *pk, int width, uint64_t *ret)
{
    const unsigned char *p = NULL;
    uint64_t v = 0;
    enum status st = take(pk, (size_t)width, &p);

    if (st != ST_OK)
        return st;
    for (int i = width; i-- > 0;)
        v = v << 8 | p[i];
    *ret = v;
    return ST_OK;
}

static enum status take_text(struct pickle *pk, int width, struct slice *ret)
{
    const unsigned char *p = NULL;
    uint64_t n = 0;
    enum status st = take_number(pk, width, &n);

    if (st != ST_OK)
        return st;
    if (n > pk->text.n - pk->at)
        return broken(pk, "has a text longer than itself");
    if ((st = take(pk, (size_t)n, &p)) == ST_OK)
        *ret = (struct slice){ (const char *)p, (size_t)n };
    return st;
}

/* Up to the next line feed, which is consumed and not part of *ret. */
static enum status take_line(struct pickle *pk, struct slice *ret)
{
    const char *p = pk->text.p + pk->at, *end = memchr(p, '\n', pk->text.n - pk->at);

    if (!end)
        return broken(pk, "has a line without end");
    *ret = (struct slice){ p, (size_t)(end - p) };
    pk->at += ret->n + 1;
    return ST_OK;
}

/* Operations: constants and numbers */

static enum status run_constant(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *v;
    enum status st = push_new(pk, op->kind, &v);

    if (st == ST_OK && op->kind == PT_BOOL)
        v->boolean = op->width != 0;
    return st;
}

static enum status run_integer(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *v;
    uint64_t n = 0;
    enum status st = take_number(pk, op->width, &n);

    if (st == ST_OK && (st = push_new(pk, PT_INT, &v)) == ST_OK)
        v->integer =
            op->width == 4 ? (int64_t)(int32_t)(uint32_t)n : (int64_t)n; /* BININT alone has a sign */
    return st;
}

static enum status run_long(struct pickle *pk, const struct opcode *op)
{
    struct slice bytes = { 0 };
    struct pt_value *v;
    uint64_t n = 0;
    enum status st = take_text(pk, op->width, &bytes);

    if (st != ST_OK || (st = push_new(pk, bytes.n > 8 ? PT_BYTES : PT_INT, &v)) != ST_OK)
        return st;
    if (bytes.n > 8) {
        v->text = bytes;
        return ST_OK;
    }
    if (bytes.n && bytes.p[bytes.n - 1] & 0x80)
        n = UINT64_MAX;
    for (size_t i = bytes.n; i-- > 0;)
        n = n << 8 | (unsigned char)bytes.p[i];
    v->integer = (int64_t)n;
    return ST_OK;
}

static enum status run_float(struct pickle *pk, const struct opcode *op)
{
    const unsigned char *p = NULL;
    struct pt_value *v;
    uint64_t bits = 0;
    enum status st = take(pk, 8, &p);

    (void)op;
    if (st != ST_OK || (st = push_new(pk, PT_FLOAT, &v)) != ST_OK)
        return st;
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&v->real, &bits, sizeof bits);
    return ST_OK;
}

/* The decimal numbers of protocol 0: INT (with its two booleans), LONG, FLOAT. */
static enum status run_decimal(struct pickle *pk, const struct opcode *op)
{
    struct slice line = { 0 };
    struct pt_value *v;
    enum status st = take_line(pk, &line);

    if (st != ST_OK || (st = push_new(pk, op->kind, &v)) != ST_OK)
        return st;
    if (op->kind == PT_FLOAT)
        return text_f64(line.p, line.n, &v->real) ? ST_OK : broken(pk, "has a malformed number");
    if (line.n == 2 && line.p[0] == '0' && (line.p[1] == '0' || line.p[1] == '1')) {
        v->kind = PT_BOOL;
        v->boolean = line.p[1] == '1';
        return ST_OK;
    }
    if (line.n && line.p[line.n - 1] == 'L')
        line.n--;
    return text_i64(line.p, line.n, &v->integer) ? ST_OK : broken(pk, "has a malformed number");
}

/* Text */

static enum status run_text(struct pickle *pk, const struct opcode *op)
{
    struct slice text = { 0 };
    struct pt_value *v;
    enum status st = take_text(pk, op->width, &text);

    if (st == ST_OK && (st = push_new(pk, op->kind, &v)) == ST_OK)
        v->text = text;
    return st;
}

/* STRING of protocol 0: a quoted literal in a line. */
static enum status run_quoted(struct pickle *pk, const struct opcode *op)
{
    const struct literal *l = NULL;
    struct slice line = { 0 };
    struct pt_value *v;
    enum status st = take_line(pk, &line);

    (void)op;
    if (st != ST_OK)
        return st;
    if (literal_read(line, pk->arena, &l, NULL) != ST_OK || l->kind != LITERAL_STRING)
        return arena_failed(pk->arena) ? pickle_full(pk) : broken(pk, "has a malformed string");
    if ((st = push_new(pk, PT_STRING, &v)) == ST_OK)
        v->text = l->text;
    return st;
}

/* UNICODE of protocol 0: a line; its escapes are not worth reading, since model files are of protocol 2
 * or later. */
static enum status run_line(struct pickle *pk, const struct opcode *op)
{
    struct slice line = { 0 };
    struct pt_value *v;
    enum status st = take_line(pk, &line);

    (void)op;
    if (st != ST_OK)
        return st;
    if (memchr(line.p, '\\', line.n) || text_code_points(line.p, line.n) != line.n)
        return pickle_refuse(pk, ST_UNSUPPORTED, "has an escaped text of protocol 0");
    if ((st = push_new(pk, PT_STRING, &v)) == ST_OK)
        v->text = line;
    return st;
}

/* Containers */

/* TUPLE, LIST, DICT, FROZENSET: what lies above the mark; width 1 to 3: so many values instead. */
static enum status run_gather(struct pickle *pk, const struct opcode *op)
{
    struct pt_items found = { 0 };
    struct pt_value *v = NULL;
    enum status st;

    if (op->width) {
        if ((st = need(pk, (size_t)op->width)) != ST_OK)
            return st;
        pk->depth -= (size_t)op->width;
        found = (struct pt_items){ .at = (const struct pt_value **)pk->stack + pk->depth,
                                   .n = (size_t)op->width };
    } else if ((st = pop_to_mark(pk, &found)) != ST_OK) {
        return st;
    }
    if (op->kind == PT_DICT && found.n % 2)
        return broken(pk, "has a key without a value");
    if ((st = pickle_value(pk, op->kind, &v)) != ST_OK ||
        (st = pickle_append(pk, &v->items, &found)) != ST_OK)
        return st;
    return push(pk, v);
}

/* APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS: into a container of exactly this kind. width 0: above
 * the mark. */
static enum status run_extend(struct pickle *pk, const struct opcode *op)
{
    struct pt_items found = { 0 };
    struct pt_value *target = NULL;
    enum status st;

    if (op->width) {
        if ((st = need(pk, (size_t)op->width + 1)) != ST_OK)
            return st;
        pk->depth -= (size_t)op->width;
        found = (struct pt_items){ .at = (const struct pt_value **)pk->stack + pk->depth,
                                   .n = (size_t)op->width };
    } else if ((st = pop_to_mark(pk, &found)) != ST_OK) {
        return st;
    }
    if ((st = top(pk, &target)) != ST_OK)
        return st;
    if (target->kind != op->kind)
        return broken(pk, "puts items into a value that cannot hold them");
    if (op->kind == PT_DICT && found.n % 2)
        return broken(pk, "has a key without a value");
    return pickle_append(pk, &target->items, &found);
}

/* The stack itself */

static enum status run_mark(struct pickle *pk, const struct opcode *op)
{
    (void)op;
    if (pk->nmarks == LIMIT_PICKLE_DEPTH)
        return pickle_refuse(pk, ST_TOO_LARGE, "is nested too deeply");
    pk->marks[pk->nmarks++] = pk->depth;
    return ST_OK;
}

static enum status run_pop(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *v;

    (void)op;
    if (pk->nmarks && pk->marks[pk->nmarks - 1] == pk->depth) {
        pk->nmarks--;
        return ST_OK;
    }
    return pop(pk, &v);
}

static enum status run_pop_mark(struct pickle *pk, const struct opcode *op)
{
    struct pt_items found;

    (void)op;
    return pop_to_mark(pk, &found);
}

static enum status run_dup(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *v = NULL;
    enum status st = top(pk, &v);

    (void)op;
    return st == ST_OK ? push(pk, v) : st;
}

/* The memo. An index can't exceed the bytes of the pickle, since each value takes at least one. */

/* width 0: a decimal line. */
static enum status take_index(struct pickle *pk, int width, uint64_t *ret)
{
    struct slice line = { 0 };
    int64_t index = 0;
    enum status st;

    if (width)
        return take_number(pk, width, ret);
    if ((st = take_line(pk, &line)) != ST_OK)
        return st;
    if (!text_i64(line.p, line.n, &index) || index < 0)
        return broken(pk, "has a malformed memo index");
    *ret = (uint64_t)index;
    return ST_OK;
}

static enum status remember(struct pickle *pk, uint64_t index)
{
    struct pt_value *v = NULL;
    enum status st = top(pk, &v);

    if (st != ST_OK)
        return st;
    if (index >= LIMIT_PICKLE_VALUES || index > pk->text.n)
        return broken(pk, "has a memo index beyond its values");
    if (index >= pk->memo_cap &&
        (st = grow(pk, pk->memo, pk->memo_n, (size_t)index + 1, &pk->memo_cap, &pk->memo)) != ST_OK)
        return st;
    pk->memo[index] = v; /* the arena zeroes what lies between */
    if (index >= pk->memo_n)
        pk->memo_n = (size_t)index + 1;
    return ST_OK;
}

static enum status run_put(struct pickle *pk, const struct opcode *op)
{
    uint64_t index = 0;
    enum status st = take_index(pk, op->width, &index);

    return st == ST_OK ? remember(pk, index) : st;
}

static enum status run_memoize(struct pickle *pk, const struct opcode *op)
{
    (void)op;
    return remember(pk, pk->memo_n);
}

static enum status run_get(struct pickle *pk, const struct opcode *op)
{
    uint64_t index = 0;
    enum status st = take_index(pk, op->width, &index);

    if (st != ST_OK)
        return st;
    if (index >= pk->memo_n || !pk->memo[index])
        return broken(pk, "refers to a memo entry that was not set");
    return push(pk, pk->memo[index]);
}

/* Names, calls, objects */

static enum status push_global(struct pickle *pk, struct slice module, struct slice name)
{
    struct pt_value *v = NULL;
    enum status st;

    if (!module.n || !name.n || module.n > LIMIT_PICKLE_NAME_BYTES || name.n > LIMIT_PICKLE_NAME_BYTES)
        return broken(pk, "has an empty or endless name");
    if ((st = push_new(pk, PT_GLOBAL, &v)) != ST_OK)
        return st;
    if (!(v->global = arena_alloc(pk->arena, sizeof *v->global)))
        return pickle_full(pk);
    *v->global = (struct pt_global){ module, name, rule_find(module, name) };
    if (v->global->rule || pk->unknown.n == LIMIT_PICKLE_UNKNOWN)
        return ST_OK;
    return pickle_push(pk, &pk->unknown, v);
}

static enum status run_global(struct pickle *pk, const struct opcode *op)
{
    struct slice module = { 0 }, name = { 0 };
    enum status st;

    (void)op;
    if ((st = take_line(pk, &module)) != ST_OK || (st = take_line(pk, &name)) != ST_OK)
        return st;
    return push_global(pk, module, name);
}

static enum status run_stack_global(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *module = NULL, *name = NULL;
    enum status st;

    (void)op;
    if ((st = pop(pk, &name)) != ST_OK || (st = pop(pk, &module)) != ST_OK)
        return st;
    if (module->kind != PT_STRING || name->kind != PT_STRING)
        return broken(pk, "has a name that is no text");
    return push_global(pk, module->text, name->text);
}

/* REDUCE; kind PT_OBJECT: NEWOBJ; width 1: NEWOBJ_EX, with named arguments, which are dropped. */
static enum status run_call(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *callee = NULL, *args = NULL, *result = NULL;
    enum status st = ST_OK;

    if (op->width)
        st = pop(pk, &args);
    if (st != ST_OK || (st = pop(pk, &args)) != ST_OK || (st = pop(pk, &callee)) != ST_OK)
        return st;
    if (args->kind != PT_TUPLE)
        return broken(pk, "calls with arguments that are no tuple");
    st = op->kind == PT_OBJECT ? call_new(pk, callee, args, &result)
                               : call_reduce(pk, callee, args, &result);
    return st == ST_OK ? push(pk, result) : st;
}

static enum status run_build(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *target = NULL, *state = NULL;
    enum status st;

    (void)op;
    if ((st = pop(pk, &state)) != ST_OK || (st = top(pk, &target)) != ST_OK)
        return st;
    return call_build(pk, target, state);
}

static enum status run_persistent(struct pickle *pk, const struct opcode *op)
{
    struct pt_value *id = NULL, *result = NULL;
    enum status st;

    (void)op;
    if ((st = pop(pk, &id)) != ST_OK || (st = call_storage(pk, id, &result)) != ST_OK)
        return st;
    return push(pk, result);
}

/* Framing */

static enum status run_protocol(struct pickle *pk, const struct opcode *op)
{
    uint64_t version = 0;
    enum status st = take_number(pk, op->width, &version);

    if (st == ST_OK && version > 5)
        return pickle_refuse(pk, ST_UNSUPPORTED, "has a protocol later than 5");
    return st;
}

static enum status run_frame(struct pickle *pk, const struct opcode *op)
{
    uint64_t n = 0;
    enum status st = take_number(pk, op->width, &n);

    if (st == ST_OK && n > pk->text.n - pk->at)
        return broken(pk, "has a frame longer than itself");
    return st;
}

enum { OP_STOP = '.', FIRST_STACK = 256 };

/* Absent on purpose: PERSID, INST, OBJ, EXT1, EXT2, EXT4, NEXT_BUFFER, READONLY_BUFFER. */
static const struct opcode opcodes[256] = {
    [0x80] = { run_protocol, 1, 0 },             /* PROTO */
    [0x95] = { run_frame, 8, 0 },                /* FRAME */
    ['('] = { run_mark, 0, 0 },                  /* MARK */
    ['0'] = { run_pop, 0, 0 },                   /* POP */
    ['1'] = { run_pop_mark, 0, 0 },              /* POP_MARK */
    ['2'] = { run_dup, 0, 0 },                   /* DUP */
    ['N'] = { run_constant, 0, PT_NONE },        /* NONE */
    [0x88] = { run_constant, 1, PT_BOOL },       /* NEWTRUE */
    [0x89] = { run_constant, 0, PT_BOOL },       /* NEWFALSE */
    [']'] = { run_constant, 0, PT_LIST },        /* EMPTY_LIST */
    [')'] = { run_constant, 0, PT_TUPLE },       /* EMPTY_TUPLE */
    ['}'] = { run_constant, 0, PT_DICT },        /* EMPTY_DICT */
    [0x8f] = { run_constant, 0, PT_SET },        /* EMPTY_SET */
    ['I'] = { run_decimal, 0, PT_INT },          /* INT */
    ['L'] = { run_decimal, 0, PT_INT },          /* LONG */
    ['F'] = { run_decimal, 0, PT_FLOAT },        /* FLOAT */
    ['K'] = { run_integer, 1, PT_INT },          /* BININT1 */
    ['M'] = { run_integer, 2, PT_INT },          /* BININT2 */
    ['J'] = { run_integer, 4, PT_INT },          /* BININT */
    [0x8a] = { run_long, 1, PT_INT },            /* LONG1 */
    [0x8b] = { run_long, 4, PT_INT },            /* LONG4 */
    ['G'] = { run_float, 8, PT_FLOAT },          /* BINFLOAT */
    ['S'] = { run_quoted, 0, PT_STRING },        /* STRING */
    ['V'] = { run_line, 0, PT_STRING },          /* UNICODE */
    ['U'] = { run_text, 1, PT_STRING },          /* SHORT_BINSTRING */
    ['T'] = { run_text, 4, PT_STRING },          /* BINSTRING */
    [0x8c] = { run_text, 1, PT_STRING },         /* SHORT_BINUNICODE */
    ['X'] = { run_text, 4, PT_STRING },          /* BINUNICODE */
    [0x8d] = { run_text, 8, PT_STRING },         /* BINUNICODE8 */
    ['C'] = { run_text, 1, PT_BYTES },           /* SHORT_BINBYTES */
    ['B'] = { run_text, 4, PT_BYTES },           /* BINBYTES */
    [0x8e] = { run_text, 8, PT_BYTES },          /* BINBYTES8 */
    [0x96] = { run_text, 8, PT_BYTES },          /* BYTEARRAY8 */
    ['t'] = { run_gather, 0, PT_TUPLE },         /* TUPLE */
    [0x85] = { run_gather, 1, PT_TUPLE },        /* TUPLE1 */
    [0x86] = { run_gather, 2, PT_TUPLE },        /* TUPLE2 */
    [0x87] = { run_gather, 3, PT_TUPLE },        /* TUPLE3 */
    ['l'] = { run_gather, 0, PT_LIST },          /* LIST */
    ['d'] = { run_gather, 0, PT_DICT },          /* DICT */
    [0x91] = { run_gather, 0, PT_SET },          /* FROZENSET */
    ['a'] = { run_extend, 1, PT_LIST },          /* APPEND */
    ['e'] = { run_extend, 0, PT_LIST },          /* APPENDS */
    ['s'] = { run_extend, 2, PT_DICT },          /* SETITEM */
    ['u'] = { run_extend, 0, PT_DICT },          /* SETITEMS */
    [0x90] = { run_extend, 0, PT_SET },          /* ADDITEMS */
    ['p'] = { run_put, 0, 0 },                   /* PUT */
    ['q'] = { run_put, 1, 0 },                   /* BINPUT */
    ['r'] = { run_put, 4, 0 },                   /* LONG_BINPUT */
    [0x94] = { run_memoize, 0, 0 },              /* MEMOIZE */
    ['g'] = { run_get, 0, 0 },                   /* GET */
    ['h'] = { run_get, 1, 0 },                   /* BINGET */
    ['j'] = { run_get, 4, 0 },                   /* LONG_BINGET */
    ['c'] = { run_global, 0, PT_GLOBAL },        /* GLOBAL */
    [0x93] = { run_stack_global, 0, PT_GLOBAL }, /* STACK_GLOBAL */
    ['R'] = { run_call, 0, PT_NONE },            /* REDUCE */
    [0x81] = { run_call, 0, PT_OBJECT },         /* NEWOBJ */
    [0x92] = { run_call, 1, PT_OBJECT },         /* NEWOBJ_EX */
    ['b'] = { run_build, 0, 0 },                 /* BUILD */
    ['Q'] = { run_persistent, 0, PT_STORAGE },   /* BINPERSID */
};

enum status pickle_read(struct pickle *pk, const struct pt_value **ret)
{
    const size_t start = pk->at;
    struct pt_value *v = NULL;
    enum status st;

    if (!pk->stack && (st = grow(pk, NULL, 0, FIRST_STACK, &pk->stack_cap, &pk->stack)) != ST_OK)
        return st;
    pk->depth = pk->nmarks = 0;
    if (pk->memo_n)
        memset(pk->memo, 0, pk->memo_n * sizeof *pk->memo);
    pk->memo_n = 0;
    while (pk->at < pk->text.n) {
        const unsigned char code = (unsigned char)pk->text.p[pk->at++];

        if (pk->at - start > LIMIT_PICKLE_BYTES)
            return pickle_refuse(pk, ST_TOO_LARGE, "has too many bytes");
        if (code == OP_STOP) {
            if ((st = pop(pk, &v)) == ST_OK)
                *ret = v;
            return st;
        }
        if (!opcodes[code].run)
            return pickle_refuse(pk, ST_UNSUPPORTED, "has an operation that no model file needs");
        if ((st = opcodes[code].run(pk, &opcodes[code])) != ST_OK)
            return st;
    }
    return broken(pk, "ends too early");
}
