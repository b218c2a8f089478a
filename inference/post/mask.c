/* Masks: see mask.h. */
#include "inference/post/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float tolerance_px = 1;

void mask_free(struct mask_maker *m)
{
    free(m->logits);
    free(m->row);
    free(m->stack);
    free(m->bitmap.bits);
    *m = (struct mask_maker){ 0 };
}

static bool grow(void *pointer, size_t *room, size_t n, size_t size)
{
    void *p, **at = pointer;

    if (n <= *room)
        return true;
    if (!(p = realloc(*at, n * size)))
        return false;
    *at = p;
    *room = n;
    return true;
}

/* Whole pixels first .. end - 1 of a side. */
struct span {
    int first, end;
};

static struct span inside(float from, float to, int size)
{
    const float most = (float)size;

    return (struct span){ (int)ceilf(fminf(fmaxf(from, 0), most)),
                          (int)ceilf(fminf(fmaxf(to, 0), most)) };
}

/* Where an input pixel's centre lies among the cells: between low and high, so far from low. */
struct place {
    int low, high;
    float part;
};

static struct place place_of(int pixel, int pixels, int cells)
{
    const float at = ((float)pixel + 0.5f) * (float)cells / (float)pixels - 0.5f;
    const float low = at > 0 ? floorf(at) : 0;
    const int first = (int)low < cells ? (int)low : cells - 1;

    return (struct place){ first, first + 1 < cells ? first + 1 : first,
                           at > 0 ? at - (float)first : 0 };
}

/* The cells that the pixels of a span are made of. */
static struct span cells_of(struct span s, int pixels, int cells)
{
    return (struct span){ place_of(s.first, pixels, cells).low,
                          place_of(s.end - 1, pixels, cells).high + 1 };
}

/* Coefficients times prototypes, over the cells across x down only. */
static void sum_prototypes(const struct head *h, const struct value out[], const struct candidate *c,
                           struct span across, struct span down, float *logits)
{
    const struct value *v = &out[h->prototypes];
    const size_t width = (size_t)v->dims[3], plane = width * (size_t)v->dims[2];
    const size_t n = (size_t)(across.end - across.first);

    memset(logits, 0, n * (size_t)(down.end - down.first) * sizeof *logits);
    for (size_t k = 0; k < h->nmasks; k++) {
        const float weight = head_element(h, out[0].data, c->row, h->extra_at + k);
        const float *prototype = (const float *)v->data + k * plane;
        for (int y = down.first; y < down.end; y++) {
            const float *from = prototype + (size_t)y * width + across.first;
            float *to = logits + (size_t)(y - down.first) * n;
            for (size_t x = 0; x < n; x++)
                to[x] += weight * from[x];
        }
    }
}

/* The box's pixels, 1 where the enlarged logits are above 0. */
static void draw_bitmap(struct mask_maker *m, const struct head *h, const struct value *prototypes,
                        struct span x, struct span y, struct span across, struct span down)
{
    const int cells_x = (int)prototypes->dims[3], cells_y = (int)prototypes->dims[2];
    const int n = across.end - across.first;

    for (int row = y.first; row < y.end; row++) {
        const struct place v = place_of(row, h->input_height, cells_y);
        const float *low = m->logits + (size_t)(v.low - down.first) * (size_t)n;
        const float *high = m->logits + (size_t)(v.high - down.first) * (size_t)n;
        uint8_t *bits = m->bitmap.bits + (size_t)(row - y.first) * (size_t)m->bitmap.width;
        for (int i = 0; i < n; i++)
            m->row[i] = low[i] + (high[i] - low[i]) * v.part;
        for (int column = x.first; column < x.end; column++) {
            const struct place u = place_of(column, h->input_width, cells_x);
            const float a = m->row[u.low - across.first], b = m->row[u.high - across.first];
            bits[column - x.first] = a + (b - a) * u.part > 0;
        }
    }
}

/* Marks alternate so that the largest so far stays and the others go. */
static bool largest_region(struct mask_maker *m, struct region *ret)
{
    struct region r;
    int at = 0;

    ret->area = 0;
    ret->mark = 3;
    while (region_next(&m->bitmap, &at, ret->mark == 2 ? 3 : 2, m->stack, &r)) {
        if (r.area <= ret->area) {
            region_erase(&m->bitmap, &r);
            continue;
        }
        if (ret->area)
            region_erase(&m->bitmap, ret);
        *ret = r;
    }
    return ret->area > 0;
}

static bool make_room(struct mask_maker *m, struct span x, struct span y, struct span across,
                      struct span down)
{
    const size_t columns = (size_t)(across.end - across.first);

    m->bitmap.width = x.end - x.first;
    m->bitmap.height = y.end - y.first;
    return grow(&m->logits, &m->cells, columns * (size_t)(down.end - down.first), sizeof *m->logits) &&
           grow(&m->row, &m->columns, columns, sizeof *m->row) &&
           grow(&m->bitmap.bits, &m->pixels, (size_t)m->bitmap.width * (size_t)m->bitmap.height, 1) &&
           grow(&m->stack, &m->depth, region_stack(&m->bitmap), sizeof *m->stack);
}

bool mask_polygon(struct mask_maker *m, const struct head *h, const struct value out[],
                  const struct candidate *c, struct arena *a, struct point **ret, size_t *ret_n)
{
    const struct value *p = &out[h->prototypes];
    const struct span x = inside(c->x0, c->x1, h->input_width),
                      y = inside(c->y0, c->y1, h->input_height);
    struct span across, down;
    struct region r;

    *ret_n = 0;
    if (x.end <= x.first || y.end <= y.first)
        return true;
    across = cells_of(x, h->input_width, (int)p->dims[3]);
    down = cells_of(y, h->input_height, (int)p->dims[2]);
    if (!make_room(m, x, y, across, down))
        return false;
    sum_prototypes(h, out, c, across, down, m->logits);
    draw_bitmap(m, h, p, x, y, across, down);
    if (!largest_region(m, &r))
        return true;
    if (!region_outline(&m->bitmap, &r, tolerance_px, a, ret, ret_n))
        return false;
    for (size_t i = 0; i < *ret_n; i++) {
        (*ret)[i].x += (float)x.first;
        (*ret)[i].y += (float)y.first;
    }
    return true;
}
