/* See range.h. */
#include <math.h>
#include <string.h>
#include "inference/quantise/range.h"

enum { HALF = HISTOGRAM_BINS / 2, HIGHS = 100, LOWS = 20 };

/* Twice the reach: two bins become one. */
static void widen(struct histogram *h)
{
    uint64_t wide[HISTOGRAM_BINS] = { 0 };

    for (int i = 0; i < HISTOGRAM_BINS; i++)
        wide[HALF / 2 + i / 2] += h->bins[i];
    memcpy(h->bins, wide, sizeof wide);
    h->reach *= 2;
}

static void add(struct histogram *h, float v)
{
    if (!isfinite(v))
        return;
    if (h->reach == 0)
        h->reach = 1;
    while (fabsf(v) >= h->reach && h->reach < 1e30f)
        widen(h);
    h->least = fminf(h->least, v);
    h->most = fmaxf(h->most, v);
    v = (v / h->reach + 1) * HALF;
    h->bins[v < 0 ? 0 : v >= HISTOGRAM_BINS ? HISTOGRAM_BINS - 1 : (int)v]++;
}

void histogram_add(struct histogram *h, const float *x, size_t n, size_t lanes, size_t step)
{
    for (size_t i = 0; i < n; i += step)
        for (size_t k = 0; k < lanes; k++)
            add(h, x[i + k]);
}

static double centre(const struct histogram *h, int bin)
{
    return ((double)bin + 0.5 - HALF) / HALF * (double)h->reach;
}

/* Squared error of clipping to `edge` what lies beyond it, for each edge of a list. */
static double clipped(const struct histogram *h, double edge)
{
    double sum = 0;

    for (int i = 0; i < HISTOGRAM_BINS; i++) {
        const double beyond = edge >= 0 ? centre(h, i) - edge : edge - centre(h, i);
        if (h->bins[i] && beyond > 0)
            sum += (double)h->bins[i] * beyond * beyond;
    }
    return sum;
}

void histogram_range(const struct histogram *h, float *ret_low, float *ret_high)
{
    double above[HIGHS], below[LOWS], total = 0, best = INFINITY;

    *ret_low = *ret_high = 0;
    for (int i = 0; i < HISTOGRAM_BINS; i++)
        total += (double)h->bins[i];
    for (int i = 0; i < HIGHS; i++)
        above[i] = h->most > 0 ? clipped(h, (double)h->most * (i + 1) / HIGHS) : 0;
    for (int i = 0; i < LOWS; i++)
        below[i] = h->least < 0 ? clipped(h, (double)h->least * (i + 1) / LOWS) : 0;
    for (int i = 0; i < HIGHS; i++)
        for (int k = 0; k < LOWS; k++) {
            const double high = (double)h->most * (i + 1) / HIGHS,
                         low = (double)h->least * (k + 1) / LOWS;
            const double step = (high - low) / 255;
            const double error = total * step * step / 12 + above[i] + below[k];
            if (error < best) {
                best = error;
                *ret_low = (float)low;
                *ret_high = (float)high;
            }
        }
}
