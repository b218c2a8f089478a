/* See precision.h. */
#include "inference/precision.h"

#include <cpuid.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "inference/kernels/cpu.h"

static const char *const names[] = { [PRECISION_AUTO] = "auto",
                                     [PRECISION_F32] = "f32",
                                     [PRECISION_BF16] = "bf16",
                                     [PRECISION_INT8] = "int8",
                                     [PRECISION_F16] = "f16" };

const enum precision precision_candidates[] = { PRECISION_INT8, PRECISION_F16, PRECISION_BF16,
                                                PRECISION_AUTO };

const char *precision_name(enum precision p)
{
    return names[p];
}

bool precision_find(const char *name, enum precision *ret)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum precision)i;
            return true;
        }
    return false;
}

bool precision_available(enum precision p)
{
    return p == PRECISION_AUTO || p == PRECISION_F32 ||
           (p == PRECISION_F16 && cpu_isa() >= CPU_AVX512_FP16) ||
           (p == PRECISION_BF16 && cpu_has_bf16()) || (p == PRECISION_INT8 && cpu_has_vnni());
}

/* Twelve letters of leaf 0, in an order of their own. */
static void read_maker(char ret[13])
{
    unsigned a = 0, part[3] = { 0 };

    (void)__get_cpuid(0, &a, &part[0], &part[2], &part[1]);
    memcpy(ret, part, 12);
    ret[12] = '\0';
    for (char *c = ret; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
}

const char *precision_cpu(char ret[PRECISION_CPU])
{
    unsigned a = 0, b, c, d, family, model;
    char maker[13];

    read_maker(maker);
    (void)__get_cpuid(1, &a, &b, &c, &d);
    family = (a >> 8 & 15) + (a >> 20 & 255);
    model = (a >> 4 & 15) + (a >> 12 & 240);
    snprintf(ret, PRECISION_CPU, "%s-%u-%u-%u/%s", maker, family, model, a & 15,
             cpu_isa_name(cpu_isa()));
    return ret;
}
