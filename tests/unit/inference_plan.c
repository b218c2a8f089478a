/* Memory of plans: what lives at the same time never shares bytes, views lie inside their slot, large
 * graphs stay small. */
#include "tests/unit/inference_run.h"

static void conv(struct buffer *g, int64_t ci, int64_t co, const char *from, const char *to)
{
    char name[32], inputs[64];
    float *w = calloc((size_t)(ci * co), sizeof *w);

    snprintf(name, sizeof name, "w_%s", to);
    snprintf(inputs, sizeof inputs, "%s %s", from, name);
    onnx_floats(g, name, 4, (const int64_t[]){ co, ci, 1, 1 }, w);
    onnx_node(g, "Conv", inputs, to, NULL);
    free(w);
}

static void concat(struct buffer *g, const char *from, const char *to)
{
    struct buffer a = { 0 };

    onnx_int_attribute(&a, "axis", 1);
    onnx_node(g, "Concat", from, to, &a);
}

/* The shape of YOLO's C2f block: split, a chain, everything concatenated. */
static struct plan *plan_of_block(struct model **ret_model)
{
    struct buffer g = { 0 }, split = { 0 };
    struct fault f = FAULT_INIT;
    struct plan *p = NULL;
    struct graph *copy;

    onnx_input(&g, "x", 4, (const int64_t[]){ 1, 3, 32, 32 });
    onnx_output(&g, "y");
    conv(&g, 3, 64, "x", "a");
    onnx_int_attribute(&split, "axis", 1);
    onnx_node(&g, "Split", "a", "p q", &split);
    conv(&g, 32, 32, "q", "c1");
    conv(&g, 32, 32, "c1", "c2");
    concat(&g, "p q c1 c2", "cat");
    conv(&g, 128, 64, "cat", "d");
    conv(&g, 64, 64, "d", "e");
    conv(&g, 64, 8, "e", "y");
    if (!(*ret_model = run_load(&g, 13)) || !(copy = graph_clone((*ret_model)->graph)))
        return NULL;
    if (graph_optimise(copy, &f) != ST_OK || plan_create(copy, NULL, &p, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    return p;
}

static bool overlap(size_t a, size_t a_bytes, size_t b, size_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

TEST(slots_that_live_at_the_same_time_do_not_share_bytes)
{
    struct model *m = NULL;
    struct plan *p = plan_of_block(&m);
    size_t all = 0;

    REQUIRE(p != NULL);
    for (int i = 0; i < p->nslots; i++) {
        const struct slot *a = &p->slots[i];
        if (a->base != GRAPH_NONE || a->v.data)
            continue;
        all += value_bytes(&a->v);
        CHECK(a->offset + value_bytes(&a->v) <= p->memory_bytes);
        for (int k = i + 1; k < p->nslots; k++) {
            const struct slot *b = &p->slots[k];
            if (b->base == GRAPH_NONE && !b->v.data && a->first <= b->last && b->first <= a->last)
                CHECK(!overlap(a->offset, value_bytes(&a->v), b->offset, value_bytes(&b->v)));
        }
    }
    CHECK(p->memory_bytes < all); /* something was reused */
    plan_free(p);
    model_free(m);
}

TEST(a_split_and_a_concatenation_of_whole_blocks_copy_nothing)
{
    struct model *m = NULL;
    struct plan *p = plan_of_block(&m);

    REQUIRE(p != NULL);
    for (int i = 0; i < p->nsteps; i++)
        CHECK(p->steps[i].kernel || p->steps[i].conv);
    for (int i = 0; i < p->nslots; i++) {
        size_t offset;
        const int root = plan_root(p, i, &offset);
        CHECK(offset + value_bytes(&p->slots[i].v) <= value_bytes(&p->slots[root].v));
    }
    plan_free(p);
    model_free(m);
}

TEST(no_convolution_of_a_network_falls_to_slow_code)
{
    struct model *m = NULL;
    struct plan *p = plan_of_block(&m);

    REQUIRE(p != NULL);
    for (int i = 0; i < p->nsteps; i++)
        if (p->steps[i].kernel && kernel_is_slow(p->steps[i].kernel))
            TEST_FAIL_("step %d: %s", i, kernel_name(p->steps[i].kernel));
    plan_free(p);
    model_free(m);
}

TEST(few_channels_in_the_middle_of_a_network_keep_a_fast_kernel)
{
    struct buffer g = { 0 };
    struct fault f = FAULT_INIT;
    struct model *m;
    struct plan *p = NULL;

    onnx_input(&g, "x", 4, (const int64_t[]){ 1, 3, 32, 32 });
    onnx_output(&g, "y");
    conv(&g, 3, 8, "x", "a");
    conv(&g, 8, 16, "a", "y");
    REQUIRE((m = run_load(&g, 13)) != NULL);
    REQUIRE(plan_create(graph_clone(m->graph), NULL, &p, &f) == ST_OK);
    for (int i = 0; i < p->nsteps; i++)
        if (p->steps[i].kernel)
            CHECK(!kernel_is_slow(p->steps[i].kernel));
    plan_free(p);
    model_free(m);
}
