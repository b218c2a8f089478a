/* Lists of layers to be avoided: what is added is found again, in text and back. */
#include "tests/unit/test.h"

#include "inference/plan/avoid.h"

/* Nodes that make tensors of these names, in one graph. */
static struct graph *make_graph(const char *const names[], int n)
{
    struct graph *g = graph_create(1 << 20);
    const struct value v = { .type = DTYPE_F32 };

    for (int i = 0; g && i < n; i++) {
        const int t = graph_add_tensor(g, names[i], &v), k = graph_add_node(g, "Conv", "", 0, 1, 0);
        if (t == GRAPH_NONE || k == GRAPH_NONE) {
            graph_free(g);
            return NULL;
        }
        g->nodes[k].outputs[0] = t;
    }
    return g;
}

TEST(a_layer_is_avoided_once_it_is_added)
{
    struct graph *g = make_graph((const char *const[]){ "a", "b" }, 2);
    struct avoided a = { .n = 0 };

    REQUIRE(g != NULL);
    CHECK(avoided_how(NULL, g, &g->nodes[0]) == AVOID_NOTHING);
    CHECK(avoided_how(&a, g, &g->nodes[0]) == AVOID_NOTHING);
    CHECK(avoided_add(&a, g, &g->nodes[0], AVOID_OWN));
    CHECK(avoided_how(&a, g, &g->nodes[0]) == AVOID_OWN);
    CHECK(avoided_how(&a, g, &g->nodes[1]) == AVOID_NOTHING);
    CHECK(!avoided_add(&a, g, &g->nodes[0], AVOID_OWN)); /* so it was */
    CHECK(avoided_add(&a, g, &g->nodes[0], AVOID_FAST));
    CHECK(!avoided_add(&a, g, &g->nodes[0], AVOID_OWN)); /* never back */
    CHECK(avoided_how(&a, g, &g->nodes[0]) == AVOID_FAST);
    CHECK_I64(a.n, 1);
    graph_free(g);
}

TEST(a_list_survives_as_text)
{
    struct avoided a = { .n = 0 }, b;
    char text[AVOIDED_TEXT];

    for (int i = 0; i < LIMIT_PLAN_AVOIDED; i++) {
        a.items[i].layer = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        a.items[i].how = i % 2 ? AVOID_OWN : AVOID_FAST;
    }
    for (a.n = 0; a.n <= LIMIT_PLAN_AVOIDED; a.n += 64) {
        REQUIRE(avoided_read(avoided_text(&a, text), &b));
        CHECK_I64(b.n, a.n);
        for (int i = 0; i < a.n; i++)
            CHECK(a.items[i].layer == b.items[i].layer && a.items[i].how == b.items[i].how);
    }
    CHECK(strlen(text) < sizeof text);
}

TEST(other_text_is_no_list)
{
    static const char *const wrong[] = { " ",
                                         "1",
                                         "0123456789abcdef",
                                         "0123456789abcdef:",
                                         "0123456789abcdef:slow",
                                         "0123456789ABCDEF:own",
                                         "0123456789abcdef:own ",
                                         "0123456789abcdef:ownfast",
                                         "0123456789abcdef:own,0123456789abcdef:own" };
    struct avoided a;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (avoided_read(wrong[i], &a))
            TEST_FAIL_("\"%s\" was read", wrong[i]);
    CHECK(avoided_read("", &a) && a.n == 0);
}
