/*
 * ONNX models that keep weights in files beside the model file ("external data"): from the files of a
 * bundle to one file that holds all of it.
 */
#ifndef INFERENCE_MODEL_BUNDLE_H
#define INFERENCE_MODEL_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

struct bundle_file {
    const char *name; /* '/' between segments; none is "", "." or ".." */
    const uint8_t *p;
    size_t n;
};

/* Takes the model's bytes in order. Its failure ends the packing and is handed on. */
struct bundle_sink {
    void *arg;
    enum status (*write)(void *arg, const void *p, size_t n, struct fault *f);
};

/* The one .onnx of the bundle. ST_INVALID: there is none, or more than one. */
enum status bundle_model(const struct bundle_file *files, size_t nfiles, const struct bundle_file **ret,
                         struct fault *f) MUST_USE;

/*
 * Writes files[] (sorted by name) as one self-contained ONNX file: data of tensors, which may lie in any
 * file of the bundle, is put where the format keeps it; all else stays as it was, byte for byte. Memory:
 * none to speak of.
 *
 * A tensor's location is relative to the model's folder and stays in the bundle. ST_INVALID: it leaves
 * it, no file is there, offset or length reach over its end; the message is damaged. ST_TOO_LARGE: more
 * than LIMIT_ONNX_BYTES when put together (many tensors may name the same bytes), or another limit of
 * onnx_read. What is written is not checked any further: onnx_read does.
 */
enum status bundle_pack(const struct bundle_file *files, size_t nfiles, const struct bundle_file *model,
                        const struct bundle_sink *sink, struct fault *f) MUST_USE;

#endif
