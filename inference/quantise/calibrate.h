/*
 * Making a calibration: a network runs in float32 over pictures, and the values of each tensor between
 * its layers are counted. One thread at a time. Takes 32 KiB for each tensor.
 */
#ifndef INFERENCE_QUANTISE_CALIBRATE_H
#define INFERENCE_QUANTISE_CALIBRATE_H

#include "inference/quantise/calibration.h"

struct calibrator;

/*
 * Reads and compiles the model at its own input size; the bytes must stay until calibrator_free. family:
 * as in load_options, or NULL. Errors as those of predictor_load.
 */
enum status calibrator_create(const void *model, size_t n, const char *family, int threads,
                              struct calibrator **ret, struct fault *f) MUST_USE;
void calibrator_free(struct calibrator *c); /* accepts NULL */

/* rgb: as for predictor_run; drawn into the input as that does. */
enum status calibrator_add(struct calibrator *c, const uint8_t *rgb, int width, int height,
                           struct fault *f) MUST_USE;

/* ST_INVALID: fewer than CALIBRATION_PICTURES were added. Caller frees. */
enum status calibrator_finish(const struct calibrator *c, struct calibration **ret,
                              struct fault *f) MUST_USE;

#endif
