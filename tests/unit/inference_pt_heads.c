/*
 * Heads of checkpoints: what the outputs are, by hand-computed cells and by direct evaluation; which
 * branches count; strides that the file lacks; notes. And networks that cannot be: they are refused by
 * layer and class.
 */
#include "tests/unit/inference_pt_modules.h"

/* A 1x1 convolution without weights but for its bias: each map is one number everywhere. */
static struct module *constants(int ci, int co, const float values[])
{
    struct module *m = conv2d(ci, co, 1, 1, 0, 1, true);

    memset(module_find(m, "weight")->weights->v, 0, (size_t)(ci * co) * sizeof(float));
    memcpy(module_find(m, "bias")->weights->v, values, (size_t)co * sizeof(float));
    return m;
}

enum { CHANNELS = 2, CLASSES = 3 };

static struct module *head_new(const char *class, const float strides[2])
{
    struct module *m = module_new("ultralytics.nn.modules.head", class);
    struct weights *w = module_weights(m, E_TENSOR, "stride", 0, 1, (int64_t[]){ 2 });

    memcpy(w->v, strides, 2 * sizeof(float));
    module_int(module_int(m, "nc", CLASSES), "nl", 2);
    return module_ints(m, E_LIST, "f", (int64_t[]){ 0, 1 }, 2);
}

/* The same constants on both levels. */
static void head_list(struct module *head, const char *name, int co, const float values[])
{
    module_child(head, name,
                 MODULE_LIST(constants(CHANNELS, co, values), constants(CHANNELS, co, values)));
}

/* Two convolutions of stride 2, the head on both: an 8x8 picture gives 4x4 and 2x2 cells, 20 anchors. */
static struct model *read_head(struct module *head, struct value out[])
{
    struct module *layers[] = { conv(3, CHANNELS, 3, 2), conv(CHANNELS, CHANNELS, 3, 2), head };
    struct fault f = FAULT_INIT;
    struct model *m = network_read(network(layers, 3), 3, &f);

    if (m && network_run(m, random_map(3, 8, 8), out, &f))
        return m;
    TEST_FAIL_("%s: %s", head->class, f.detail);
    model_free(m);
    return NULL;
}

static void free_head(struct model *m, struct value out[])
{
    for (int i = 0; m && i < m->graph->noutputs; i++)
        free(out[i].data);
    model_free(m);
    modules_end();
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static const float known[] = { 2, 4 }, unknown[] = { 0, 0 };
static const float sides[] = { 1, 0.5f, 0.25f, 0.75f }, logits[] = { -1, 1, 0.5f };

/* Value k of anchor i of [1, rows, 20]. */
static double at(const struct value *out, int k, int i)
{
    return (double)value_f32(out)[k * 20 + i];
}

/* Anchor 9 is cell (1, 2) of the fine level; 18 is (0, 1) of the coarse one. */
TEST(one_bin_is_the_distance_itself_in_cells)
{
    struct value out[4] = { { 0 } };
    struct module *h;
    struct model *m;

    modules_begin(1);
    h = head_new("Detect", known);
    head_list(h, "cv2", 4, sides);
    head_list(h, "cv3", CLASSES, logits);
    REQUIRE((m = read_head(h, out)) != NULL);
    CHECK(out[0].rank == 3 && out[0].dims[1] == 4 + CLASSES && out[0].dims[2] == 20);
    /* x0 = 1.5 - 1, y0 = 2.5 - 0.5, x1 = 1.5 + 0.25, y1 = 2.5 + 0.75, times 2 */
    CHECK_NEAR(at(&out[0], 0, 9), (0.5 + 1.75) / 2 * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 1, 9), (2 + 3.25) / 2 * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 2, 9), 1.25 * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 3, 9), 1.25 * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 0, 18), (-0.5 + 0.75) / 2 * 4, 1e-6);
    CHECK_NEAR(at(&out[0], 1, 18), (1 + 2.25) / 2 * 4, 1e-6);
    for (int k = 0; k < CLASSES; k++)
        CHECK_NEAR(at(&out[0], 4 + k, 19), sigmoid((double)logits[k]), 1e-6);
    CHECK_STR(model_note(m, "task"), "detect");
    CHECK_STR(model_note(m, "end2end"), "False");
    CHECK_STR(model_note(m, "stride"), "4");
    CHECK_STR(model_note(m, "channels"), "3");
    CHECK_STR(model_note(m, "head"), "Detect");
    free_head(m, out);
}

TEST(several_bins_are_averaged_by_their_softmax)
{
    static const float bins[] = { 0, 1, 0, 0, 2, 2, 1, 0 }; /* two a side: left, top, right, bottom */
    struct value out[4] = { { 0 } };
    struct module *h;
    struct model *m;

    modules_begin(2);
    h = head_new("Detect", known);
    head_list(h, "cv2", 8, bins);
    head_list(h, "cv3", CLASSES, logits);
    REQUIRE((m = read_head(h, out)) != NULL);
    CHECK_NEAR(at(&out[0], 2, 0), (sigmoid(1) + 0.5) * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 3, 0), (0.5 + sigmoid(-1)) * 2, 1e-6);
    free_head(m, out);
}

TEST(strides_that_are_zero_or_missing_follow_from_the_layers)
{
    for (int missing = 0; missing < 2; missing++) {
        struct value out[4] = { { 0 } };
        struct module *h;
        struct model *m;
        modules_begin(3);
        h = head_new("Detect", unknown);
        if (missing)
            h->entries->name = "other";
        head_list(h, "cv2", 4, sides);
        head_list(h, "cv3", CLASSES, logits);
        REQUIRE((m = read_head(h, out)) != NULL);
        CHECK_NEAR(at(&out[0], 2, 9), 1.25 * 2, 1e-6);
        CHECK_NEAR(at(&out[0], 2, 18), 1.25 * 4, 1e-6);
        CHECK_STR(model_note(m, "stride"), "4");
        free_head(m, out);
    }
}

/* One-to-one branches differ from the others; the class of a head does not matter. */
static struct module *end_to_end(const char *class)
{
    static const float other[] = { 7, 7, 7, 7 };
    struct module *h = head_new(class, known);

    head_list(h, "cv2", 4, other);
    head_list(h, "cv3", CLASSES, other);
    head_list(h, "one2one_cv2", 4, sides);
    head_list(h, "one2one_cv3", CLASSES, logits);
    return h;
}

TEST(an_end_to_end_head_gives_the_best_rows_of_its_one_to_one_branches)
{
    struct value out[4] = { { 0 } };
    struct model *m;

    modules_begin(4);
    REQUIRE((m = read_head(end_to_end("v10Detect"), out)) != NULL);
    CHECK(out[0].rank == 3 && out[0].dims[1] == 20 &&
          out[0].dims[2] == 6); /* no more rows than anchors */
    /* all anchors are alike: the best class of the first one comes first */
    CHECK_NEAR(value_f32(&out[0])[0], (0.5 - 1) * 2, 1e-6);
    CHECK_NEAR(value_f32(&out[0])[1], 0, 1e-6);
    CHECK_NEAR(value_f32(&out[0])[2], (0.5 + 0.25) * 2, 1e-6);
    CHECK_NEAR(value_f32(&out[0])[3], (0.5 + 0.75) * 2, 1e-6);
    CHECK_NEAR(value_f32(&out[0])[4], sigmoid(1), 1e-6);
    CHECK_NEAR(value_f32(&out[0])[5], 1, 0);
    CHECK_STR(model_note(m, "end2end"), "True");
    free_head(m, out);
}

TEST(a_head_that_says_it_is_not_end_to_end_is_not)
{
    static const char *const flags[] = { "end2end", "_end2end" };

    for (int i = 0; i < 2; i++) {
        struct value out[4] = { { 0 } };
        struct model *m;
        modules_begin(5);
        REQUIRE((m = read_head(module_bool(end_to_end("Detect"), flags[i], false), out)) != NULL);
        CHECK(out[0].dims[1] == 4 + CLASSES && out[0].dims[2] == 20);
        CHECK_NEAR(at(&out[0], 2, 0), 14 * 2, 1e-5); /* cv2's sides */
        CHECK_STR(model_note(m, "end2end"), "False");
        free_head(m, out);
    }
}

TEST(a_segment_head_adds_coefficients_and_prototypes)
{
    static const float coefficients[] = { -3, 5 };
    struct value out[4] = { { 0 } };
    struct module *h, *proto;
    struct model *m;

    modules_begin(6);
    h = head_new("Segment", known);
    head_list(h, "cv2", 4, sides);
    head_list(h, "cv3", CLASSES, logits);
    head_list(h, "cv4", 2, coefficients);
    proto = module_new(YOLO, "Proto");
    module_child(module_child(proto, "cv1", conv(CHANNELS, 2, 3, 1)), "cv2", conv(2, 2, 3, 1));
    module_child(
        proto, "upsample",
        module_text(module_real(module_new(TORCH, "Upsample"), "scale_factor", 2), "mode", "nearest"));
    module_child(h, "proto", module_child(proto, "cv3", conv(2, 2, 1, 1)));
    REQUIRE((m = read_head(h, out)) != NULL);
    CHECK(m->graph->noutputs == 2 && out[0].dims[1] == 4 + CLASSES + 2);
    CHECK_NEAR(at(&out[0], 7, 3), -3, 0);
    CHECK_NEAR(at(&out[0], 8, 3), 5, 0);
    CHECK(out[1].rank == 4 && out[1].dims[1] == 2 && out[1].dims[2] == 8 && out[1].dims[3] == 8);
    CHECK_STR(model_note(m, "task"), "segment");
    free_head(m, out);
}

static struct map eval_double(struct map x)
{
    struct map y = map_new(x.c, 2 * x.h, 2 * x.w);

    for (int i = 0; i < y.c * y.h * y.w; i++)
        y.v[i] = *map_at(x, i / (y.h * y.w), i / y.w % y.h / 2, i % y.w / 2);
    return y;
}

/* The finest map, plus what is made of the coarser one at its size, through feat_fuse. */
TEST(prototypes_of_yolo26_take_in_every_level)
{
    static const float coefficients[] = { -3, 5 };
    struct value out[4] = { { 0 } };
    struct module *h, *proto, *layers[3], *up;
    struct fault f = FAULT_INIT;
    struct map x, fine, want;
    struct model *m;
    double most = 0;

    modules_begin(7);
    h = end_to_end("Segment26");
    head_list(h, "one2one_cv4", 2, coefficients);
    up = module_text(module_real(module_new(TORCH, "Upsample"), "scale_factor", 2), "mode", "nearest");
    proto = module_new(YOLO, "Proto26");
    module_child(module_child(proto, "cv1", conv(2, 2, 3, 1)), "cv2", conv(2, 2, 3, 1));
    module_child(module_child(proto, "upsample", up), "cv3", conv(2, 2, 1, 1));
    module_child(proto, "feat_refine", MODULE_LIST(conv(CHANNELS, CHANNELS, 1, 1)));
    module_child(proto, "feat_fuse", conv(CHANNELS, 2, 3, 1));
    module_child(h, "proto", proto);
    layers[0] = conv(3, CHANNELS, 3, 2);
    layers[1] = conv(CHANNELS, CHANNELS, 3, 2);
    layers[2] = h;
    x = random_map(3, 8, 8);
    fine = eval(layers[0], x);
    want =
        eval_add(fine, eval_double(eval_part(part(proto, "feat_refine"), "0", eval(layers[1], fine))));
    want = eval_part(proto, "cv1", eval_part(proto, "feat_fuse", want));
    want = eval_part(proto, "cv3", eval_part(proto, "cv2", eval_double(want)));
    REQUIRE((m = network_read(network(layers, 3), 3, &f)) != NULL);
    REQUIRE(network_run(m, x, out, &f));
    CHECK(out[0].dims[1] == 20 && out[0].dims[2] == 6 + 2);
    CHECK_NEAR(value_f32(&out[0])[7], 5, 0);
    REQUIRE(value_elements(&out[1]) == (size_t)(want.c * want.h * want.w));
    for (size_t i = 0; i < value_elements(&out[1]); i++)
        most = fmax(most, fabs((double)value_f32(&out[1])[i] - want.v[i]));
    CHECK_NEAR(most, 0, 1e-5);
    free_head(m, out);
}

TEST(points_are_counted_from_the_corner_of_a_cell)
{
    static const float points[] = { 0.25f, -1, 2, 1, 0, 0 };
    struct value out[4] = { { 0 } };
    struct module *h;
    struct model *m;

    modules_begin(8);
    h = head_new("Pose", known);
    head_list(h, "cv2", 4, sides);
    head_list(h, "cv3", CLASSES, logits);
    head_list(h, "cv4", 6, points);
    module_ints(h, E_LIST, "kpt_shape", (int64_t[]){ 2, 3 }, 2);
    REQUIRE((m = read_head(h, out)) != NULL);
    CHECK_I64(out[0].dims[1], 4 + CLASSES + 6);
    CHECK_NEAR(at(&out[0], 7, 9), (2 * 0.25 + 1) * 2, 1e-6); /* cell (1, 2), stride 2 */
    CHECK_NEAR(at(&out[0], 8, 9), (2 * -1 + 2) * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 9, 9), sigmoid(2), 1e-6);
    CHECK_NEAR(at(&out[0], 10, 18), (2 * 1 + 0) * 4, 1e-6); /* cell (0, 1), stride 4 */
    CHECK_STR(model_note(m, "kpt_shape"), "[2, 3]");
    CHECK_STR(model_note(m, "task"), "pose");
    free_head(m, out);
}

/* cv4 gives features, cv4_kpts the values, from the anchor in the middle of the cell. */
TEST(points_of_yolo26_are_counted_from_the_anchor)
{
    static const float features[] = { 1, 1 }, points[] = { 0.25f, -1, 2 };
    struct value out[4] = { { 0 } };
    struct module *h;
    struct model *m;

    modules_begin(9);
    h = head_new("Pose26", known);
    head_list(h, "cv2", 4, sides);
    head_list(h, "cv3", CLASSES, logits);
    head_list(h, "cv4", 2, features);
    head_list(h, "cv4_kpts", 3, points);
    module_ints(h, E_TUPLE, "kpt_shape", (int64_t[]){ 1, 3 }, 2);
    REQUIRE((m = read_head(h, out)) != NULL);
    CHECK_NEAR(at(&out[0], 7, 9), (0.25 + 1.5) * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 8, 9), (-1 + 2.5) * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 9, 9), sigmoid(2), 1e-6);
    free_head(m, out);
}

static void check_angle(const char *class, float logit, double angle)
{
    const double x = (0.25 - 1) / 2, y = (0.75 - 0.5) / 2;
    struct value out[4] = { { 0 } };
    struct module *h;
    struct model *m;

    modules_begin(10);
    h = module_int(head_new(class, known), "ne", 1);
    head_list(h, "cv2", 4, sides);
    head_list(h, "cv3", CLASSES, logits);
    head_list(h, "cv4", 1, &logit);
    REQUIRE((m = read_head(h, out)) != NULL);
    CHECK_I64(out[0].dims[1], 4 + CLASSES + 1);
    CHECK_NEAR(at(&out[0], 7, 9), angle, 1e-6);
    CHECK_NEAR(at(&out[0], 0, 9), (x * cos(angle) - y * sin(angle) + 1.5) * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 1, 9), (x * sin(angle) + y * cos(angle) + 2.5) * 2, 1e-6);
    CHECK_NEAR(at(&out[0], 2, 9), 1.25 * 2, 1e-6);
    CHECK_STR(model_note(m, "task"), "obb");
    free_head(m, out);
}

TEST(a_rotated_box_is_turned_around_its_anchor)
{
    check_angle("OBB", 0.5f, (sigmoid(0.5) - 0.25) * acos(-1));
    check_angle("OBB26", 0.5f, 0.5);
}

/* YOLOv5: two anchors a level, in cells; three mask coefficients behind the classes. */
TEST(anchors_of_yolov5_are_scaled_by_the_stride)
{
    static const float values[] = { 0, 1, -1, 0.5f, 2, -2, 0, 1, 4, -5, 6, /* anchor 0 */
                                    1, 0, 0,  1,    0, 0,  0, 0, 0, 0,  0 };
    static const float cells[] = { 1, 2, 3, 4, 0.5f, 0.25f, 5, 6 };
    struct value out[4] = { { 0 } };
    struct module *h, *proto;
    struct weights *anchors;
    const float *row;
    struct model *m;

    modules_begin(11);
    h = module_new("models.yolo", "Segment");
    module_ints(module_int(h, "nc", CLASSES), E_LIST, "f", (int64_t[]){ 0, 1 }, 2);
    anchors = module_weights(h, E_BUFFER, "anchors", 0, 3, (int64_t[]){ 2, 2, 2 });
    memcpy(anchors->v, cells, sizeof cells);
    head_list(h, "m", 22, values);
    proto = module_new("models.common", "Proto");
    module_child(module_child(proto, "cv1", conv(CHANNELS, 2, 3, 1)), "cv2", conv(2, 2, 3, 1));
    module_child(
        proto, "upsample",
        module_text(module_real(module_new(TORCH, "Upsample"), "scale_factor", 2), "mode", "nearest"));
    module_child(h, "proto", module_child(proto, "cv3", conv(2, 3, 1, 1)));
    REQUIRE((m = read_head(h, out)) != NULL); /* it has no stride: 2 and 4 are derived */
    CHECK(out[0].dims[1] == 2 * 16 + 2 * 4 && out[0].dims[2] == 11);
    row = value_f32(&out[0]) + 9 * 11; /* anchor 0, cell (1, 2) of the fine level */
    CHECK_NEAR(row[0], (2 * 0.5 - 0.5 + 1) * 2, 1e-6);
    CHECK_NEAR(row[1], (2 * sigmoid(1) - 0.5 + 2) * 2, 1e-6);
    CHECK_NEAR(row[2], pow(2 * sigmoid(-1), 2) * 1 * 2, 1e-6);
    CHECK_NEAR(row[3], pow(2 * sigmoid(0.5), 2) * 2 * 2, 1e-5);
    CHECK_NEAR(row[4], sigmoid(2), 1e-6);
    CHECK_NEAR(row[5], sigmoid(-2), 1e-6);
    CHECK_NEAR(row[8], 4, 0); /* raw */
    CHECK_NEAR(row[9], -5, 0);
    row = value_f32(&out[0]) + (32 + 4 + 2) * 11; /* anchor 1, cell (0, 1) of the coarse level */
    CHECK_NEAR(row[0], (2 * sigmoid(1) - 0.5 + 0) * 4, 1e-6);
    CHECK_NEAR(row[1], (2 * 0.5 - 0.5 + 1) * 4, 1e-6);
    CHECK_NEAR(row[2], 5 * 4, 1e-5);
    CHECK_NEAR(row[3], pow(2 * sigmoid(1), 2) * 6 * 4, 1e-4);
    CHECK_I64(m->graph->noutputs, 2);
    CHECK_STR(model_note(m, "task"), "segment");
    free_head(m, out);
}

TEST(a_classifier_gives_probabilities)
{
    struct module *layers[2];
    struct value out[4] = { { 0 } };
    struct fault f = FAULT_INIT;
    struct map x, y;
    struct model *m;
    double logit[2];

    modules_begin(12);
    layers[0] = conv(3, CHANNELS, 3, 2);
    layers[1] = classifier(CHANNELS);
    x = random_map(3, 8, 8);
    y = eval_part(layers[1], "conv", eval(layers[0], x));
    REQUIRE((m = network_read(network(layers, 2), 3, &f)) != NULL && network_run(m, x, out, &f));
    for (int k = 0; k < 2; k++) {
        logit[k] = (double)module_find(part(layers[1], "linear"), "bias")->weights->v[k];
        for (int i = 0; i < 4 * 16; i++)
            logit[k] +=
                y.v[i] / 16 *
                (double)module_find(part(layers[1], "linear"), "weight")->weights->v[k * 4 + i / 16];
    }
    CHECK(out[0].rank == 2 && out[0].dims[1] == 2);
    CHECK_NEAR(value_f32(&out[0])[1], sigmoid(logit[1] - logit[0]), 1e-5);
    CHECK_STR(model_note(m, "task"), "classify");
    CHECK_STR(model_note(m, "stride"), "1");
    free_head(m, out);
}

/* Refusals */

static void check_refused(struct module *const layers[], size_t n, enum status want, const char *says)
{
    struct module *list = network(layers, n);
    struct buffer b = { 0 };
    struct fault f = FAULT_INIT;
    struct model *m = NULL;
    enum status st;

    put_network(&b, "DetectionModel", list, 3);
    st = pt_read(b.p, b.n, &m, &f);
    if (st != want || m || !strstr(f.detail, says))
        TEST_FAIL_("%s instead of \"%s\"", f.detail, says);
    buffer_free(&b);
}

TEST(what_cannot_be_built_is_refused_by_layer_and_class)
{
    struct module *m;

    modules_begin(13);
    check_refused((struct module *[]){ conv(3, 2, 3, 1), module_new(YOLO, "RTDETRDecoder") }, 2,
                  ST_UNSUPPORTED, "layer 1 (RTDETRDecoder)");
    m = module_child(conv(3, 2, 3, 1), "act", module_new(TORCH, "Threshold"));
    check_refused((struct module *[]){ m }, 1, ST_UNSUPPORTED, "layer 0 (Threshold)");
    check_refused((struct module *[]){ conv(3, 2, 3, 1) }, 1, ST_UNSUPPORTED, "does not end in a head");
    check_refused((struct module *[]){ module_new(YOLO, "Conv") }, 1, ST_UNSUPPORTED, "layer 0");
    check_refused((struct module *[]){ module_new(YOLO, "C3") }, 1, ST_UNSUPPORTED,
                  "its part cv1 is missing");
    check_refused((struct module *[]){ module_int(conv(3, 2, 3, 1), "f", 0) }, 1, ST_INVALID,
                  "does not come before it");
    check_refused((struct module *[]){ module_int(conv(3, 2, 3, 1), "f", -2) }, 1, ST_INVALID,
                  "does not come before it");
    check_refused((struct module *[]){ conv(3, 2, 3, 1), module_int(conv(2, 2, 3, 1), "f", INT64_MIN) },
                  2, ST_INVALID, "does not come before it");
    m = module_ints(conv(3, 2, 3, 1), E_LIST, "f", NULL, 0);
    check_refused((struct module *[]){ m }, 1, ST_UNSUPPORTED, "0 inputs");
    m = conv(3, 2, 3, 1);
    module_pair((struct module *)(uintptr_t)part(m, "conv"), "stride", 0, 1);
    check_refused((struct module *[]){ m }, 1, ST_UNSUPPORTED, "stride");
    m = conv(3, 2, 3, 1);
    module_int((struct module *)(uintptr_t)part(m, "conv"), "groups", 5);
    check_refused((struct module *[]){ m }, 1, ST_INVALID, "contradict");
    m = module_child(conv(3, 2, 3, 1), "bn", batchnorm(3, 1e-3));
    check_refused((struct module *[]){ m }, 1, ST_INVALID, "channels differ");
    modules_end();
}

TEST(heads_that_contradict_themselves_are_refused)
{
    struct module *h;

    modules_begin(14);
    h = head_new("Detect", known);
    head_list(h, "cv2", 4, sides);
    check_refused((struct module *[]){ conv(3, 2, 3, 2), conv(2, 2, 3, 2), h }, 3, ST_UNSUPPORTED,
                  "cv3 has no item 0");
    h = module_int(end_to_end("Detect"), "nc", 0);
    check_refused((struct module *[]){ conv(3, 2, 3, 2), conv(2, 2, 3, 2), h }, 3, ST_UNSUPPORTED, "nc");
    modules_end();
}

/* Sequentials that hold the one below twice: 2^25 modules if they were all built, with and without
 * nodes. */
TEST(a_small_file_cannot_ask_for_endless_work)
{
    struct module *m[2];

    modules_begin(15);
    m[0] = conv(3, 3, 3, 1);
    m[1] = plain("Identity");
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 25; i++)
            m[k] = SEQUENTIAL(m[k], m[k]);
        check_refused(&m[k], 1, ST_TOO_LARGE, k ? "modules" : "");
        for (int i = 0; i < 10; i++)
            m[k] = SEQUENTIAL(m[k]);
        check_refused(&m[k], 1, ST_TOO_LARGE, "nested");
    }
    modules_end();
}

TEST(a_module_that_contains_itself_is_refused)
{
    struct module *m;

    modules_begin(16);
    m = SEQUENTIAL(conv(3, 3, 3, 1));
    module_child(m, "1", m);
    check_refused(&m, 1, ST_TOO_LARGE, "nested");
    modules_end();
}

/* A weight of 2^31 elements over a storage of one: strides of 0 make it fit. */
TEST(weights_that_are_far_larger_than_the_file_are_refused)
{
    static const struct view view = { "FloatStorage", "0", 1, 0, 4, { 1 << 15, 1 << 14, 2, 2 }, { 0 } };
    struct buffer pickle = { 0 }, file = { 0 };
    struct fault f = FAULT_INIT;
    struct model *m = NULL;

    PUT(&pickle, "\x80\x02");
    put_global(&pickle, "ultralytics.nn.tasks", "DetectionModel");
    buffer_text(&pickle, ")\x81}");
    put_str(&pickle, "_modules");
    buffer_char(&pickle, '}');
    put_str(&pickle, "model");
    put_global(&pickle, TORCH, "Sequential");
    buffer_text(&pickle, ")\x81}");
    put_str(&pickle, "_modules");
    buffer_char(&pickle, '}');
    put_str(&pickle, "0");
    put_global(&pickle, TORCH, "Conv2d");
    buffer_text(&pickle, ")\x81}(");
    put_str(&pickle, "groups");
    put_int(&pickle, 1);
    put_str(&pickle, "_parameters");
    buffer_char(&pickle, '}');
    put_str(&pickle, "weight");
    put_tensor(&pickle, &view);
    PUT(&pickle, "subssbssb.");
    put_zip(&file,
            (struct record[]){ { .name = "a/data.pkl", .bytes = { pickle.p, pickle.n } },
                               { .name = "a/data/0", .bytes = BYTES("\0\0\0\0") } },
            2);
    CHECK_I64(pt_read(file.p, file.n, &m, &f), ST_TOO_LARGE);
    printf("# %s\n", f.detail);
    buffer_free(&pickle);
    buffer_free(&file);
}
