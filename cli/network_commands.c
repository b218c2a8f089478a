/*
 * fovea model inspect, run, verify, bench: weights files looked at and run as tensors, with neither
 * server nor database. What a picture gives is `fovea predict` (predict.c).
 */
#include "cli/network.h"

#define OPTION_SHAPE                                                                                    \
    {                                                                                                   \
        "shape", "SHAPES", "of the inputs, like 1x3x640x640, with commas between", false                \
    }

/* clang-format off */
const struct command network_commands[] = {
    {
        .words = "model inspect",
        .argument = "FILE",
        .help = "say what a weights file is: task, classes, inputs, outputs, operators",
        .options = { OPTION_SHAPE,
                     { "layers", NULL, "list every layer", false } },
        .run = run_inspect,
    },
    {
        .words = "model run",
        .argument = "FILE",
        .help = "run NPY arrays through a network; writes out0.npy, out1.npy ...",
        .options = { { "input", "FILES", "an array for each input, with commas between", true },
                     { "output-dir", "DIR", "where the outputs go; made when absent", true },
                     OPTION_PRECISION, OPTION_CALIBRATION, OPTION_THREADS, OPTION_EXACT,
                     { "reference", NULL, "by the plain interpreter: slow, the definition", false } },
        .run = run_run,
    },
    {
        .words = "model verify",
        .argument = "FILE",
        .help = "compare the compiled network with the plain interpreter",
        .options = { { "image", "FILE", "a picture as input (default: random numbers)", false },
                     OPTION_SHAPE, OPTION_PRECISION, OPTION_CALIBRATION, OPTION_THREADS, OPTION_EXACT,
                     { "layers", NULL, "each layer by itself; those in plain loops are listed", false },
                     { "tolerance", "X", "largest |difference| / (1 + |value|) (default by precision)",
                       false } },
        .run = run_verify,
    },
    {
        .words = "model bench",
        .argument = "FILE",
        .help = "measure how long a run takes",
        .options = { { "runs", "N", "how many; the median counts (default 20)", false },
                     { "profile", NULL, "list every step with its time and implementation", false },
                     OPTION_SHAPE, OPTION_PRECISION, OPTION_CALIBRATION, OPTION_THREADS, OPTION_EXACT },
        .run = run_bench,
    },
    {
        .words = "model calibrate",
        .argument = "FILE|MODEL PICTURE...",
        .help = "count what 64 or more pictures make of a network, for int8 (of a model: its project's, too)",
        .many = true,
        .options = { { "output", "FILE", "where the calibration of a file goes", false },
                     { "family", "NAME", "how outputs are read, where the file does not tell", false },
                     OPTION_THREADS },
        .run = run_calibrate,
    },
    { .words = NULL },
};
/* clang-format on */
