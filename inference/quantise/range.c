/* See range.h. */
#include <math.h>
#include "inference/quantise/range.h"

#define DEVIATIONS 8.0 /* of extremes from their mean: what may still come */

static void extreme_add(struct extreme *e, float size)
{
    e->sum += (double)size;
    e->squares += (double)size * (double)size;
    e->most = fmaxf(e->most, size);
}

void range_add(struct range *r, const float *x, size_t n, size_t step)
{
    float least = 0, most = 0;
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        const float v = x[i * step];
        if (!isfinite(v))
            continue;
        least = v < least ? v : least;
        most = v > most ? v : most;
        sum += (double)v;
        r->n++;
    }
    extreme_add(&r->above, most);
    extreme_add(&r->below, -least);
    r->sum += sum;
    r->pictures++;
}

/* How far it goes. */
static float extreme_end(const struct extreme *e, int pictures)
{
    const double mean = e->sum / pictures, variance = e->squares / pictures - mean * mean;

    return fmaxf(e->most, (float)(mean + DEVIATIONS * sqrt(fmax(variance, 0))));
}

void range_ends(const struct range *r, float *ret_low, float *ret_high)
{
    *ret_low = r->pictures ? -extreme_end(&r->below, r->pictures) : 0;
    *ret_high = r->pictures ? extreme_end(&r->above, r->pictures) : 0;
}

float range_mean(const struct range *r)
{
    return r->n ? (float)(r->sum / (double)r->n) : 0;
}
