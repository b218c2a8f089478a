/*
 * Which instructions our own kernels may use: asked of the CPU once. FOVEA_MAX_ISA (avx2, avx512,
 * avx512_fp16) lowers it, for oneDNN too, so that every path can be tested on one machine.
 */
#ifndef INFERENCE_KERNELS_CPU_H
#define INFERENCE_KERNELS_CPU_H

#include <stdbool.h>

enum cpu_isa {
    CPU_PLAIN,
    CPU_AVX2,
    CPU_AVX512,      /* F, BW, DQ, VL */
    CPU_AVX512_FP16, /* and arithmetic on 16-bit floats */
};

/* The best level allowed. Thread-safe. */
enum cpu_isa cpu_isa(void);
/* Dot products of bytes, and of bfloat16, in AVX-512: beside the levels, as CPUs have them with and
 * without 16-bit arithmetic. The level allows CPU_AVX512, and oneDNN was not told to do without. */
bool cpu_has_vnni(void);
bool cpu_has_bf16(void);
const char *cpu_isa_name(enum cpu_isa isa);

#endif
