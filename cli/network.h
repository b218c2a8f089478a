/*
 * A weights file as a network of tensors, for the commands that run one without a server: read, bound to
 * sizes, given inputs.
 */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include "cli/cli.h"
#include "cli/model_file.h"
#include "inference/card.h"
#include "inference/plan/plan.h"
#include "inference/quantise/calibration.h"

enum { NETWORK_INPUTS = 16 };

struct network {
    struct model_file file;
    struct opened_model opened;
    struct calibration *calibration;     /* --calibration, or NULL */
    struct graph *graph;                 /* bound and inferred, before any pass */
    struct value inputs[NETWORK_INPUTS]; /* [graph->ninputs], data owned */
};

/* Reads the file that is the command's argument. Release with network_close, also after a failure. */
enum status network_open(const struct cli *c, struct network *n, struct fault *f) MUST_USE;
void network_close(struct network *n);

/*
 * Makes n->graph. shapes: of the inputs, "1x3x640x640" with commas between several; NULL: the file's
 * own, where dimensions that it leaves open are those of a picture of the usual size, else 1.
 */
enum status network_bind(struct network *n, const char *shapes, struct fault *f) MUST_USE;
/* The same by values that are in n->inputs already. */
enum status network_bind_inputs(struct network *n, struct fault *f) MUST_USE;

/* Inputs: random numbers from 0 to 1; NPY files, names with commas between them; or a picture,
 * stretched. */
enum status network_fill(struct network *n, struct fault *f) MUST_USE;
enum status network_read_inputs(struct network *n, const char *names, struct fault *f) MUST_USE;
enum status network_read_picture(struct network *n, const char *name, struct fault *f) MUST_USE;

/* A whole file of at most `most` bytes in fresh memory; ST_NOT_FOUND with field "file". */
enum status file_read(const char *path, size_t most, void **ret, size_t *ret_n,
                      struct fault *f) MUST_USE;

/* The whole of a new or an old file. ST_UNAVAILABLE: the folder is not there, or full. */
enum status file_write(const char *path, const void *bytes, size_t n, struct fault *f) MUST_USE;

/* --calibration of the command, made for this model file; NULL when it was not given. Caller frees. */
enum status calibration_option(const struct cli *c, const struct model_file *model,
                               struct calibration **ret, struct fault *f) MUST_USE;
/* The same into n, which keeps it, and o. */
enum status network_calibration(const struct cli *c, struct network *n, struct compile_options *o,
                                struct fault *f) MUST_USE;

/* --threads, --precision and --exact of the command. */
enum status network_options(const struct cli *c, struct compile_options *ret, struct fault *f) MUST_USE;

/* fovea model inspect, run, verify, bench: rows in network_commands.c. */
enum status run_inspect(struct cli *c, struct fault *f) MUST_USE;
enum status run_run(struct cli *c, struct fault *f) MUST_USE;
enum status run_verify(struct cli *c, struct fault *f) MUST_USE;
enum status run_bench(struct cli *c, struct fault *f) MUST_USE;
/* fovea model calibrate (calibrate.c). */
enum status run_calibrate(struct cli *c, struct fault *f) MUST_USE;

/* What the three options are called in every command that has them. */
#define OPTION_THREADS                                                                                  \
    {                                                                                                   \
        "threads", "N", "threads of one run (default 1)", false                                         \
    }
#define OPTION_PRECISION                                                                                \
    {                                                                                                   \
        "precision", "P", "auto, f32, f16, bf16 or int8 (default auto)", false                          \
    }
#define OPTION_CALIBRATION                                                                              \
    {                                                                                                   \
        "calibration", "FILE", "of this model (model calibrate), for int8", false                       \
    }
#define OPTION_EXACT                                                                                    \
    {                                                                                                   \
        "exact", NULL, "direct float32 kernels only", false                                             \
    }

#endif
