/*
 * A network of layers read and run, against the numbers that the test has evaluated itself; and the
 * block that others have inside.
 */
#ifndef TESTS_UNIT_INFERENCE_PT_CHECK_H
#define TESTS_UNIT_INFERENCE_PT_CHECK_H

#include "tests/unit/inference_pt_modules.h"

/* The layers compute `want` of x: the last tensor that the last layer made is the output. */
static inline void check_layers(struct module *layers[], size_t n, struct map x, struct map want)
{
    struct value out[4] = { { 0 } };
    struct fault f = FAULT_INIT;
    struct model *m;
    double most = 0;
    char name[24];

    layers[n] = classifier(want.c);
    snprintf(name, sizeof name, "model.%zu/", n - 1);
    if (!(m = network_read(network(layers, n + 1), x.c, &f))) {
        TEST_FAIL_("%s: %s", layers[0]->class, f.detail);
        return;
    }
    for (int i = 0; i < m->graph->ntensors; i++)
        if (strncmp(m->graph->tensors[i].name, name, strlen(name)) == 0)
            m->graph->outputs[0] = i;
    if (!network_run(m, x, out, &f)) {
        TEST_FAIL_("%s: %s", layers[0]->class, f.detail);
    } else if (out[0].rank != 4 || out[0].dims[1] != want.c || out[0].dims[2] != want.h ||
               out[0].dims[3] != want.w) {
        TEST_FAIL_("%s: %lld x %lld x %lld instead of %d x %d x %d", layers[0]->class,
                   (long long)out[0].dims[1], (long long)out[0].dims[2], (long long)out[0].dims[3],
                   want.c, want.h, want.w);
    } else {
        for (int i = 0; i < want.c * want.h * want.w; i++)
            most =
                fmax(most, fabs((double)value_f32(&out[0])[i] - want.v[i]) / fmax(1, fabs(want.v[i])));
        if (!(most <= 2e-5))
            TEST_FAIL_("%s: off by %g", layers[0]->class, most);
    }
    free(out[0].data);
    model_free(m);
}

static inline void check_block(struct module *block, struct map x, struct map want)
{
    struct module *layers[2] = { block };

    check_layers(layers, 1, x, want);
}

static inline struct module *bottleneck(int c, bool add)
{
    struct module *m = module_new(YOLO, "Bottleneck");

    module_child(m, "cv1", conv(c, c, 1, 1));
    module_child(m, "cv2", conv(c, c, 3, 1));
    return module_bool(m, "add", add);
}

static inline struct map eval_bottleneck(const struct module *m, struct map x)
{
    const struct map y = eval_part(m, "cv2", eval_part(m, "cv1", x));

    return module_number(m, "add") ? eval_add(x, y) : y;
}

#endif
