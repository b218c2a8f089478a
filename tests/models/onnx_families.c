/*
 * Detectors of other families on the two pictures that YOLO users know: each finds the people, the bus
 * or the faces where a reference detector finds them. Fixtures: see their README; absent, the tests
 * skip.
 */
#include "tests/models/fixture.h"

#include "inference/post/finish.h"
#include "inference/predictor.h"

static double overlap(const struct detection *d, const float box[4])
{
    const double w = fmin(d->x1, box[2]) - fmax(d->x0, box[0]),
                 h = fmin(d->y1, box[3]) - fmax(d->y0, box[1]), both = w > 0 && h > 0 ? w * h : 0;

    return both / ((double)(d->x1 - d->x0) * (double)(d->y1 - d->y0) +
                   (double)(box[2] - box[0]) * (double)(box[3] - box[1]) - both);
}

struct thing {
    const char *name;
    float box[4];
};

/* From YOLOv8n in float32, and the faces by hand. */
static const struct thing bus[] = {
    { "person", { 51, 398, 243, 905 } },
    { "person", { 222, 408, 343, 856 } },
    { "person", { 671, 377, 810, 876 } },
    { "bus", { 30, 231, 800, 770 } },
    { NULL, { 0 } },
};
static const struct thing zidane[] = { { "person", { 147, 200, 1112, 712 } },
                                       { "person", { 748, 44, 1147, 709 } },
                                       { NULL, { 0 } } };
static const struct thing bus_faces[] = { { "face", { 108, 412, 152, 470 } },
                                          { "face", { 267, 420, 307, 480 } },
                                          { NULL, { 0 } } };
static const struct thing zidane_faces[] = { { "face", { 914, 100, 1055, 280 } },
                                             { "face", { 548, 255, 662, 412 } },
                                             { NULL, { 0 } } };

static const struct {
    const char *model, *family, *picture;
    float conf;
    double iou;
    const struct thing *things;
} cases[] = {
    { "yolov8n-coco-dq-op12", "yolov8", "bus", 0.5f, 0.95, bus },
    { "yolov8n-coco-dq-op12", "yolov8", "zidane", 0.5f, 0.95, zidane },
    { "yolov8n_int8", "yolov8", "bus", 0.5f, 0.9, bus },
    { "yolox_nano", "yolox", "bus", 0.35f, 0.75, bus },
    { "yolox_nano", "yolox", "zidane", 0.35f, 0.45, zidane },
    { "nanodet_m", "nanodet", "bus", 0.35f, 0.75, bus },
    { "nanodet_m", "nanodet", "zidane", 0.35f, 0.55, zidane },
    { "FastestDet", "fastestdet", "bus", 0.5f, 0.6, bus },
    { "FastestDet", "fastestdet", "zidane", 0.6f, 0.45, zidane },
    { "yunet_n_320_320", "yunet", "bus", 0.6f, 0.6, bus_faces },
    { "yunet_n_320_320", "yunet", "zidane", 0.6f, 0.75, zidane_faces },
    { "ultraface-slim-320", "ultraface", "bus", 0.6f, 0.6, bus_faces },
    { "ultraface-slim-320", "ultraface", "zidane", 0.6f, 0.75, zidane_faces },
};

/* Every thing has its detection of that name. Prints the worst overlap. */
static void check_things(const struct predictor *d, const struct prediction *p,
                         const struct thing *things, double iou)
{
    double worst = 1;

    for (const struct thing *t = things; t->name; t++) {
        double best = 0;
        for (size_t i = 0; i < p->n; i++)
            if (strcmp(predictor_card(d)->class_names[p->items[i].label], t->name) == 0)
                best = fmax(best, overlap(&p->items[i], t->box));
        worst = fmin(worst, best);
        if (best < iou)
            TEST_FAIL_("a %s is missing: overlap %.2f", t->name, best);
    }
    printf("# %zu found, known ones overlap by %.2f and more\n", p->n, worst);
}

static void check_points(const struct prediction *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct detection *d = &p->items[i];
        REQUIRE(d->nkeypoints == 5);
        CHECK(d->keypoints[0].x < d->keypoints[1].x); /* eyes */
        CHECK(d->keypoints[0].y < d->keypoints[3].y && d->keypoints[1].y < d->keypoints[4].y);
        for (size_t k = 0; k < 5; k++)
            CHECK(d->keypoints[k].x >= d->x0 - 20 && d->keypoints[k].x <= d->x1 + 20);
    }
}

static void check_case(size_t i)
{
    const struct predict_options o = { .conf = cases[i].conf, .iou = 0.45f, .max_detections = 300 };
    char model[128], picture[128];
    struct prediction p = { 0 };
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;
    struct image im = { 0 };
    struct file file;

    snprintf(model, sizeof model, "models/real/%s.onnx", cases[i].model);
    snprintf(picture, sizeof picture, "images/%s.jpg", cases[i].picture);
    printf("# %s on %s\n", cases[i].model, cases[i].picture);
    if (!fixture_load(model, &file) || !fixture_image(picture, &im) ||
        predictor_load(file.bytes, file.n, NULL, &d, &f) != ST_OK ||
        predictor_run(d, im.rgb, im.width, im.height, &o, &p, &f) != ST_OK) {
        TEST_FAIL_("%s: %s", cases[i].model, f.detail);
    } else {
        CHECK_STR(predictor_card(d)->family, cases[i].family);
        check_things(d, &p, cases[i].things, cases[i].iou);
        if (strcmp(cases[i].family, "yunet") == 0)
            check_points(&p);
    }
    prediction_free(&p);
    predictor_free(d);
    image_free(&im);
    free(file.bytes);
}

TEST(every_family_finds_the_people_the_bus_and_the_faces)
{
    NEED_FIXTURES();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(i);
}

/* PyTorch's own output, decoded: the five of the fixtures' table. Scores to its last digit; boxes, which
 * it gives in whole pixels, within 0.7 (its last one says 515 where the output has 514.34). */
TEST(the_reference_output_decodes_to_the_listed_detections)
{
    enum { ANCHORS = 8400, COLUMNS = 84 };
    static const struct {
        int label;
        float score, box[4];
    } listed[] = {
        { 0, 0.916f, { 478, 224, 560, 519 } }, { 0, 0.915f, { 110, 236, 224, 536 } },
        { 0, 0.908f, { 211, 242, 283, 507 } }, { 5, 0.855f, { 98, 137, 554, 456 } },
        { 0, 0.379f, { 80, 327, 113, 515 } },
    };
    const struct predict_options o = { .conf = 0.25f, .iou = 0.7f, .max_detections = 300 };
    const struct letterbox l = letterbox_fit(FIT_CENTRE, 1, 640, 640, 640, 640);
    struct head_facts facts = { .input_width = 640, .input_height = 640, .noutputs = 1 };
    struct prediction p = { 0 };
    struct fault f = FAULT_INIT;
    struct head h;
    char why[160];

    NEED_FIXTURES();
    facts.outputs[0] =
        (struct output_fact){ .v = { .type = DTYPE_F32, .rank = 3, .dims = { 1, COLUMNS, ANCHORS } },
                              .made_by = "Concat" };
    facts.outputs[0].v.data = fixture_array("models/real/v8coco-0.out0.npy", ANCHORS * COLUMNS);
    REQUIRE(facts.outputs[0].v.data != NULL);
    REQUIRE(head_recognise(&facts, NULL, &h, why, sizeof why));
    CHECK_STR(head_name(&h), "yolov8");
    REQUIRE((p.arena = arena_create(1 << 20)) != NULL);
    REQUIRE(prediction_finish(&h, &facts.outputs[0].v, &l, &o, &p, &f) == ST_OK);
    REQUIRE(p.n == 5);
    for (size_t i = 0; i < 5; i++) {
        const struct detection *d = &p.items[i];
        const float box[4] = { d->x0, d->y0, d->x1, d->y1 };
        CHECK_I64(d->label, listed[i].label);
        CHECK_NEAR(d->score, listed[i].score, 0.0005);
        for (int k = 0; k < 4; k++)
            CHECK_NEAR(box[k], listed[i].box[k], 0.7);
    }
    prediction_free(&p);
    free(facts.outputs[0].v.data);
}
