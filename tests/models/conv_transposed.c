/*
 * Transposed convolutions: strides, borders, few channels, groups, several pictures, in float32 and in
 * 16 bits, against the reference.
 */
#include "tests/models/pass_case.h"

enum { ROUNDS = 40 };

TEST(transposed_convolutions_of_random_shapes_match_the_reference)
{
    static const int channels[] = { 1, 2, 3, 4, 6, 16, 24, 40 }, groups[] = { 1, 1, 2, 4 };

    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed;
        const int group = groups[random_int(&s, 0, 3)], stride = random_int(&s, 1, 3);
        const int64_t ci = group * channels[random_int(&s, 0, 7)], each = channels[random_int(&s, 0, 7)];
        const int64_t kernel = random_int(&s, 1, 4), pad = random_int(&s, 0, (int)(kernel - 1) / 2);
        const int64_t co[] = { group * each };
        struct buffer g = { 0 }, at = { 0 };
        onnx_input(
            &g, "x", 4,
            (const int64_t[]){ random_int(&s, 1, 2), ci, random_int(&s, 2, 9), random_int(&s, 2, 9) });
        onnx_output(&g, "y");
        random_constant(&g, "w", 4, (const int64_t[]){ ci, each, kernel, kernel }, &s, 0.4f);
        random_constant(&g, "b", 1, co, &s, 1);
        onnx_ints_attribute(&at, "strides", 2, (const int64_t[]){ stride, stride });
        onnx_ints_attribute(&at, "pads", 4, (const int64_t[]){ pad, pad, pad, pad });
        onnx_int_attribute(&at, "group", group);
        onnx_node(&g, "ConvTranspose", "x w b", "a", &at);
        onnx_node(&g, seed & 1 ? "Sigmoid" : "Neg", "a", "y", NULL);
        check_pass(&g, 13, seed, "ConvTranspose", 1, 2e-4);
    }
}

/* What groups and few channels were run by until now. */
TEST(groups_and_few_channels_are_no_references)
{
    static const int64_t cases[][2] = { { 1, 1 }, { 4, 8 }, { 16, 1 } }; /* groups, channels of each */

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        const int64_t ci = cases[i][0] * 8;
        struct buffer g = picture_graph(ci, 6, 5), at = { 0 };
        struct model *m;
        struct plan *p = NULL;
        struct fault f = FAULT_INIT;
        random_constant(&g, "w", 4, (const int64_t[]){ ci, cases[i][1], 2, 2 }, &s, 1);
        onnx_ints_attribute(&at, "strides", 2, (const int64_t[]){ 2, 2 });
        onnx_int_attribute(&at, "group", cases[i][0]);
        onnx_node(&g, "ConvTranspose", "x w", "y", &at);
        m = run_load(&g, 13);
        CHECK(m && plan_create(graph_clone(m->graph), NULL, &p, &f) == ST_OK);
        for (int k = 0; p && k < p->nsteps; k++)
            CHECK(!p->steps[k].run || p->steps[k].run != op_find("ConvTranspose", 13)->reference);
        if (p)
            plan_free(p);
        model_free(m);
    }
}
