/*
 * The demonstration model through the public face of inference/: what the detector finds on
 * demo/page.jpg is what PyTorch found with the same weights (demo/expected.json), and nearly all of it
 * is right.
 */
#include "tests/models/fixture.h"

#include <json-c/json.h>
#include "inference/predictor.h"

enum { MOST = 64 };

struct box {
    int label;
    double score, x0, y0, x1, y1;
};
struct boxes {
    struct box at[MOST];
    size_t n;
};

static struct fault fault;

static void read_boxes(struct json_object *expected, const char *key, struct boxes *ret)
{
    struct json_object *list = json_object_object_get(expected, key), *box;

    ret->n = json_object_array_length(list);
    REQUIRE(ret->n <= MOST);
    for (size_t i = 0; i < ret->n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        double v[4];

        box = json_object_object_get(o, "box");
        for (size_t k = 0; k < 4; k++)
            v[k] = json_object_get_double(json_object_array_get_idx(box, k));
        ret->at[i] = (struct box){ .label = json_object_get_int(json_object_object_get(o, "class")),
                                   .score = json_object_get_double(json_object_object_get(o, "score")),
                                   .x0 = v[0],
                                   .y0 = v[1],
                                   .x1 = v[2],
                                   .y1 = v[3] };
    }
}

/* What the detector finds on the page, and the two lists of expected.json. */
static bool detect(struct boxes *found, struct boxes *wanted, struct boxes *truth)
{
    const struct predict_options options = { .conf = 0.25f, .iou = 0.7f, .max_detections = 300 };
    struct json_object *expected = json_object_from_file("demo/expected.json");
    struct prediction p = { 0 };
    struct predictor *d = NULL;
    struct image image = { 0 };
    struct file model = { 0 }, picture = { 0 };
    bool ok = false;

    fault = FAULT_INIT;
    if (!expected || !file_load("demo/digits.onnx", &model) || !file_load("demo/page.jpg", &picture) ||
        predictor_load(model.bytes, model.n, NULL, &d, &fault) != ST_OK ||
        image_decode(picture.bytes, picture.n, &image, &fault) != ST_OK ||
        predictor_run(d, image.rgb, image.width, image.height, &options, &p, &fault) != ST_OK ||
        p.n > MOST) {
        TEST_FAIL_("%s",
                   fault.detail[0] ? fault.detail : "files are missing: run from the root of the tree");
        goto out;
    }
    read_boxes(expected, "detections", wanted);
    read_boxes(expected, "truth", truth);
    found->n = p.n;
    for (size_t i = 0; i < p.n; i++) {
        const struct detection *q = &p.items[i];

        found->at[i] = (struct box){ q->label,      (double)q->score, (double)q->x0,
                                     (double)q->y0, (double)q->x1,    (double)q->y1 };
    }
    ok = true;
out:
    prediction_free(&p);
    image_free(&image);
    predictor_free(d);
    free(model.bytes);
    free(picture.bytes);
    json_object_put(expected);
    return ok;
}

static double overlap(const struct box *a, const struct box *b)
{
    const double w = fmin(a->x1, b->x1) - fmax(a->x0, b->x0),
                 h = fmin(a->y1, b->y1) - fmax(a->y0, b->y0);
    const double common = w > 0 && h > 0 ? w * h : 0;

    return common / ((a->x1 - a->x0) * (a->y1 - a->y0) + (b->x1 - b->x0) * (b->y1 - b->y0) - common);
}

/* The box of the list that overlaps most with one of its label, or NULL. */
static const struct box *nearest(const struct boxes *list, const struct box *b)
{
    const struct box *best = NULL;

    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].label == b->label && overlap(&list->at[i], b) > (best ? overlap(best, b) : 0))
            best = &list->at[i];
    return best;
}

TEST(the_detector_finds_what_pytorch_found)
{
    struct boxes found = { 0 }, wanted = { 0 }, truth = { 0 };

    if (!detect(&found, &wanted, &truth))
        return;
    CHECK_SIZE(found.n, wanted.n);
    for (size_t i = 0; i < wanted.n; i++) {
        const struct box *b = nearest(&found, &wanted.at[i]);

        if (!b) {
            TEST_FAIL_("detection %zu, a %d, is missing", i, wanted.at[i].label);
            continue;
        }
        CHECK_NEAR(b->score, wanted.at[i].score, 0.001);
        CHECK_NEAR(b->x0, wanted.at[i].x0, 0.05);
        CHECK_NEAR(b->y0, wanted.at[i].y0, 0.05);
        CHECK_NEAR(b->x1, wanted.at[i].x1, 0.05);
        CHECK_NEAR(b->y1, wanted.at[i].y1, 0.05);
    }
}

TEST(nearly_all_digits_of_the_page_are_found)
{
    struct boxes found = { 0 }, wanted = { 0 }, truth = { 0 };
    size_t right = 0;

    if (!detect(&found, &wanted, &truth))
        return;
    for (size_t i = 0; i < truth.n; i++) {
        const struct box *b = nearest(&found, &truth.at[i]);

        right += b && overlap(b, &truth.at[i]) > 0.5;
    }
    printf("# %zu of %zu digits, %zu detections\n", right, truth.n, found.n);
    CHECK(truth.n >= 20 && right * 10 >= truth.n * 9);
}

TEST(the_card_of_the_demonstration_model_is_complete)
{
    struct model_card *c = NULL;
    struct file model;

    REQUIRE(file_load("demo/digits.onnx", &model));
    if (model_card_read(model.bytes, model.n, &c, &fault) != ST_OK)
        TEST_FAIL_("%s", fault.detail);
    free(model.bytes);
    REQUIRE(c != NULL);
    CHECK(c->format == MODEL_ONNX && c->task_known && c->task == TASK_DETECT && c->runnable);
    CHECK_I64(c->input_height, 256);
    CHECK_I64(c->input_width, 256);
    REQUIRE(c->nclasses == 10);
    CHECK_STR(c->class_names[0], "0");
    CHECK_STR(c->class_names[9], "9");
    model_card_free(c);
}
