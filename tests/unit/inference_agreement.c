/* The gate between float32 and a cheaper precision: hand-made findings of every task. */
#include "tests/unit/test.h"

#include "inference/agreement.h"
#include "inference/precision.h"

static struct detection box(int label, float score, float x0, float y0, float x1, float y1)
{
    return (struct detection){ .label = label, .score = score, .x0 = x0, .y0 = y0, .x1 = x1, .y1 = y1 };
}

static struct prediction of(struct detection *items, size_t n)
{
    return (struct prediction){ .items = items, .n = n };
}

/* So many pictures alike. */
static struct agreement compare(enum model_task task, struct detection *a, size_t na,
                                struct detection *b, size_t nb, int pictures)
{
    const struct prediction reference = of(a, na), candidate = of(b, nb);
    struct agreement g = { .task = task };

    for (int i = 0; i < pictures; i++)
        agreement_add(&g, &reference, &candidate);
    return g;
}

TEST(the_same_findings_pass)
{
    struct detection a[] = { box(0, 0.9f, 10, 10, 110, 110), box(1, 0.4f, 200, 0, 300, 50) };
    const struct agreement g = compare(TASK_DETECT, a, 2, a, 2, 16);

    CHECK_I64(g.pictures, 16);
    CHECK_I64(g.findings, 32);
    CHECK_I64(g.agreeing, 32);
    CHECK_NEAR(g.worst_likeness, 1, 0);
    CHECK_NEAR(g.worst_difference, 0, 0);
    CHECK_I64(agreement_verdict(&g), AGREEMENT_PASSED);
    CHECK_STR(agreement_verdict_name(AGREEMENT_PASSED), "passed");
}

TEST(boxes_and_scores_may_move_as_far_as_the_tolerance_and_no_further)
{
    static const struct {
        float shift, score;
        enum agreement_verdict want;
    } rows[] = {
        { 5.2f, 0.9f, AGREEMENT_PASSED }, /* of 100: 94.8 / 105.2 = 0.901 */
        { 5.4f, 0.9f, AGREEMENT_FAILED }, /* 0.898 */
        { 0, 0.871f, AGREEMENT_PASSED },  /* 0.029 */
        { 0, 0.869f, AGREEMENT_FAILED },  /* 0.031 */
        { 0, 0.929f, AGREEMENT_PASSED },      { 0, 0.931f, AGREEMENT_FAILED },
        { 0, NAN, AGREEMENT_FAILED },         { NAN, 0.9f, AGREEMENT_FAILED },
        { INFINITY, 0.9f, AGREEMENT_FAILED },
    };
    struct detection a[] = { box(0, 0.9f, 0, 0, 100, 100) };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct detection b[] = { box(0, rows[i].score, rows[i].shift, 0, 100 + rows[i].shift, 100) };
        const struct agreement g = compare(TASK_DETECT, a, 1, b, 1, 16);

        if (agreement_verdict(&g) != rows[i].want)
            TEST_FAIL_("row %zu: %s, likeness %g, difference %g", i,
                       agreement_verdict_name(agreement_verdict(&g)), g.worst_likeness,
                       g.worst_difference);
    }
}

TEST(a_finding_that_is_missing_or_new_or_of_another_class_fails)
{
    struct detection two[] = { box(0, 0.9f, 0, 0, 100, 100), box(0, 0.8f, 200, 0, 300, 100) };
    struct detection other[] = { box(0, 0.9f, 0, 0, 100, 100), box(1, 0.8f, 200, 0, 300, 100) };
    const struct agreement missing = compare(TASK_DETECT, two, 2, two, 1, 16),
                           new = compare(TASK_DETECT, two, 1, two, 2, 16),
                           another = compare(TASK_DETECT, two, 2, other, 2, 16);

    CHECK_I64(agreement_verdict(&missing), AGREEMENT_FAILED);
    CHECK_I64(missing.findings, 32);
    CHECK_I64(missing.agreeing, 16);
    CHECK_I64(agreement_verdict(&new), AGREEMENT_FAILED);
    CHECK_I64(new.findings, 32);
    CHECK_I64(agreement_verdict(&another), AGREEMENT_FAILED);
    CHECK_I64(another.findings, 48); /* gone on one side, new on the other */
}

TEST(one_in_a_hundred_may_differ)
{
    struct detection a[] = { box(0, 0.9f, 0, 0, 100, 100) }, b[] = { box(0, 0.5f, 0, 0, 100, 100) };
    const struct prediction same = of(a, 1), off = of(b, 1);
    struct agreement g = { .task = TASK_DETECT };

    for (int i = 0; i < 99; i++)
        agreement_add(&g, &same, &same);
    agreement_add(&g, &same, &off);
    CHECK_I64(agreement_verdict(&g), AGREEMENT_PASSED);
    CHECK_NEAR(g.worst_difference, 0.4, 1e-6);
    agreement_add(&g, &same, &off);
    CHECK_I64(agreement_verdict(&g), AGREEMENT_FAILED);
}

/* 0.26 becomes 0.24: a run with the threshold at 0.25 would have lost it. */
TEST(a_score_that_crosses_the_threshold_is_no_loss)
{
    struct detection a[] = { box(0, 0.26f, 0, 0, 100, 100) }, b[] = { box(0, 0.24f, 0, 0, 100, 100) };
    const struct agreement down = compare(TASK_DETECT, a, 1, b, 1, 16),
                           up = compare(TASK_DETECT, b, 1, a, 1, 16),
                           below = compare(TASK_DETECT, b, 1, b, 1, 16);

    CHECK_I64(agreement_verdict(&down), AGREEMENT_PASSED);
    CHECK_I64(agreement_verdict(&up), AGREEMENT_PASSED);
    CHECK_I64(below.findings, 0); /* what nobody is shown proves nothing */
    CHECK_I64(agreement_verdict(&below), AGREEMENT_UNPROVEN);
}

TEST(too_little_evidence_proves_nothing)
{
    struct detection a[] = { box(0, 0.9f, 0, 0, 100, 100) };
    const struct agreement none = { .task = TASK_DETECT },
                           empty = compare(TASK_DETECT, NULL, 0, NULL, 0, 100),
                           few = compare(TASK_DETECT, a, 1, a, 1, 15);
    struct agreement sparse = compare(TASK_DETECT, a, 1, a, 1, 7);
    const struct prediction nothing = of(NULL, 0);

    for (int i = 0; i < 100; i++)
        agreement_add(&sparse, &nothing, &nothing);
    CHECK_I64(agreement_verdict(&none), AGREEMENT_UNPROVEN);
    CHECK_I64(agreement_verdict(&empty), AGREEMENT_UNPROVEN);
    CHECK_I64(agreement_verdict(&few), AGREEMENT_UNPROVEN);
    CHECK_I64(agreement_verdict(&sparse), AGREEMENT_UNPROVEN);
    CHECK_STR(agreement_verdict_name(AGREEMENT_UNPROVEN), "unproven");
}

/* Each takes the most alike one that is left; order does not matter. */
TEST(neighbours_are_told_apart)
{
    struct detection a[] = { box(0, 0.9f, 0, 0, 100, 100), box(0, 0.89f, 20, 0, 120, 100) };
    struct detection b[] = { box(0, 0.91f, 20, 0, 120, 100), box(0, 0.88f, 0, 0, 100, 100) };
    const struct agreement g = compare(TASK_DETECT, a, 2, b, 2, 16);

    CHECK_I64(g.agreeing, 32);
    CHECK_NEAR(g.worst_likeness, 1, 0);
    CHECK_NEAR(g.worst_difference, 0.02, 1e-6);
}

TEST(classifiers_must_name_the_same_class)
{
    struct detection cat[] = { { .label = 3, .score = 0.6f }, { .label = 5, .score = 0.4f } };
    struct detection near[] = { { .label = 3, .score = 0.61f } },
                     dog[] = { { .label = 5, .score = 0.6f } };
    const struct agreement same = compare(TASK_CLASSIFY, cat, 2, near, 1, 16),
                           other = compare(TASK_CLASSIFY, cat, 2, dog, 1, 16),
                           gone = compare(TASK_CLASSIFY, cat, 2, NULL, 0, 16);

    CHECK_I64(same.findings, 16);
    CHECK_I64(agreement_verdict(&same), AGREEMENT_PASSED);
    CHECK_I64(agreement_verdict(&other), AGREEMENT_FAILED);
    CHECK_NEAR(other.worst_likeness, 0, 0);
    CHECK_I64(agreement_verdict(&gone), AGREEMENT_FAILED);
}

TEST(masks_are_compared_as_areas)
{
    struct point square[] = { { 0, 0 }, { 100, 0 }, { 100, 100 }, { 0, 100 } };
    struct point shifted[] = { { 4, 0 }, { 104, 0 }, { 104, 100 }, { 4, 100 } };
    struct point half[] = { { 0, 0 }, { 100, 0 }, { 0, 100 } };
    struct detection a = box(0, 0.9f, 0, 0, 100, 100), b = a;

    a.polygon = square;
    a.npolygon = 4;
    b.polygon = square;
    b.npolygon = 4;
    CHECK_NEAR(agreement_likeness(&a, &b), 1, 0);
    b.polygon = shifted;
    CHECK_NEAR(agreement_likeness(&a, &b), 96.0 / 104, 0.02);
    b.polygon = half;
    b.npolygon = 3;
    CHECK_NEAR(agreement_likeness(&a, &b), 0.5, 0.02);
    b.polygon = NULL;
    b.npolygon = 0;
    CHECK_NEAR(agreement_likeness(&a, &b), 0, 0);
}

static struct rotated_box turned(float angle)
{
    struct rotated_box r = { .x = 50, .y = 50, .width = 80, .height = 20, .angle = angle };
    static const float side[4][2] = { { -40, -10 }, { 40, -10 }, { 40, 10 }, { -40, 10 } };

    for (int i = 0; i < 4; i++)
        r.corners[i] = (struct point){ 50 + side[i][0] * cosf(angle) - side[i][1] * sinf(angle),
                                       50 + side[i][0] * sinf(angle) + side[i][1] * cosf(angle) };
    return r;
}

/* The boxes around them are nearly the same. */
TEST(rotated_boxes_are_compared_as_they_lie)
{
    struct rotated_box one = turned(0.7f), near = turned(0.705f), crossed = turned(-0.7f);
    struct detection a = box(0, 0.9f, 13, 16, 87, 84), b = a;

    a.rotated = &one;
    b.rotated = &near;
    CHECK(agreement_likeness(&a, &b) > 0.9);
    b.rotated = &crossed;
    CHECK(agreement_likeness(&a, &b) < 0.3);
}

TEST(key_points_may_move_a_little_for_the_size_of_the_thing)
{
    struct keypoint one[] = { { 10, 10, 1 }, { 90, 90, 1 }, { 50, 50, 0.1f } };
    struct keypoint near[] = { { 11, 10, 1 }, { 90, 91, 1 }, { 0, 0, 0.1f } };
    struct keypoint far[] = { { 10, 10, 1 }, { 75, 90, 1 }, { 50, 50, 0.1f } };
    struct detection a = box(0, 0.9f, 0, 0, 100, 100), b = a;

    a.keypoints = one;
    a.nkeypoints = 3;
    b.keypoints = near;
    b.nkeypoints = 3;
    CHECK_NEAR(agreement_likeness(&a, &b), exp(-1.0 / 50), 1e-6); /* one pixel, 5 are tolerated */
    b.keypoints = far;
    CHECK(agreement_likeness(&a, &b) < 0.6);
    b.nkeypoints = 2;
    CHECK_NEAR(agreement_likeness(&a, &b), 0, 0);
}

TEST(precisions_have_names)
{
    enum precision p;

    for (enum precision i = PRECISION_AUTO; i <= PRECISION_F16; i++)
        CHECK(precision_find(precision_name(i), &p) && p == i);
    CHECK(!precision_find("F32", &p) && !precision_find("", &p));
    CHECK(precision_available(PRECISION_AUTO) && precision_available(PRECISION_F32));
}

TEST(a_processor_is_named_by_what_decides_how_it_computes)
{
    char cpu[PRECISION_CPU];

    CHECK_SIZE(
        strspn(precision_cpu(cpu), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/"),
        strlen(cpu));
    CHECK(strchr(cpu, '/') && strlen(cpu) > 10);
}
