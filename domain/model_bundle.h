/*
 * Models that arrive as an archive: one .onnx, and the files in which it keeps its weights. What is kept
 * is one ONNX file that holds all of it, so nothing behind the upload knows of bundles.
 */
#ifndef DOMAIN_MODEL_BUNDLE_H
#define DOMAIN_MODEL_BUNDLE_H

#include <stddef.h>
#include "base/status.h"
#include "inference/model/bundle.h"

enum { MODEL_BUNDLE_NAME = 256 };

/*
 * bytes: a ZIP, tar or tar.gz (media/unpack.h, which says what is refused); folder: open, for a
 * temporary file of at most max_bytes. The model's bytes go to the sink; ret_name is the .onnx file's
 * own name, without folders. Faults name the field "file".
 */
enum status model_bundle_pack(const void *bytes, size_t n, int folder, int64_t max_bytes,
                              const struct bundle_sink *sink, char ret_name[MODEL_BUNDLE_NAME],
                              struct fault *f) MUST_USE;

#endif
