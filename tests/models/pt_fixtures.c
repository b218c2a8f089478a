/* Cards of real checkpoints, against what PyTorch's own pickle of the same files says. */
#include "tests/models/fixture.h"

static const struct {
    const char *name;
    enum model_task task;
    int input, nclasses;
    const char *first, *last;
    int64_t parameters;
    const char *architecture, *version;
} cards[] = {
    { "models/real/yolov5n.pt", TASK_DETECT, 0, 2, "helmet", "vest", 1766623, "yolov5n", "" },
    { "models/real/dogcat-cls.pt", TASK_CLASSIFY, 64, 2, "cats", "dogs", 1533666, "yolo11n-cls",
      "8.3.94" },
    { "models/generated/yolov8n.pt", TASK_DETECT, 640, 80, "class0", "class79", 3157200, "yolov8n",
      "8.4.104" },
    { "models/generated/yolo11n.pt", TASK_DETECT, 640, 80, "class0", "class79", 2624080, "yolo11n",
      "8.4.104" },
    { "models/generated/yolo11n-seg.pt", TASK_SEGMENT, 640, 80, "class0", "class79", 2876848,
      "yolo11n-seg", "8.4.104" },
    { "models/generated/yolo11n-pose.pt", TASK_POSE, 640, 80, "class0", "class79", 2908507,
      "yolo11n-pose", "8.4.104" },
    { "models/generated/yolo11n-cls.pt", TASK_CLASSIFY, 224, 1000, "class0", "class999", 2812104,
      "yolo11n-cls", "8.4.104" },
    { "models/generated/yolo11n-obb.pt", TASK_OBB, 640, 80, "class0", "class79", 2695747, "yolo11n-obb",
      "8.4.104" },
    { "models/generated/yolo26n.pt", TASK_DETECT, 640, 80, "class0", "class79", 2572280, "yolo26n",
      "8.4.104" },
};

static void check_card(size_t i)
{
    struct fault fault = FAULT_INIT;
    struct model_card *c = NULL;
    struct file file = { 0 };

    printf("# %s\n", cards[i].name);
    REQUIRE(fixture_load(cards[i].name, &file));
    if (pt_card_read(file.bytes, file.n, &c, &fault) != ST_OK) {
        TEST_FAIL_("%s", fault.detail);
    } else {
        CHECK(c->format == MODEL_PT && c->task_known && !c->runnable && c->why_not[0]);
        CHECK_I64(c->task, cards[i].task);
        CHECK_I64(c->input_height, cards[i].input);
        CHECK_I64(c->input_width, cards[i].input);
        CHECK_I64(c->nclasses, cards[i].nclasses);
        CHECK_STR(c->class_names[0], cards[i].first);
        CHECK_STR(c->class_names[c->nclasses - 1], cards[i].last);
        CHECK_I64(c->parameters, cards[i].parameters);
        CHECK_STR(c->architecture, cards[i].architecture);
        CHECK_STR(c->version, cards[i].version);
    }
    model_card_free(c);
    free(file.bytes);
}

TEST(cards_of_real_checkpoints_say_what_pytorch_says)
{
    NEED_FIXTURES();
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        check_card(i);
}

/* model.model[0] of YOLOv8n: Conv(3, 16, 3, 2) with batch normalisation and SiLU. */
TEST(layers_and_tensors_are_reachable_in_the_tree)
{
    struct fault fault = FAULT_INIT;
    const struct pt_value *model = NULL, *first, *weight;
    struct pt_file *p = NULL;
    struct file file = { 0 };
    int64_t out = 0;

    NEED_FIXTURES();
    REQUIRE(fixture_load("models/generated/yolov8n.pt", &file));
    REQUIRE(pt_open(file.bytes, file.n, &p, &fault) == ST_OK);
    REQUIRE(pt_model(p, &model, &fault) == ST_OK);
    CHECK(pt_unknown(p, 0) == NULL);
    first = pt_part(pt_part(model, "model"), "0");
    CHECK(pt_is_module(first) && pt_class_name(first).n == 4);
    CHECK(pt_int(pt_attribute(pt_part(first, "conv"), "out_channels"), &out) && out == 16);
    weight = pt_part(pt_part(first, "conv"), "weight");
    REQUIRE(weight && weight->kind == PT_TENSOR);
    CHECK(weight->tensor->parameter && weight->tensor->dtype == PT_F16);
    CHECK_I64(weight->tensor->rank, 4);
    CHECK_I64(weight->tensor->count, 16 * 3 * 3 * 3);
    CHECK_SIZE(weight->tensor->storage->storage->bytes.n, 2 * 16 * 3 * 3 * 3);
    CHECK(pt_is_text(pt_get(pt_attribute(model, "yaml"), "scale"), "n"));
    pt_close(p);
    free(file.bytes);
}

TEST(every_truncation_of_a_real_checkpoint_is_refused)
{
    struct file file = { 0 };

    NEED_FIXTURES();
    REQUIRE(fixture_load("models/real/dogcat-cls.pt", &file));
    for (size_t n = 0; n < file.n; n += n < 4096 ? 1 : 20011) {
        struct fault fault = FAULT_INIT;
        struct model_card *c = NULL;
        void *copy = malloc(n ? n : 1); /* exact, so that the sanitizer sees a read beyond it */

        memcpy(copy, file.bytes, n);
        if (pt_card_read(copy, n, &c, &fault) == ST_OK || c || !fault.detail[0])
            TEST_FAIL_("accepted, or without a word, at %zu bytes", n);
        free(copy);
    }
    free(file.bytes);
}
