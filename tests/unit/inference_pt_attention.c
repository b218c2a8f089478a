/*
 * Blocks of attention, as inference_pt_blocks.c has it for the others: every query over its keys, head
 * by head, in plain loops.
 */
#include "tests/unit/inference_pt_check.h"

static struct module *attention(const char *class, int heads, int key, int value, int area)
{
    const int c = heads * value;
    struct module *m = module_new(YOLO, class);

    module_child(m, "qkv", conv_act(c, heads * (2 * key + value), 1, 1, 1, "Identity"));
    module_child(m, "proj", conv_act(c, c, 1, 1, 1, "Identity"));
    module_child(m, "pe", conv_act(c, c, 3, 1, c, "Identity"));
    module_int(module_int(module_int(m, "num_heads", heads), "key_dim", key), "head_dim", value);
    module_real(m, "scale", pow(key, -0.5));
    return area ? module_int(m, "area", area) : m;
}

/* Every query over the cells of its own stripe, head by head. */
static struct map eval_attention(const struct module *m, struct map x)
{
    const int heads = module_number(m, "num_heads"), key = module_number(m, "key_dim"),
              value = module_number(m, "head_dim"), each = 2 * key + value;
    const int area = module_find(m, "area") ? module_number(m, "area") : 1, n = x.h * x.w / area;
    const struct map qkv = eval_part(m, "qkv", x);
    struct map y = map_new(x.c, x.h, x.w), v = map_new(x.c, x.h, x.w);
    double *weight = arena_array(modules.arena, (size_t)n, sizeof *weight);

    for (int h = 0; h < heads; h++)
        for (int i = 0; i < x.h * x.w; i++) {
            const double *q = qkv.v + h * each * x.h * x.w, *k = q + key * x.h * x.w,
                         *p = k + key * x.h * x.w;
            const int from = i / n * n;
            double sum = 0;
            for (int j = 0; j < n; j++) {
                double dot = 0;
                for (int d = 0; d < key; d++)
                    dot += q[d * x.h * x.w + i] * k[d * x.h * x.w + from + j];
                sum += weight[j] = exp(dot / sqrt(key));
            }
            for (int d = 0; d < value; d++) {
                double *out = &y.v[(h * value + d) * x.h * x.w + i];
                v.v[(h * value + d) * x.h * x.w + i] = p[d * x.h * x.w + i];
                for (int j = 0; j < n; j++)
                    *out += weight[j] / sum * p[d * x.h * x.w + from + j];
            }
        }
    return eval_part(m, "proj", eval_add(y, eval_part(m, "pe", v)));
}

static struct map eval_twice(const struct module *m, const char *second, struct map x)
{
    x = eval_add(x, eval_attention(part(m, "attn"), x));
    return eval_add(x, eval_part(m, second, x));
}

TEST(psa_adds_attention_to_half_of_its_channels)
{
    struct module *m;
    struct map x, y;

    modules_begin(80);
    x = random_map(3, 4, 5);
    m = module_new(YOLO, "PSA");
    module_child(module_child(m, "cv1", conv(3, 16, 1, 1)), "cv2", conv(16, 4, 1, 1));
    module_child(m, "attn", attention("Attention", 2, 2, 4, 0));
    module_child(m, "ffn", SEQUENTIAL(conv(8, 12, 1, 1), conv_act(12, 8, 1, 1, 1, "Identity")));
    y = eval_part(m, "cv1", x);
    check_block(m, x, eval_part(m, "cv2", CAT(eval_half(y, 0), eval_twice(m, "ffn", eval_half(y, 1)))));
    modules_end();
}

static struct module *area_block(int area)
{
    struct module *m = module_new(YOLO, "ABlock");

    module_child(m, "attn", attention("AAttn", 2, 3, 3, area));
    return module_child(m, "mlp", SEQUENTIAL(conv(6, 8, 1, 1), conv_act(8, 6, 1, 1, 1, "Identity")));
}

TEST(area_attention_stays_in_its_stripe)
{
    static const int areas[] = { 1, 2, 4 };

    for (int i = 0; i < 6; i++) {
        struct module *m, *items;
        struct map x, y, a, b, want;
        modules_begin(81);
        x = random_map(6, 4, 6);
        m = module_new(YOLO, "A2C2f");
        items = MODULE_LIST(SEQUENTIAL(area_block(areas[i / 2]), area_block(areas[i / 2])));
        module_child(module_child(m, "cv1", conv(6, 6, 1, 1)), "cv2", conv(12, 6, 1, 1));
        module_child(m, "m", items);
        y = eval_part(m, "cv1", x);
        a = eval_twice(part(part(items, "0"), "0"), "mlp", y);
        b = eval_twice(part(part(items, "0"), "1"), "mlp", a);
        want = eval_part(m, "cv2", CAT(y, b));
        if (i % 2) { /* a weight a channel */
            const struct weights *gamma =
                module_weights(m, E_PARAMETER, "gamma", 0, 1, (int64_t[]){ 6 });
            for (int k = 0; k < 6 * 24; k++)
                want.v[k] = x.v[k] + (double)gamma->v[k / 24] * want.v[k];
        }
        check_block(m, x, want);
        modules_end();
    }
}

TEST(c2fpsa_and_c3k2_take_blocks_of_attention_as_items)
{
    struct module *m, *block;
    struct map x, y, a;

    modules_begin(82);
    x = random_map(3, 4, 4);
    block = module_bool(module_new(YOLO, "PSABlock"), "add", true);
    module_child(block, "attn", attention("Attention", 2, 2, 4, 0));
    module_child(block, "ffn", SEQUENTIAL(conv(8, 8, 1, 1), conv_act(8, 8, 1, 1, 1, "Identity")));
    m = module_new(YOLO, "C2fPSA");
    module_child(module_child(m, "cv1", conv(3, 16, 1, 1)), "cv2", conv(24, 4, 1, 1));
    module_child(m, "m", MODULE_LIST(SEQUENTIAL(bottleneck(8, true), block)));
    y = eval_part(m, "cv1", x);
    a = eval_twice(block, "ffn", eval_bottleneck(part(part(part(m, "m"), "0"), "0"), eval_half(y, 1)));
    check_block(m, x, eval_part(m, "cv2", CAT(y, a)));
    modules_end();
}
