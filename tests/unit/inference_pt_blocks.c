/*
 * Classes of modules that no fixture has, one small network each: what the graph computes against a
 * direct evaluation of the block's formula. Attention: inference_pt_attention.c.
 */
#include "tests/unit/inference_pt_check.h"

/* Conv and its kin */

TEST(a_conv_has_the_activation_and_the_epsilon_that_the_file_says)
{
    static const char *const acts[] = { "SiLU",      "ReLU", "ReLU6", "LeakyReLU",
                                        "Hardswish", "Mish", "GELU",  "Identity" };

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct module *m;
        struct map x;
        modules_begin(i + 1);
        x = random_map(6, 7, 9);
        m = conv_act(6, 4, 3, 2, 2, acts[i]);
        module_find(part(m, "bn"), "eps");
        check_block(m, x, eval(m, x));
        modules_end();
    }
}

TEST(a_fused_conv_has_a_bias_and_no_normalisation)
{
    struct module *m;
    struct map x;

    modules_begin(20);
    x = random_map(3, 6, 6);
    m = module_new(YOLO, "Conv");
    module_child(m, "conv", conv2d(3, 5, 3, 1, 1, 1, true));
    module_child(m, "act", plain("SiLU"));
    check_block(m, x, eval(m, x));
    modules_end();
}

TEST(weights_are_gathered_from_every_type_and_order)
{
    for (int storage = STORE_F32; storage <= STORE_F64; storage++)
        for (int last = 0; last < 2; last++) {
            struct module *m;
            struct map x;
            modules_begin(30);
            modules.storage = (enum storage)storage;
            modules.channels_last = last;
            x = random_map(4, 5, 5);
            m = conv(4, 6, 3, 1);
            check_block(m, x, eval(m, x));
            modules_end();
        }
}

static struct map activate(const struct module *m, struct map x)
{
    return eval_part(m, "act", x);
}

TEST(a_rep_conv_is_the_sum_of_its_branches)
{
    for (int identity = 0; identity < 2; identity++)
        for (int groups = 1; groups <= 2; groups++) {
            struct module *m;
            struct map x, sum;
            modules_begin(40);
            x = random_map(4, 6, 5);
            m = module_new(YOLO, "RepConv");
            module_child(m, "conv1", conv_act(4, 4, 3, 1, groups, "Identity"));
            module_child(m, "conv2", conv_act(4, 4, 1, 1, groups, "Identity"));
            module_child(m, "act", plain("SiLU"));
            sum = eval_add(eval_part(m, "conv1", x), eval_part(m, "conv2", x));
            if (identity) {
                module_child(m, "bn", batchnorm(4, 1e-5));
                sum = eval_add(sum, eval_part(m, "bn", x));
            }
            check_block(m, x, activate(m, sum));
            modules_end();
        }
}

TEST(a_fused_rep_conv_uses_its_one_convolution)
{
    struct module *m;
    struct map x;

    modules_begin(41);
    x = random_map(3, 6, 5);
    m = module_new(YOLO, "RepConv");
    module_child(m, "conv", conv2d(3, 4, 3, 1, 1, 1, true));
    module_child(m, "act", plain("SiLU"));
    check_block(m, x, activate(m, eval_part(m, "conv", x)));
    modules_end();
}

static struct module *rep_dw(int c)
{
    struct module *m = module_new(YOLO, "RepVGGDW");

    module_child(m, "conv", conv_act(c, c, 7, 1, c, "Identity"));
    module_child(m, "conv1", conv_act(c, c, 3, 1, c, "Identity"));
    return module_child(m, "act", plain("SiLU"));
}

static struct map eval_rep_dw(const struct module *m, struct map x)
{
    return activate(m, eval_add(eval_part(m, "conv", x), eval_part(m, "conv1", x)));
}

TEST(a_rep_vgg_dw_is_the_sum_of_a_large_and_a_small_window)
{
    struct module *m;
    struct map x;

    modules_begin(42);
    x = random_map(4, 9, 8);
    m = rep_dw(4);
    check_block(m, x, eval_rep_dw(m, x));
    m = module_new(YOLO, "RepVGGDW");
    module_child(m, "conv", conv2d(4, 4, 7, 1, 3, 4, true));
    module_child(m, "act", plain("SiLU"));
    check_block(m, x, activate(m, eval_part(m, "conv", x)));
    modules_end();
}

TEST(a_conv2_shares_one_normalisation)
{
    struct module *m;
    struct map x;

    modules_begin(43);
    x = random_map(3, 6, 6);
    m = module_new(YOLO, "Conv2");
    module_child(m, "conv", conv2d(3, 4, 3, 2, 1, 1, false));
    module_child(m, "cv2", conv2d(3, 4, 1, 2, 0, 1, false));
    module_child(m, "bn", batchnorm(4, 1e-3));
    module_child(m, "act", plain("SiLU"));
    check_block(
        m, x,
        activate(m, eval_part(m, "bn", eval_add(eval_part(m, "conv", x), eval_part(m, "cv2", x)))));
    modules_end();
}

TEST(scdown_and_light_conv_are_chains)
{
    struct module *m;
    struct map x;

    modules_begin(44);
    x = random_map(3, 8, 8);
    m = module_new(YOLO, "SCDown");
    module_child(m, "cv1", conv(3, 4, 1, 1));
    module_child(m, "cv2", conv_act(4, 4, 3, 2, 4, "Identity"));
    check_block(m, x, eval_part(m, "cv2", eval_part(m, "cv1", x)));
    m = module_new(YOLO, "LightConv");
    module_child(m, "conv1", conv_act(3, 4, 1, 1, 1, "Identity"));
    module_child(m, "conv2", conv_act(4, 4, 3, 1, 4, "ReLU"));
    check_block(m, x, eval_part(m, "conv2", eval_part(m, "conv1", x)));
    modules_end();
}

/* YOLOv5 */

TEST(focus_takes_every_second_pixel_rows_first)
{
    struct map x, part4[4];
    struct module *m;

    modules_begin(50);
    x = random_map(3, 6, 8);
    for (int i = 0; i < 4; i++) {
        part4[i] = map_new(3, 3, 4);
        for (int k = 0; k < 36; k++)
            *map_at(part4[i], k / 12, k / 4 % 3, k % 4) =
                *map_at(x, k / 12, 2 * (k / 4 % 3) + i % 2, 2 * (k % 4) + i / 2);
    }
    m = module_new("models.common", "Focus");
    module_child(m, "conv", conv(12, 4, 3, 1));
    check_block(m, x, eval_part(m, "conv", eval_cat(4, part4)));
    modules_end();
}

TEST(a_bottleneck_csp_normalises_what_it_concatenates)
{
    struct map x, y;
    struct module *m;

    modules_begin(51);
    x = random_map(4, 6, 6);
    m = module_new("models.common", "BottleneckCSP");
    module_child(m, "cv1", conv(4, 2, 1, 1));
    module_child(m, "cv2", conv2d(4, 2, 1, 1, 0, 1, false));
    module_child(m, "cv3", conv2d(2, 2, 1, 1, 0, 1, false));
    module_child(m, "cv4", conv(4, 4, 1, 1));
    module_child(m, "bn", batchnorm(4, 1e-3));
    module_child(m, "act", plain("LeakyReLU"));
    module_child(m, "m", SEQUENTIAL(bottleneck(2, true)));
    y = eval_bottleneck(part(part(m, "m"), "0"), eval_part(m, "cv1", x));
    y = eval_part(m, "bn", CAT(eval_part(m, "cv3", y), eval_part(m, "cv2", x)));
    check_block(m, x, eval_part(m, "cv4", activate(m, y)));
    modules_end();
}

TEST(spp_pools_in_parallel_and_sppf_in_a_row)
{
    struct map x, y, z;
    struct module *m;

    modules_begin(52);
    x = random_map(3, 9, 9);
    m = module_new("models.common", "SPP");
    module_child(m, "cv1", conv(3, 2, 1, 1));
    module_child(m, "cv2", conv(8, 4, 1, 1));
    module_child(m, "m", MODULE_LIST(max_pool(5, 1, 2), max_pool(9, 1, 4), max_pool(13, 1, 6)));
    y = eval_part(m, "cv1", x);
    check_block(
        m, x,
        eval_part(m, "cv2", CAT(y, eval_max(y, 5, 1, 2), eval_max(y, 9, 1, 4), eval_max(y, 13, 1, 6))));
    m = module_new(YOLO, "SPPF");
    module_child(m, "cv1", conv_act(3, 2, 1, 1, 1, "Identity"));
    module_child(m, "cv2", conv(6, 3, 1, 1));
    module_child(m, "m", max_pool(5, 1, 2));
    module_bool(module_int(m, "n", 2), "add", true);
    y = eval_part(m, "cv1", x);
    z = eval_max(y, 5, 1, 2);
    check_block(m, x, eval_add(x, eval_part(m, "cv2", CAT(y, z, eval_max(z, 5, 1, 2)))));
    modules_end();
}

static struct module *ghost(int ci, int co)
{
    struct module *m = module_new(YOLO, "GhostConv");

    module_child(m, "cv1", conv(ci, co / 2, 1, 1));
    return module_child(m, "cv2", conv_act(co / 2, co / 2, 5, 1, co / 2, "SiLU"));
}

static struct map eval_ghost(const struct module *m, struct map x)
{
    const struct map y = eval_part(m, "cv1", x);

    return CAT(y, eval_part(m, "cv2", y));
}

TEST(ghosts_make_half_of_their_channels_from_the_other_half)
{
    struct module *m, *steps;
    struct map x;

    modules_begin(53);
    x = random_map(4, 6, 6);
    m = ghost(4, 6);
    check_block(m, x, eval_ghost(m, x));
    m = module_new(YOLO, "GhostBottleneck");
    steps = SEQUENTIAL(ghost(4, 2), plain("Identity"), ghost(2, 4));
    module_child(m, "conv", steps);
    module_child(m, "shortcut", SEQUENTIAL(plain("Identity")));
    check_block(m, x, eval_add(eval_ghost(part(steps, "2"), eval_ghost(part(steps, "0"), x)), x));
    modules_end();
}

TEST(c1_c2_and_c3_are_told_apart)
{
    struct module *m, *items;
    struct map x, y;

    modules_begin(54);
    x = random_map(4, 6, 6);
    m = module_new(YOLO, "C1");
    module_child(m, "cv1", conv(4, 4, 1, 1));
    module_child(m, "m", SEQUENTIAL(conv(4, 4, 3, 1)));
    y = eval_part(m, "cv1", x);
    check_block(m, x, eval_add(eval_part(m, "m", y), y));
    m = module_new(YOLO, "C2");
    items = SEQUENTIAL(bottleneck(2, true));
    module_child(module_child(m, "cv1", conv(4, 4, 1, 1)), "cv2", conv(4, 5, 1, 1));
    module_child(m, "m", items);
    y = eval_part(m, "cv1", x);
    check_block(
        m, x,
        eval_part(m, "cv2", CAT(eval_bottleneck(part(items, "0"), eval_half(y, 0)), eval_half(y, 1))));
    m = module_new(YOLO, "C3");
    items = SEQUENTIAL(bottleneck(2, false));
    module_child(module_child(m, "cv1", conv(4, 2, 1, 1)), "cv2", conv(4, 2, 1, 1));
    module_child(module_child(m, "cv3", conv(4, 5, 1, 1)), "m", items);
    y = eval_bottleneck(part(items, "0"), eval_part(m, "cv1", x));
    check_block(m, x, eval_part(m, "cv3", CAT(y, eval_part(m, "cv2", x))));
    modules_end();
}

TEST(tensors_of_a_layer_have_names_of_their_own)
{
    struct module *layers[2], *m;
    struct fault f = FAULT_INIT;
    struct model *read;

    modules_begin(55);
    m = module_new(YOLO, "C3");
    module_child(module_child(m, "cv1", conv(4, 2, 1, 1)), "cv2", conv(4, 2, 1, 1));
    module_child(module_child(m, "cv3", conv(4, 5, 1, 1)), "m", SEQUENTIAL(bottleneck(2, true)));
    layers[0] = m;
    layers[1] = classifier(5);
    REQUIRE((read = network_read(network(layers, 2), 4, &f)) != NULL);
    for (int i = 0; i < read->graph->nnodes; i++)
        for (int k = 0; k < i; k++)
            CHECK(strcmp(read->graph->tensors[read->graph->nodes[i].outputs[0]].name,
                         read->graph->tensors[read->graph->nodes[k].outputs[0]].name) != 0);
    CHECK(read->graph->nnodes > 5);
    model_free(read);
    modules_end();
}

/* v9 */

static struct module *rep_csp(int ci, int co)
{
    struct module *m = module_new(YOLO, "RepCSP"), *inner = module_new(YOLO, "RepBottleneck"),
                  *rep = module_new(YOLO, "RepConv");

    module_child(rep, "conv1", conv_act(co, co, 3, 1, 1, "Identity"));
    module_child(rep, "conv2", conv_act(co, co, 1, 1, 1, "Identity"));
    module_child(rep, "act", plain("SiLU"));
    module_child(module_child(inner, "cv1", rep), "cv2", conv(co, co, 3, 1));
    module_bool(inner, "add", true);
    module_child(module_child(m, "cv1", conv(ci, co, 1, 1)), "cv2", conv(ci, co, 1, 1));
    return module_child(module_child(m, "cv3", conv(2 * co, co, 1, 1)), "m", SEQUENTIAL(inner));
}

static struct map eval_rep_csp(const struct module *m, struct map x)
{
    const struct module *inner = part(part(m, "m"), "0"), *rep = part(inner, "cv1");
    const struct map y = eval_part(m, "cv1", x);
    const struct map z = activate(rep, eval_add(eval_part(rep, "conv1", y), eval_part(rep, "conv2", y)));

    return eval_part(m, "cv3", CAT(eval_add(y, eval_part(inner, "cv2", z)), eval_part(m, "cv2", x)));
}

TEST(elan_blocks_concatenate_every_stage)
{
    struct map x, y, a, b;
    struct module *m;

    modules_begin(60);
    x = random_map(4, 6, 6);
    m = module_new(YOLO, "ELAN1");
    module_child(module_child(m, "cv1", conv(4, 4, 1, 1)), "cv2", conv(2, 3, 3, 1));
    module_child(module_child(m, "cv3", conv(3, 2, 3, 1)), "cv4", conv(9, 4, 1, 1));
    y = eval_part(m, "cv1", x);
    a = eval_part(m, "cv2", eval_half(y, 1));
    check_block(m, x, eval_part(m, "cv4", CAT(y, a, eval_part(m, "cv3", a))));

    m = module_new(YOLO, "RepNCSPELAN4");
    module_child(m, "cv1", conv(4, 4, 1, 1));
    module_child(m, "cv2", SEQUENTIAL(rep_csp(2, 2), conv(2, 2, 3, 1)));
    module_child(m, "cv3", SEQUENTIAL(rep_csp(2, 2), conv(2, 2, 3, 1)));
    module_child(m, "cv4", conv(8, 4, 1, 1));
    y = eval_part(m, "cv1", x);
    a = eval_part(part(m, "cv2"), "1", eval_rep_csp(part(part(m, "cv2"), "0"), eval_half(y, 1)));
    b = eval_part(part(m, "cv3"), "1", eval_rep_csp(part(part(m, "cv3"), "0"), a));
    check_block(m, x, eval_part(m, "cv4", CAT(y, a, b)));
    modules_end();
}

TEST(adown_averages_one_half_and_takes_maxima_of_the_other)
{
    struct module *m;
    struct map x, y;

    modules_begin(61);
    x = random_map(4, 8, 6);
    y = eval_mean(x);
    m = module_new(YOLO, "ADown");
    module_child(m, "cv1", conv(2, 3, 3, 2));
    module_child(m, "cv2", conv(2, 3, 1, 1));
    check_block(m, x,
                CAT(eval_part(m, "cv1", eval_half(y, 0)),
                    eval_part(m, "cv2", eval_max(eval_half(y, 1), 3, 2, 1))));
    m = module_new(YOLO, "AConv");
    module_child(m, "cv1", conv(4, 3, 3, 2));
    check_block(m, x, eval_part(m, "cv1", y));
    modules_end();
}

TEST(sppelan_chains_its_pools)
{
    struct map x, y, a, b;
    struct module *m;

    modules_begin(62);
    x = random_map(3, 7, 7);
    m = module_new(YOLO, "SPPELAN");
    module_child(m, "cv1", conv(3, 2, 1, 1));
    module_child(m, "cv2", max_pool(5, 1, 2));
    module_child(m, "cv3", max_pool(5, 1, 2));
    module_child(m, "cv4", max_pool(5, 1, 2));
    module_child(m, "cv5", conv(8, 4, 1, 1));
    y = eval_part(m, "cv1", x);
    a = eval_max(y, 5, 1, 2);
    b = eval_max(a, 5, 1, 2);
    check_block(m, x, eval_part(m, "cv5", CAT(y, a, b, eval_max(b, 5, 1, 2))));
    modules_end();
}

/* Each pixel twice down and across. */
static struct map eval_double(struct map x)
{
    struct map y = map_new(x.c, 2 * x.h, 2 * x.w);

    for (int c = 0; c < y.c; c++)
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++)
                *map_at(y, c, i, j) = *map_at(x, c, i / 2, j / 2);
    return y;
}

TEST(cbfuse_adds_the_parts_that_it_is_told_of_each_cblinear)
{
    struct module *layers[6], *fuse;
    struct map x, fine, coarse, a, b;

    modules_begin(63);
    x = random_map(3, 8, 8);
    layers[0] = conv(3, 4, 3, 1);
    layers[1] = conv(4, 4, 3, 2);
    layers[2] = module_child(module_new(YOLO, "CBLinear"), "conv", conv2d(4, 6, 1, 1, 0, 1, true));
    module_ints(layers[2], E_LIST, "c2s", (int64_t[]){ 2, 4 }, 2);
    layers[3] = module_child(module_new(YOLO, "CBLinear"), "conv", conv2d(4, 4, 1, 1, 0, 1, true));
    module_ints(layers[3], E_LIST, "c2s", (int64_t[]){ 4 }, 1);
    module_int(layers[3], "f", 0);
    layers[4] = fuse = module_new(YOLO, "CBFuse");
    module_ints(fuse, E_LIST, "idx", (int64_t[]){ 1, 0 }, 2);
    module_ints(fuse, E_LIST, "f", (int64_t[]){ 2, 3, 0 }, 3);
    fine = eval(layers[0], x);
    coarse = eval(layers[1], fine);
    a = eval_double(eval_channels(eval_part(layers[2], "conv", coarse), 2, 4));
    b = eval_part(layers[3], "conv", fine);
    check_layers(layers, 5, x, eval_add(fine, eval_add(a, b)));
    modules_end();
}

/* v10 */

static struct module *cib(int c)
{
    struct module *m = module_new(YOLO, "CIB");

    module_child(m, "cv1",
                 SEQUENTIAL(conv_act(c, c, 3, 1, c, "SiLU"), conv(c, 2 * c, 1, 1), rep_dw(2 * c),
                            conv(2 * c, c, 1, 1), conv_act(c, c, 3, 1, c, "SiLU")));
    return module_bool(m, "add", true);
}

static struct map eval_cib(const struct module *m, struct map x)
{
    const struct module *s = part(m, "cv1");
    struct map y = eval_part(s, "1", eval_part(s, "0", x));

    y = eval_rep_dw(part(s, "2"), y);
    return eval_add(x, eval_part(s, "4", eval_part(s, "3", y)));
}

TEST(a_c2f_of_cibs_concatenates_all_of_them)
{
    struct module *m, *items;
    struct map x, y, a;

    modules_begin(70);
    x = random_map(4, 7, 7);
    m = module_new(YOLO, "C2fCIB");
    items = MODULE_LIST(cib(2), cib(2));
    module_child(module_child(m, "cv1", conv(4, 4, 1, 1)), "cv2", conv(8, 3, 1, 1));
    module_child(m, "m", items);
    y = eval_part(m, "cv1", x);
    a = eval_cib(part(items, "0"), eval_half(y, 1));
    check_block(m, x, eval_part(m, "cv2", CAT(y, a, eval_cib(part(items, "1"), a))));
    modules_end();
}

/* PyTorch's own */

TEST(layers_of_pytorch_read_their_attributes)
{
    struct module *m;
    struct map x, y;

    modules_begin(90);
    x = random_map(2, 6, 4);
    m = module_new(TORCH, "ZeroPad2d");
    module_ints(m, E_TUPLE, "padding", (int64_t[]){ 1, 0, 2, 1 }, 4); /* left, right, top, bottom */
    y = map_new(2, 9, 5);
    for (int i = 0; i < 48; i++)
        *map_at(y, i / 24, i / 4 % 6 + 2, i % 4 + 1) = x.v[i];
    check_block(m, x, y);

    m = module_new(TORCH, "Upsample");
    module_text(module_real(m, "scale_factor", 2), "mode", "nearest");
    check_block(m, x, eval_double(x));

    m = module_new(TORCH, "AvgPool2d");
    module_int(module_int(module_int(m, "kernel_size", 2), "stride", 1), "padding", 0);
    module_bool(module_bool(m, "ceil_mode", false), "count_include_pad", true);
    check_block(m, x, eval_mean(x));

    m = module_bool(conv2d(2, 3, 2, 2, 0, 1, true), "transposed", true);
    module_find(m, "weight")->weights->dims[0] = 2;
    module_find(m, "weight")->weights->dims[1] = 3;
    m->class = "ConvTranspose2d";
    y = map_new(3, 12, 8);
    for (int o = 0; o < 3; o++)
        for (int i = 0; i < 96; i++) {
            double *at = &y.v[o * 96 + i];
            *at = (double)module_find(m, "bias")->weights->v[o];
            for (int c = 0; c < 2; c++)
                *at += *map_at(x, c, i / 8 / 2, i % 8 / 2) *
                       (double)module_find(m, "weight")
                           ->weights->v[((c * 3 + o) * 2 + i / 8 % 2) * 2 + i % 2];
        }
    check_block(m, x, y);
    modules_end();
}

/* Each input cell becomes a 2x2 window; groups; then normalised and activated. */
TEST(a_conv_transpose_is_normalised_by_its_output_channels)
{
    struct module *m, *inner;
    struct map x, y;

    modules_begin(91);
    x = random_map(4, 3, 4);
    inner =
        module_bool(conv2d(8, 4, 2, 2, 0, 2, false), "transposed", true); /* [4, 4, 2, 2]: 8 outputs */
    inner->class = "ConvTranspose2d";
    y = map_new(8, 6, 8);
    for (int o = 0; o < 8; o++)
        for (int i = 0; i < 48; i++)
            for (int c = 0; c < 2; c++)
                y.v[o * 48 + i] +=
                    *map_at(x, o / 4 * 2 + c, i / 8 / 2, i % 8 / 2) *
                    (double)module_find(inner, "weight")
                        ->weights->v[(((o / 4 * 2 + c) * 4 + o % 4) * 2 + i / 8 % 2) * 2 + i % 2];
    m = module_new(YOLO, "ConvTranspose");
    module_child(module_child(m, "conv_transpose", inner), "bn", batchnorm(8, 1e-3));
    module_child(m, "act", plain("SiLU"));
    check_block(m, x, eval_part(m, "act", eval_part(m, "bn", y)));
    modules_end();
}
