/*
 * The precisions that a model may be run in: their names, which of them this machine computes in, and
 * which are worth a trial against float32 (agreement.h). What a trial found holds for one kind of
 * processor and one release: kernels differ, and so do roundings.
 */
#ifndef INFERENCE_PRECISION_H
#define INFERENCE_PRECISION_H

#include <stdbool.h>
#include <stddef.h>
#include "inference/plan/plan.h"

/* "auto", "f32", "bf16", "int8", "f16". */
const char *precision_name(enum precision p);
bool precision_find(const char *name, enum precision *ret);

/* Whether plan_create takes it on this machine. Thread-safe. */
bool precision_available(enum precision p);

/* What automatic precision may choose from, besides float32; PRECISION_AUTO ends it. */
extern const enum precision precision_candidates[];

/*
 * The processor as far as it decides how networks are computed: "GenuineIntel-6-143-8/avx512_fp16":
 * maker, family, model, stepping, and the best instructions that we may use. Letters, digits, '-', '_'
 * and '/' only. Returns ret.
 */
enum { PRECISION_CPU = 64 };
const char *precision_cpu(char ret[PRECISION_CPU]);

#endif
