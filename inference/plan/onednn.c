/*
 * oneDNN 2.6's C API. See onednn.h.
 */
#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/plan/onednn.h"

enum { ARGUMENTS_MAX = 4 };

/* Of libgomp, oneDNN's runtime here; declared so that no -fopenmp is needed. Per calling thread. */
void omp_set_num_threads(int n);

struct kernel_engine {
    dnnl_engine_t engine;
    int threads;
};

struct kernel_stream {
    dnnl_stream_t stream;
    int threads;
};

struct kernel {
    struct kernel_engine *engine;
    dnnl_primitive_t primitive;
    int narguments;
    int argument[ARGUMENTS_MAX];
    dnnl_memory_desc_t desc[ARGUMENTS_MAX];
    dnnl_memory_t weights, bias; /* packed, owned, read-only */
    float *weights_data, *bias_data;
    size_t weight_bytes;
    dnnl_memory_desc_t scratch;
    char name[48];
};

struct kernel_binding {
    int n;
    dnnl_exec_arg_t args[ARGUMENTS_MAX + 3];
    dnnl_memory_t owned[ARGUMENTS_MAX + 3];
};

enum status kernel_engine_create(int threads, struct kernel_engine **ret, struct fault *f)
{
    struct kernel_engine *e = calloc(1, sizeof *e);

    if (!e || dnnl_engine_create(&e->engine, dnnl_cpu, 0) != dnnl_success) {
        free(e);
        return fault_set(f, ST_UNAVAILABLE, NULL, "the inference engine could not start");
    }
    e->threads = threads;
    omp_set_num_threads(threads); /* primitives are tuned for the team size at their making */
    *ret = e;
    return ST_OK;
}

void kernel_engine_free(struct kernel_engine *e)
{
    if (!e)
        return;
    dnnl_engine_destroy(e->engine);
    free(e);
}

int kernel_block(void)
{
    return cpu_isa() >= CPU_AVX512 ? 16 : 8;
}

void kernel_free(struct kernel *k)
{
    if (!k)
        return;
    if (k->primitive)
        dnnl_primitive_destroy(k->primitive);
    if (k->weights)
        dnnl_memory_destroy(k->weights);
    if (k->bias)
        dnnl_memory_destroy(k->bias);
    free(k->weights_data);
    free(k->bias_data);
    free(k);
}

const char *kernel_name(const struct kernel *k)
{
    return k->name;
}

bool kernel_is_slow(const struct kernel *k)
{
    return strncmp(k->name, "ref", 3) == 0 || strncmp(k->name, "simple", 6) == 0;
}

size_t kernel_scratch_bytes(const struct kernel *k)
{
    return dnnl_memory_desc_get_size(&k->scratch);
}

size_t kernel_weight_bytes(const struct kernel *k)
{
    return k->weight_bytes;
}

int kernel_arguments(const struct kernel *k)
{
    return k->narguments;
}

static bool describe(const struct layout *l, dnnl_memory_desc_t *ret)
{
    dnnl_dims_t dims = { 0 }, strides = { 0 };
    int64_t stride = 1;

    for (int i = 0; i < l->rank; i++)
        dims[i] = l->dims[i];
    if (l->block)
        return dnnl_memory_desc_init_by_tag(ret, l->rank, dims, dnnl_f32,
                                            l->block == 16 ? dnnl_nChw16c : dnnl_nChw8c) == dnnl_success;
    for (int i = l->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i] > 0 ? dims[i] : 1;
    }
    return dnnl_memory_desc_init_by_strides(ret, l->rank, dims, dnnl_f32, strides) == dnnl_success;
}

/* Attributes with a scratchpad that the caller brings, so that a primitive may run in several threads.
 */
static dnnl_primitive_attr_t make_attributes(void)
{
    dnnl_primitive_attr_t a = NULL;

    if (dnnl_primitive_attr_create(&a) != dnnl_success)
        return NULL;
    if (dnnl_primitive_attr_set_scratchpad_mode(a, dnnl_scratchpad_mode_user) != dnnl_success) {
        dnnl_primitive_attr_destroy(a);
        return NULL;
    }
    return a;
}

/* From a primitive descriptor, which it takes over; pd NULL gives NULL. */
static struct kernel *make_kernel(struct kernel_engine *e, dnnl_primitive_desc_t pd)
{
    struct kernel *k = pd ? calloc(1, sizeof *k) : NULL;
    const char *name;

    if (k) {
        const dnnl_memory_desc_t *scratch =
            dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        k->engine = e;
        if (scratch)
            k->scratch = *scratch;
        if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success)
            snprintf(k->name, sizeof k->name, "%s", name);
        if (dnnl_primitive_create(&k->primitive, pd) != dnnl_success) {
            kernel_free(k);
            k = NULL;
        }
    }
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return k;
}

static struct kernel *make_simple(struct kernel_engine *e, const_dnnl_op_desc_t op)
{
    dnnl_primitive_attr_t a = make_attributes();
    dnnl_primitive_desc_t pd = NULL;

    if (!a || dnnl_primitive_desc_create(&pd, op, a, e->engine, NULL) != dnnl_success)
        pd = NULL;
    if (a)
        dnnl_primitive_attr_destroy(a);
    return make_kernel(e, pd);
}

static void add_argument(struct kernel *k, int argument, const dnnl_memory_desc_t *desc)
{
    k->argument[k->narguments] = argument;
    k->desc[k->narguments++] = *desc;
}

static struct kernel *with_input_output(struct kernel *k, const dnnl_memory_desc_t *x,
                                        const dnnl_memory_desc_t *y)
{
    if (k) {
        add_argument(k, DNNL_ARG_SRC, x);
        add_argument(k, DNNL_ARG_DST, y);
    }
    return k;
}

static bool append_activation(dnnl_post_ops_t ops, const struct fusion *f)
{
    static const dnnl_alg_kind_t kinds[] = { [ACT_RELU] = dnnl_eltwise_relu,
                                             [ACT_SILU] = dnnl_eltwise_swish,
                                             [ACT_SIGMOID] = dnnl_eltwise_logistic,
                                             [ACT_CLIP] = dnnl_eltwise_clip,
                                             [ACT_HARDSWISH] = dnnl_eltwise_hardswish };
    const float alpha = f->act == ACT_SILU ? 1 : f->alpha;

    return f->act == ACT_NONE ||
           dnnl_post_ops_append_eltwise(ops, 1, kinds[f->act], alpha, f->beta) == dnnl_success;
}

static dnnl_primitive_attr_t conv_attributes(const struct fusion *f, const dnnl_memory_desc_t *y)
{
    dnnl_primitive_attr_t a = make_attributes();
    dnnl_post_ops_t ops = NULL;
    bool ok = a && dnnl_post_ops_create(&ops) == dnnl_success && append_activation(ops, f);

    if (ok && f->residual)
        ok = dnnl_post_ops_append_binary(ops, dnnl_binary_add, y) == dnnl_success;
    ok = ok && dnnl_primitive_attr_set_post_ops(a, ops) == dnnl_success;
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (!ok && a) {
        dnnl_primitive_attr_destroy(a);
        a = NULL;
    }
    return a;
}

/* Padding at the end as oneDNN wants it: what makes its size formula give `out`. */
static int64_t end_padding(const struct window *w, int i)
{
    const int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;
    const int64_t after = (w->out[i] - 1) * w->stride[i] + span - w->in[i] - w->before[i];

    return after > 0 ? after : 0;
}

static int weight_dims(const struct conv_spec *s, dnnl_dims_t dims)
{
    const int64_t ci = s->x.dims[1], co = s->y.dims[1];
    int n = 0;

    if (s->groups > 1)
        dims[n++] = s->groups;
    dims[n++] = co / s->groups;
    dims[n++] = ci / s->groups;
    dims[n++] = s->w.kernel[0];
    dims[n++] = s->w.kernel[1];
    return n;
}

static dnnl_primitive_desc_t conv_descriptor(struct kernel_engine *e, const struct conv_spec *s,
                                             const dnnl_memory_desc_t *x, const dnnl_memory_desc_t *y)
{
    const dnnl_dims_t stride = { s->w.stride[0], s->w.stride[1] };
    const dnnl_dims_t dilation = { s->w.dilation[0] - 1, s->w.dilation[1] - 1 };
    const dnnl_dims_t before = { s->w.before[0], s->w.before[1] };
    const dnnl_dims_t after = { end_padding(&s->w, 0), end_padding(&s->w, 1) };
    dnnl_dims_t dims = { 0 }, bias_dims = { s->y.dims[1] };
    dnnl_memory_desc_t w, b;
    dnnl_convolution_desc_t op;
    dnnl_primitive_attr_t a = conv_attributes(&s->fused, y);
    dnnl_primitive_desc_t pd = NULL;
    const int rank = weight_dims(s, dims);

    if (!a ||
        dnnl_memory_desc_init_by_tag(&w, rank, dims, dnnl_f32, dnnl_format_tag_any) != dnnl_success ||
        dnnl_memory_desc_init_by_tag(&b, 1, bias_dims, dnnl_f32, dnnl_a) != dnnl_success ||
        dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_inference, dnnl_convolution_direct,
                                                   x, &w, s->bias ? &b : NULL, y, stride, dilation,
                                                   before, after) != dnnl_success ||
        dnnl_primitive_desc_create(&pd, &op, a, e->engine, NULL) != dnnl_success)
        pd = NULL;
    if (a)
        dnnl_primitive_attr_destroy(a);
    return pd;
}

/* Aligned memory that a dnnl_memory looks at. */
static bool make_memory(struct kernel *k, const dnnl_memory_desc_t *md, float **data, dnnl_memory_t *ret)
{
    const size_t bytes = (dnnl_memory_desc_get_size(md) + 63) / 64 * 64;

    if (!(*data = aligned_alloc(64, bytes ? bytes : 64)))
        return false;
    k->weight_bytes += bytes;
    return dnnl_memory_create(ret, md, k->engine->engine, *data) == dnnl_success;
}

static bool reorder_now(struct kernel_engine *e, dnnl_memory_t from, const dnnl_memory_desc_t *from_md,
                        dnnl_memory_t to, const dnnl_memory_desc_t *to_md)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t p = NULL;
    dnnl_stream_t s = NULL;
    const bool ok = dnnl_reorder_primitive_desc_create(&pd, from_md, e->engine, to_md, e->engine,
                                                       NULL) == dnnl_success &&
                    dnnl_primitive_create(&p, pd) == dnnl_success &&
                    dnnl_stream_create(&s, e->engine, dnnl_stream_default_flags) == dnnl_success &&
                    dnnl_primitive_execute(p, s, 2, args) == dnnl_success &&
                    dnnl_stream_wait(s) == dnnl_success;

    if (s)
        dnnl_stream_destroy(s);
    if (p)
        dnnl_primitive_destroy(p);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return ok;
}

/* Weights from row-major into the layout that the kernel chose; bias as it is. */
static bool pack_weights(struct kernel *k, const struct conv_spec *s, const dnnl_memory_desc_t *chosen)
{
    struct layout plain = { 0 };
    dnnl_dims_t dims = { 0 }, bias_dims = { s->y.dims[1] };
    dnnl_memory_desc_t from_md, bias_md;
    dnnl_memory_t from = NULL;
    bool ok;

    plain.rank = weight_dims(s, dims);
    for (int i = 0; i < plain.rank; i++)
        plain.dims[i] = dims[i];
    ok = describe(&plain, &from_md) && make_memory(k, chosen, &k->weights_data, &k->weights) &&
         dnnl_memory_create(&from, &from_md, k->engine->engine, (void *)(uintptr_t)s->weights) ==
             dnnl_success &&
         reorder_now(k->engine, from, &from_md, k->weights, chosen);
    if (from)
        dnnl_memory_destroy(from);
    if (!ok || !s->bias)
        return ok;
    if (dnnl_memory_desc_init_by_tag(&bias_md, 1, bias_dims, dnnl_f32, dnnl_a) != dnnl_success ||
        !make_memory(k, &bias_md, &k->bias_data, &k->bias))
        return false;
    memcpy(k->bias_data, s->bias, (size_t)s->y.dims[1] * sizeof(float));
    return true;
}

struct kernel *kernel_conv(struct kernel_engine *e, const struct conv_spec *s)
{
    dnnl_memory_desc_t x, y, chosen = { 0 };
    dnnl_primitive_desc_t pd;
    struct kernel *k;

    if (!describe(&s->x, &x) || !describe(&s->y, &y) || !(pd = conv_descriptor(e, s, &x, &y)))
        return NULL;
    chosen = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (!(k = make_kernel(e, pd)))
        return NULL;
    if (!pack_weights(k, s, &chosen)) {
        kernel_free(k);
        return NULL;
    }
    add_argument(k, DNNL_ARG_SRC, &x);
    if (s->fused.residual) /* the binary post-op follows the activation, where there is one */
        add_argument(k, DNNL_ARG_ATTR_MULTIPLE_POST_OP(s->fused.act != ACT_NONE) | DNNL_ARG_SRC_1, &y);
    add_argument(k, DNNL_ARG_DST, &y);
    return k;
}

struct kernel *kernel_pool(struct kernel_engine *e, enum pool_kind kind, const struct layout *x,
                           const struct layout *y, const struct window *w)
{
    static const dnnl_alg_kind_t kinds[] = { dnnl_pooling_max, dnnl_pooling_avg_exclude_padding,
                                             dnnl_pooling_avg_include_padding };
    const dnnl_dims_t stride = { w->stride[0], w->stride[1] }, kernel = { w->kernel[0], w->kernel[1] };
    const dnnl_dims_t dilation = { w->dilation[0] - 1, w->dilation[1] - 1 };
    const dnnl_dims_t before = { w->before[0], w->before[1] };
    const dnnl_dims_t after = { end_padding(w, 0), end_padding(w, 1) };
    dnnl_memory_desc_t mx, my;
    dnnl_pooling_v2_desc_t op;

    if (!describe(x, &mx) || !describe(y, &my) ||
        dnnl_pooling_v2_forward_desc_init(&op, dnnl_forward_inference, kinds[kind], &mx, &my, stride,
                                          kernel, dilation, before, after) != dnnl_success)
        return NULL;
    return with_input_output(make_simple(e, &op), &mx, &my);
}

static bool describe_flat(size_t n, dnnl_memory_desc_t *ret)
{
    const struct layout l = { .rank = 1, .dims = { (int64_t)n } };

    return describe(&l, ret);
}

struct kernel *kernel_eltwise(struct kernel_engine *e, enum eltwise kind, float alpha, float beta,
                              size_t n)
{
    static const dnnl_alg_kind_t kinds[] = {
        [ELTWISE_RELU] = dnnl_eltwise_relu,
        [ELTWISE_SILU] = dnnl_eltwise_swish,
        [ELTWISE_SIGMOID] = dnnl_eltwise_logistic,
        [ELTWISE_CLIP] = dnnl_eltwise_clip,
        [ELTWISE_HARDSWISH] = dnnl_eltwise_hardswish,
        [ELTWISE_TANH] = dnnl_eltwise_tanh,
        [ELTWISE_ELU] = dnnl_eltwise_elu,
        [ELTWISE_EXP] = dnnl_eltwise_exp,
    };
    dnnl_memory_desc_t md;
    dnnl_eltwise_desc_t op;

    if (n == 0 || !describe_flat(n, &md) ||
        dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference, kinds[kind], &md,
                                       kind == ELTWISE_SILU ? 1 : alpha, beta) != dnnl_success)
        return NULL;
    return with_input_output(make_simple(e, &op), &md, &md);
}

struct kernel *kernel_binary(struct kernel_engine *e, enum binary kind, const struct layout *a,
                             const struct layout *b)
{
    static const dnnl_alg_kind_t kinds[] = { dnnl_binary_add, dnnl_binary_sub, dnnl_binary_mul,
                                             dnnl_binary_div };
    dnnl_memory_desc_t ma, mb;
    dnnl_binary_desc_t op;
    struct kernel *k;

    if (!describe(a, &ma) || !describe(b, &mb) ||
        dnnl_binary_desc_init(&op, kinds[kind], &ma, &mb, &ma) != dnnl_success ||
        !(k = make_simple(e, &op)))
        return NULL;
    add_argument(k, DNNL_ARG_SRC_0, &ma);
    add_argument(k, DNNL_ARG_SRC_1, &mb);
    add_argument(k, DNNL_ARG_DST, &ma);
    return k;
}

struct kernel *kernel_softmax(struct kernel_engine *e, size_t outer, size_t n, size_t inner)
{
    const struct layout l = { .rank = 3, .dims = { (int64_t)outer, (int64_t)n, (int64_t)inner } };
    dnnl_memory_desc_t md;
    dnnl_softmax_v2_desc_t op;

    if (outer * n * inner == 0 || !describe(&l, &md) ||
        dnnl_softmax_v2_forward_desc_init(&op, dnnl_forward_inference, dnnl_softmax_accurate, &md, &md,
                                          1) != dnnl_success)
        return NULL;
    return with_input_output(make_simple(e, &op), &md, &md);
}

struct kernel *kernel_matmul(struct kernel_engine *e, const struct layout *a, const struct layout *b,
                             const struct layout *y)
{
    dnnl_memory_desc_t ma, mb, my;
    dnnl_matmul_desc_t op;
    struct kernel *k;

    if (!describe(a, &ma) || !describe(b, &mb) || !describe(y, &my) ||
        dnnl_matmul_desc_init(&op, &ma, &mb, NULL, &my) != dnnl_success || !(k = make_simple(e, &op)))
        return NULL;
    add_argument(k, DNNL_ARG_SRC, &ma);
    add_argument(k, DNNL_ARG_WEIGHTS, &mb);
    add_argument(k, DNNL_ARG_DST, &my);
    return k;
}

/*
 * A blocked layout holds whole blocks; oneDNN is told the real channels, so that it reads or clears the
 * rest by its own padding rules.
 */
struct kernel *kernel_reorder(struct kernel_engine *e, const struct layout *x, const struct layout *y)
{
    struct layout from = *x, to = *y;
    dnnl_memory_desc_t mx, my;
    dnnl_primitive_attr_t a = make_attributes();
    dnnl_primitive_desc_t pd = NULL;

    from.dims[1] = to.dims[1] = x->dims[1] < y->dims[1] ? x->dims[1] : y->dims[1];
    if (!a || !describe(&from, &mx) || !describe(&to, &my) ||
        dnnl_reorder_primitive_desc_create(&pd, &mx, e->engine, &my, e->engine, a) != dnnl_success)
        pd = NULL;
    if (a)
        dnnl_primitive_attr_destroy(a);
    return with_input_output(make_kernel(e, pd), &mx, &my);
}

struct kernel_stream *kernel_stream_create(struct kernel_engine *e)
{
    struct kernel_stream *s = calloc(1, sizeof *s);

    if (!s || dnnl_stream_create(&s->stream, e->engine, dnnl_stream_default_flags) != dnnl_success) {
        free(s);
        return NULL;
    }
    s->threads = e->threads;
    return s;
}

void kernel_stream_free(struct kernel_stream *s)
{
    if (!s)
        return;
    dnnl_stream_destroy(s->stream);
    free(s);
}

void kernel_stream_begin(struct kernel_stream *s)
{
    omp_set_num_threads(s->threads);
}

static bool bind(struct kernel_binding *b, const struct kernel *k, int argument,
                 const dnnl_memory_desc_t *md, void *p)
{
    dnnl_memory_t m;

    if (dnnl_memory_create(&m, md, k->engine->engine, p) != dnnl_success)
        return false;
    b->owned[b->n] = m;
    b->args[b->n++] = (dnnl_exec_arg_t){ argument, m };
    return true;
}

struct kernel_binding *kernel_bind(const struct kernel *k, void *const pointers[], void *scratch)
{
    struct kernel_binding *b = calloc(1, sizeof *b);
    bool ok = b != NULL;

    for (int i = 0; ok && i < k->narguments; i++)
        ok = bind(b, k, k->argument[i], &k->desc[i], pointers[i]);
    if (ok && kernel_scratch_bytes(k))
        ok = bind(b, k, DNNL_ARG_SCRATCHPAD, &k->scratch, scratch);
    if (!ok) {
        kernel_binding_free(b);
        return NULL;
    }
    if (k->weights)
        b->args[b->n++] = (dnnl_exec_arg_t){ DNNL_ARG_WEIGHTS, k->weights };
    if (k->bias)
        b->args[b->n++] = (dnnl_exec_arg_t){ DNNL_ARG_BIAS, k->bias };
    return b;
}

void kernel_binding_free(struct kernel_binding *b)
{
    for (int i = 0; b && i < b->n; i++)
        if (b->owned[i])
            dnnl_memory_destroy(b->owned[i]);
    free(b);
}

enum status kernel_execute(const struct kernel *k, const struct kernel_binding *b,
                           struct kernel_stream *s, struct fault *f)
{
    if (dnnl_primitive_execute(k->primitive, s->stream, b->n, b->args) != dnnl_success)
        return fault_set(f, ST_INTERNAL, NULL, "a kernel of the inference engine failed");
    return ST_OK;
}
