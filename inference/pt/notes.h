/* What a checkpoint says of itself, with the keys and spellings of ONNX exports' metadata. */
#ifndef INFERENCE_PT_NOTES_H
#define INFERENCE_PT_NOTES_H

#include "inference/model/model.h"
#include "inference/pt/build.h"
#include "inference/pt/pt.h"

/*
 * Sets m's producer, version and notes: description, version, date, task, stride, batch, imgsz, names,
 * channels, kpt_shape, end2end, head; and, beyond exports, mean and std where a classifier wants its
 * input normalised. Memory: m's graph's arena. ST_TOO_LARGE: no room.
 */
enum status notes_write(const struct pt_file *p, const struct pt_value *model, const struct build *b,
                        struct model *m, struct fault *f) MUST_USE;

#endif
