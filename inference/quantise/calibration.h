/*
 * What is known of a network's activations: the range of each channel of each tensor between its layers,
 * found by running it in float32 over pictures (calibrate.h). PRECISION_INT8 takes its scales from it.
 *
 * As bytes it is lines of text: a header with version, model, numbers of pictures, tensors and channels;
 * then for each tensor a line with its number of channels and its name, and for each channel one with
 * lowest value, highest value and mean. Immutable once made; read-only for all threads.
 */
#ifndef INFERENCE_QUANTISE_CALIBRATION_H
#define INFERENCE_QUANTISE_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/text.h"

enum {
    CALIBRATION_PICTURES = 64, /* fewer are too few for a range */
    CALIBRATION_DIGEST = 32,   /* SHA-256 of the model's file */
};

struct channel_range {
    float low, high; /* low <= 0 <= high, finite: what bytes should reach */
    float mean;      /* finite */
};

struct calibrated {
    const char *name; /* of the tensor, in the optimised graph; printable ASCII without spaces */
    int nchannels;
    struct channel_range *channels; /* [nchannels] */
};

struct calibration {
    uint8_t model[CALIBRATION_DIGEST];
    int pictures;
    int n;
    struct calibrated *items;       /* [n] by name, ascending */
    struct channel_range *channels; /* the memory of all channels */
    int nchannels;
    char *names; /* the memory of all names */
};

/* ST_INVALID: not a calibration, damaged, or of another version; says the line. Caller frees. */
enum status calibration_read(const void *bytes, size_t n, struct calibration **ret,
                             struct fault *f) MUST_USE;
void calibration_write(const struct calibration *c, struct buffer *to);
void calibration_free(struct calibration *c); /* accepts NULL */

/* NULL: nothing is known of that tensor. */
const struct calibrated *calibration_find(const struct calibration *c, const char *name);

/* ST_INVALID (field "calibration") unless it was made for this model file. */
enum status calibration_check(const struct calibration *c, const void *model, size_t n,
                              struct fault *f) MUST_USE;
void calibration_digest(const void *model, size_t n, uint8_t ret[CALIBRATION_DIGEST]);

/* Can stand in a line: 1 to LIMIT_CALIBRATION_NAME_BYTES printable ASCII characters, none a space. */
bool calibration_name_fits(const char *name);

#endif
