/*
 * How a model is used: its weights, the calibration that its int8 would be computed with, the layers
 * whose usual kernels are wrong on this processor, and the precision that it is compiled for first.
 * Weights with and without a calibration, or with another one, or that avoid other layers, are models of
 * their own to who serves them.
 */
#ifndef DOMAIN_MODEL_USE_H
#define DOMAIN_MODEL_USE_H

#include <stdbool.h>
#include <string.h>
#include "inference/plan/avoid.h"
#include "inference/precision.h"
#include "media/store.h"

struct model_use {
    struct digest weights;
    struct digest calibration; /* all zero unless calibrated */
    bool calibrated;
    struct avoided avoided;
    enum precision precision; /* PRECISION_AUTO counts as PRECISION_F32 */
};

static inline bool model_use_same(const struct model_use *a, const struct model_use *b)
{
    return memcmp(a->weights.bytes, b->weights.bytes, DIGEST_BYTES) == 0 &&
           a->calibrated == b->calibrated &&
           memcmp(a->calibration.bytes, b->calibration.bytes, DIGEST_BYTES) == 0 &&
           avoided_same(&a->avoided, &b->avoided);
}

#endif
