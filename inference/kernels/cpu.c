/* See cpu.h. */
#include <cpuid.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "inference/kernels/cpu.h"

static const char *const names[] = { [CPU_PLAIN] = "plain",
                                     [CPU_AVX2] = "avx2",
                                     [CPU_AVX512] = "avx512",
                                     [CPU_AVX512_FP16] = "avx512_fp16" };
static pthread_once_t once = PTHREAD_ONCE_INIT;
static enum cpu_isa found;

const char *cpu_isa_name(enum cpu_isa isa)
{
    return names[isa];
}

/* Compilers' names for this bit came late: leaf 7, EDX bit 23. */
static int has_fp16(void)
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1);
}

/* The bits of each of oneDNN's levels hold those of the ones below. */
static bool onednn_has(dnnl_cpu_isa_t isa)
{
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)isa) == (unsigned)isa;
}

static enum cpu_isa ask_cpu(void)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return CPU_PLAIN;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return CPU_AVX2;
    return has_fp16() ? CPU_AVX512_FP16 : CPU_AVX512;
}

/* What oneDNN was told through its own variable holds for our kernels too. */
static enum cpu_isa least_of(enum cpu_isa isa)
{
    const char *most = getenv("FOVEA_MAX_ISA");

    for (int i = 0; most && i < (int)isa; i++)
        if (strcmp(most, names[i]) == 0)
            isa = (enum cpu_isa)i;
    if (isa < CPU_AVX512)
        (void)dnnl_set_max_cpu_isa(isa == CPU_AVX2 ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_sse41);
    else if (!onednn_has(dnnl_cpu_isa_avx512_core))
        isa = CPU_AVX2;
    return isa;
}

static void find(void)
{
    found = least_of(ask_cpu());
}

enum cpu_isa cpu_isa(void)
{
    pthread_once(&once, find);
    return found;
}

bool cpu_has_vnni(void)
{
    return cpu_isa() >= CPU_AVX512 && __builtin_cpu_supports("avx512vnni");
}

bool cpu_has_bf16(void)
{
    return cpu_isa() >= CPU_AVX512 && __builtin_cpu_supports("avx512bf16") &&
           onednn_has(dnnl_cpu_isa_avx512_core_bf16);
}
