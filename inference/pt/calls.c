/* The allow list of names and what their calls become: see calls.h. */
#include "inference/pt/calls.h"

#include <string.h>

/* Searched in order: names before the modules of which any name will do. */
static const struct pt_rule rules[] = {
    { "collections", "OrderedDict", MEAN_DICT, 0 },
    { "collections", "defaultdict", MEAN_DICT, 0 },
    { "collections", "Counter", MEAN_DICT, 0 },
    { "collections", "deque", MEAN_LIST, 0 },
    { "builtins", "dict", MEAN_DICT, 0 },
    { "builtins", "list", MEAN_LIST, 0 },
    { "builtins", "tuple", MEAN_TUPLE, 0 },
    { "builtins", "set", MEAN_SET, 0 },
    { "builtins", "frozenset", MEAN_SET, 0 },
    { "builtins", "bytes", MEAN_BYTES, 0 },
    { "builtins", "bytearray", MEAN_BYTES, 0 },
    { "builtins", "slice", MEAN_KEPT, 0 },
    { "builtins", "range", MEAN_KEPT, 0 },
    { "builtins", "xrange", MEAN_KEPT, 0 },
    { "builtins", "getattr", MEAN_KEPT, 0 },
    { "builtins", "object", MEAN_CLASS, 0 },
    { "_codecs", "encode", MEAN_BYTES, 0 },
    { "copyreg", "_reconstructor", MEAN_INSTANCE, 0 },
    { "types", "SimpleNamespace", MEAN_CLASS, 0 },
    { "argparse", "Namespace", MEAN_CLASS, 0 },
    { "pathlib", "Path", MEAN_PATH, 0 },
    { "pathlib", "PosixPath", MEAN_PATH, 0 },
    { "pathlib", "WindowsPath", MEAN_PATH, 0 },
    { "pathlib", "PurePosixPath", MEAN_PATH, 0 },
    { "pathlib", "PureWindowsPath", MEAN_PATH, 0 },
    { "datetime", "datetime", MEAN_KEPT, 0 },
    { "datetime", "date", MEAN_KEPT, 0 },
    { "datetime", "timedelta", MEAN_KEPT, 0 },
    { "datetime", "timezone", MEAN_KEPT, 0 },
    { "numpy", "dtype", MEAN_KEPT, 0 },
    { "numpy", "ndarray", MEAN_KEPT, 0 },
    { "numpy.core.multiarray", "_reconstruct", MEAN_KEPT, 0 },
    { "numpy.core.multiarray", "scalar", MEAN_NUMBER, 0 },
    { "numpy._core.multiarray", "_reconstruct", MEAN_KEPT, 0 },
    { "numpy._core.multiarray", "scalar", MEAN_NUMBER, 0 },
    { "torch", "Size", MEAN_TUPLE, 0 },
    { "torch", "device", MEAN_KEPT, 0 },
    { "torch", "FloatStorage", MEAN_STORAGE, PT_F32 },
    { "torch", "HalfStorage", MEAN_STORAGE, PT_F16 },
    { "torch", "BFloat16Storage", MEAN_STORAGE, PT_BF16 },
    { "torch", "DoubleStorage", MEAN_STORAGE, PT_F64 },
    { "torch", "LongStorage", MEAN_STORAGE, PT_I64 },
    { "torch", "IntStorage", MEAN_STORAGE, PT_I32 },
    { "torch", "ShortStorage", MEAN_STORAGE, PT_I16 },
    { "torch", "CharStorage", MEAN_STORAGE, PT_I8 },
    { "torch", "ByteStorage", MEAN_STORAGE, PT_U8 },
    { "torch", "BoolStorage", MEAN_STORAGE, PT_BOOL8 },
    { "torch.storage", "UntypedStorage", MEAN_STORAGE, STORAGE_RAW },
    { "torch", "float32", MEAN_DTYPE, PT_F32 },
    { "torch", "float16", MEAN_DTYPE, PT_F16 },
    { "torch", "bfloat16", MEAN_DTYPE, PT_BF16 },
    { "torch", "float64", MEAN_DTYPE, PT_F64 },
    { "torch", "int64", MEAN_DTYPE, PT_I64 },
    { "torch", "int32", MEAN_DTYPE, PT_I32 },
    { "torch", "int16", MEAN_DTYPE, PT_I16 },
    { "torch", "int8", MEAN_DTYPE, PT_I8 },
    { "torch", "uint8", MEAN_DTYPE, PT_U8 },
    { "torch", "bool", MEAN_DTYPE, PT_BOOL8 },
    { "torch._utils", "_rebuild_tensor", MEAN_TENSOR, 0 },
    { "torch._utils", "_rebuild_tensor_v2", MEAN_TENSOR, 0 },
    { "torch._utils", "_rebuild_tensor_v3", MEAN_TENSOR, 6 },
    { "torch._utils", "_rebuild_parameter", MEAN_PARAMETER, 0 },
    { "torch._utils", "_rebuild_parameter_with_state", MEAN_PARAMETER, 0 },
    { "torch._tensor", "_rebuild_from_type_v2", MEAN_TYPED, 0 },
    { "torch.nn.parameter", "Parameter", MEAN_CLASS, 0 },
    { "torch.nn.modules.", NULL, MEAN_CLASS, 0 },
    { "ultralytics.", NULL, MEAN_CLASS, 0 },
    { "models.", NULL, MEAN_CLASS, 0 },
    { "utils.", NULL, MEAN_CLASS, 0 },
    { "torchvision.transforms.", NULL, MEAN_CLASS, 0 },
    { "torchvision.ops.", NULL, MEAN_CLASS, 0 },
    { "__main__.", NULL, MEAN_CLASS, 0 },
};

static bool equal(struct slice s, const char *text, size_t n)
{
    return s.n == n && memcmp(s.p, text, n) == 0;
}

/* Names that Python 2 spelled otherwise, and that protocol 2 therefore still writes. */
static struct slice present_name(struct slice module)
{
    if (equal(module, "__builtin__", 11))
        return SLICE_LITERAL("builtins");
    if (equal(module, "copy_reg", 8))
        return SLICE_LITERAL("copyreg");
    if (equal(module, "pathlib._local", 14))
        return SLICE_LITERAL("pathlib");
    return module;
}

const struct pt_rule *rule_find(struct slice module, struct slice name)
{
    module = present_name(module);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct pt_rule *r = &rules[i];
        const size_t n = strlen(r->module);

        if (r->name ? equal(module, r->module, n) && equal(name, r->name, strlen(r->name))
                    : equal(module, r->module, n - 1) ||
                          (module.n > n && memcmp(module.p, r->module, n) == 0))
            return r;
    }
    return NULL;
}

/* Refusing by name. Names come from the file: only printable ASCII is repeated. */

static void printable(struct slice s, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n && n + 1 < size; i++)
        out[n++] = s.p[i] > ' ' && s.p[i] < 127 ? s.p[i] : '?';
    out[n] = '\0';
}

static enum status refuse_call(const struct pickle *pk, const struct pt_value *callee)
{
    char module[64], name[64];

    if (callee->kind != PT_GLOBAL)
        return pickle_refuse(pk, ST_INVALID, "asks to run the result of another call");
    printable(callee->global->module, module, sizeof module);
    printable(callee->global->name, name, sizeof name);
    return fault_at(pk->fault, ST_INVALID, "model", (int64_t)pk->at,
                    "the file asks to run %s.%s, which no model needs; nothing in it was run", module,
                    name);
}

static enum status malformed(const struct pickle *pk, const char *what)
{
    pickle_refuse(pk, ST_INVALID, what);
    return ST_INVALID;
}

/* Objects */

static enum status make_object(struct pickle *pk, const struct pt_value *class,
                               const struct pt_value *args, struct pt_value **ret)
{
    struct pt_value *v = NULL;
    enum status st = pickle_value(pk, PT_OBJECT, &v);

    if (st != ST_OK)
        return st;
    if (!(v->object = arena_alloc(pk->arena, sizeof *v->object)))
        return pickle_full(pk);
    v->object->class = class;
    v->object->args = args;
    *ret = v;
    return ST_OK;
}

/* copyreg._reconstructor(class, base, None) */
static enum status make_instance(struct pickle *pk, const struct pt_value *args, struct pt_value **ret)
{
    if (args->items.n < 1 || args->items.at[0]->kind != PT_GLOBAL)
        return malformed(pk, "reconstructs what is no class");
    return make_object(pk, args->items.at[0], args, ret);
}

/* Containers */

static bool is_sequence(const struct pt_value *v)
{
    return v->kind == PT_LIST || v->kind == PT_TUPLE || v->kind == PT_SET;
}

/* list(), set(items) ...: a copy of the first argument. */
static enum status make_sequence(struct pickle *pk, enum pt_kind kind, const struct pt_items *args,
                                 struct pt_value **ret)
{
    struct pt_value *v = NULL;
    enum status st;

    if (args->n && !is_sequence(args->at[0]))
        return malformed(pk, "makes a sequence of what is none");
    if ((st = pickle_value(pk, kind, &v)) == ST_OK && args->n)
        st = pickle_append(pk, &v->items, &args->at[0]->items);
    if (st == ST_OK)
        *ret = v;
    return st;
}

/* OrderedDict(), OrderedDict([[key, value], ...]), dict({...}), defaultdict(factory, {...}): what is no
 * mapping among the arguments is the factory and drops out. */
static enum status make_dict(struct pickle *pk, const struct pt_items *args, struct pt_value **ret)
{
    struct pt_value *v = NULL;
    enum status st = pickle_value(pk, PT_DICT, &v);

    for (size_t i = 0; i < args->n && st == ST_OK; i++) {
        const struct pt_value *a = args->at[i];

        if (a->kind == PT_DICT)
            st = pickle_append(pk, &v->items, &a->items);
        for (size_t k = 0; a->kind == PT_LIST && k < a->items.n && st == ST_OK; k++) {
            const struct pt_value *pair = a->items.at[k];

            if ((pair->kind != PT_LIST && pair->kind != PT_TUPLE) || pair->items.n != 2)
                return malformed(pk, "makes a dict of what are no pairs");
            st = pickle_append(pk, &v->items, &pair->items);
        }
    }
    if (st == ST_OK)
        *ret = v;
    return st;
}

/* bytes(), bytearray(b"..."), _codecs.encode("...", "latin1"): the text's code points as bytes. */
static enum status make_bytes(struct pickle *pk, const struct pt_items *args, struct pt_value **ret)
{
    const struct slice text =
        args->n && (args->at[0]->kind == PT_STRING || args->at[0]->kind == PT_BYTES)
            ? args->at[0]->text
            : (struct slice){ "", 0 };
    const bool encoded = args->n && args->at[0]->kind == PT_STRING;
    struct pt_value *v = NULL;
    size_t n = 0;
    char *out;
    enum status st = pickle_value(pk, PT_BYTES, &v);

    if (st != ST_OK)
        return st;
    v->text = text;
    *ret = v;
    if (!encoded)
        return ST_OK;
    if (!(out = arena_alloc(pk->arena, text.n + 1)))
        return pickle_full(pk);
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.p[i];

        if (c < 0x80)
            out[n++] = (char)c;
        else if ((c == 0xC2 || c == 0xC3) && i + 1 < text.n &&
                 ((unsigned char)text.p[i + 1] & 0xC0) == 0x80)
            out[n++] = (char)((c & 3) << 6 | ((unsigned char)text.p[++i] & 0x3F));
        else
            return malformed(pk, "encodes a text that is not Latin-1");
    }
    v->text = (struct slice){ out, n };
    return ST_OK;
}

static enum status make_path(struct pickle *pk, const struct pt_items *args, struct pt_value **ret)
{
    struct pt_value *v = NULL;
    size_t size = 1, n = 0;
    char *out;
    enum status st = pickle_value(pk, PT_STRING, &v);

    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < args->n; i++)
        if (args->at[i]->kind != PT_STRING || !size_add(size, args->at[i]->text.n + 1, &size))
            return malformed(pk, "makes a path of what is no text");
    if (!(out = arena_alloc(pk->arena, size)))
        return pickle_full(pk);
    for (size_t i = 0; i < args->n; i++) {
        const struct slice part = args->at[i]->text;

        if (n && out[n - 1] != '/')
            out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    v->text = (struct slice){ out, n };
    *ret = v;
    return ST_OK;
}

/* Numbers of numpy: scalar(dtype("f8"), 8 bytes). What is not known stays a kept call. */

static uint64_t little_endian(struct slice s)
{
    uint64_t v = 0;

    for (size_t i = s.n; i-- > 0;)
        v = v << 8 | (unsigned char)s.p[i];
    return v;
}

static bool decode_number(struct slice type, struct slice bytes, struct pt_value *v)
{
    const uint64_t bits = little_endian(bytes);
    const uint32_t low = (uint32_t)bits;
    float single;

    if (type.n != 2 || type.p[1] - '0' != (int)bytes.n)
        return false;
    if (equal(type, "f8", 2)) {
        v->kind = PT_FLOAT;
        memcpy(&v->real, &bits, sizeof bits);
    } else if (equal(type, "f4", 2)) {
        v->kind = PT_FLOAT;
        memcpy(&single, &low, sizeof low);
        v->real = (double)single;
    } else if (equal(type, "i8", 2) || equal(type, "i4", 2)) {
        v->kind = PT_INT;
        v->integer = bytes.n == 8 ? (int64_t)bits : (int64_t)(int32_t)low;
    } else if (equal(type, "b1", 2)) {
        v->kind = PT_BOOL;
        v->boolean = bits != 0;
    } else {
        return false;
    }
    return true;
}

static enum status make_number(struct pickle *pk, const struct pt_value *callee,
                               const struct pt_value *args, struct pt_value **ret)
{
    const struct pt_items *a = &args->items;
    const struct pt_value *dtype = a->n == 2 && a->at[1]->kind == PT_BYTES ? a->at[0] : NULL;
    struct pt_value *v = NULL;
    enum status st;

    if (dtype && dtype->kind == PT_OBJECT && dtype->object->args->items.n && a->at[1]->text.n <= 8) {
        const struct pt_value *state = dtype->object->state; /* (3, "<", ...): the byte order */
        const bool big = state && state->kind == PT_TUPLE && state->items.n > 1 &&
                         pt_is_text(state->items.at[1], ">");

        if ((st = pickle_value(pk, PT_FLOAT, &v)) != ST_OK)
            return st;
        if (!big && decode_number(pt_text(dtype->object->args->items.at[0]), a->at[1]->text, v)) {
            *ret = v;
            return ST_OK;
        }
    }
    return make_object(pk, callee, args, ret);
}

/* torch._tensor._rebuild_from_type_v2(function, type, args, state): the function's tensor; the state
 * drops out. */
static enum status make_typed(struct pickle *pk, const struct pt_items *args, struct pt_value **ret)
{
    const struct pt_rule *rule;

    if (args->n != 4 || args->at[0]->kind != PT_GLOBAL || args->at[2]->kind != PT_TUPLE)
        return malformed(pk, "rebuilds a tensor from malformed arguments");
    rule = args->at[0]->global->rule;
    if (rule && rule->meaning == MEAN_TENSOR)
        return tensor_rebuild(pk, rule, &args->at[2]->items, ret);
    if (rule && rule->meaning == MEAN_PARAMETER)
        return tensor_parameter(pk, &args->at[2]->items, ret);
    return refuse_call(pk, args->at[0]);
}

enum status call_reduce(struct pickle *pk, struct pt_value *callee, struct pt_value *args,
                        struct pt_value **ret)
{
    const struct pt_rule *rule = callee->kind == PT_GLOBAL ? callee->global->rule : NULL;

    if (!rule)
        return refuse_call(pk, callee);
    switch (rule->meaning) {
    case MEAN_CLASS:
    case MEAN_KEPT:
        return make_object(pk, callee, args, ret);
    case MEAN_DICT:
        return make_dict(pk, &args->items, ret);
    case MEAN_LIST:
        return make_sequence(pk, PT_LIST, &args->items, ret);
    case MEAN_TUPLE:
        return make_sequence(pk, PT_TUPLE, &args->items, ret);
    case MEAN_SET:
        return make_sequence(pk, PT_SET, &args->items, ret);
    case MEAN_BYTES:
        return make_bytes(pk, &args->items, ret);
    case MEAN_PATH:
        return make_path(pk, &args->items, ret);
    case MEAN_INSTANCE:
        return make_instance(pk, args, ret);
    case MEAN_NUMBER:
        return make_number(pk, callee, args, ret);
    case MEAN_TENSOR:
        return tensor_rebuild(pk, rule, &args->items, ret);
    case MEAN_PARAMETER:
        return tensor_parameter(pk, &args->items, ret);
    case MEAN_TYPED:
        return make_typed(pk, &args->items, ret);
    case MEAN_STORAGE:
    case MEAN_DTYPE:
        break; /* types that are named, never called */
    }
    return refuse_call(pk, callee);
}

/* An instance of a class that the table lacks is kept: it runs nothing here, and who needs it will name
 * it. */
enum status call_new(struct pickle *pk, struct pt_value *class, struct pt_value *args,
                     struct pt_value **ret)
{
    if (class->kind == PT_GLOBAL && !class->global->rule)
        return make_object(pk, class, args, ret);
    return call_reduce(pk, class, args, ret);
}

enum status call_build(struct pickle *pk, struct pt_value *target, const struct pt_value *state)
{
    enum status st = ST_OK;

    if (target->kind == PT_DICT || target->kind == PT_TENSOR)
        return ST_OK; /* attributes of an OrderedDict or a tensor: nothing a model needs */
    if (target->kind != PT_OBJECT)
        return malformed(pk, "gives attributes to a value that has none");
    if (state->kind == PT_DICT)
        return pickle_append(pk, &target->object->attributes, &state->items);
    target->object->state = state;
    for (size_t i = 0; state->kind == PT_TUPLE && state->items.n == 2 && i < 2 && st == ST_OK; i++)
        if (state->items.at[i]->kind == PT_DICT) /* (attributes, slots) */
            st = pickle_append(pk, &target->object->attributes, &state->items.at[i]->items);
    return st;
}
