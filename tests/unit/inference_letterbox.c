/* Pictures drawn by vectors equal, bit for bit, what plain arithmetic on each pixel gives. */
#include "tests/unit/test.h"

#include <sys/mman.h>
#include "inference/kernels/letterbox.h"
#include "inference/preprocess.h"
#include "tests/unit/inference_random.h"

/* ---- the definition, one target pixel at a time */

struct filter {
    int low, n;
    float weights[512];
};

/* Of target position i where `from` source pixels become `to`. */
static struct filter filter_at(int i, int from, int to, bool crop)
{
    const double scale = (double)from / to, centre = (i + 0.5) * scale;
    const double radius = crop && scale > 1 ? scale : 1;
    int low = (int)floor(centre - radius + 0.5), high = (int)floor(centre + radius + 0.5);
    struct filter f;
    float sum = 0;

    low = low < 0 ? 0 : low > from - 1 ? from - 1 : low;
    high = high <= low ? low + 1 : high > from ? from : high;
    f.low = low;
    f.n = high - low;
    for (int k = 0; k < f.n; k++) {
        const double distance = fabs(low + k + 0.5 - centre) / radius;
        f.weights[k] = distance < 1 ? (float)(1 - distance) : 0;
        sum += f.weights[k];
    }
    for (int k = 0; k < f.n; k++)
        f.weights[k] = sum > 0 ? f.weights[k] / sum : 1.0f / (float)f.n;
    return f;
}

/* Volatile: no compiler makes one rounding of a product and a sum. */
static float plus_product(float sum, float a, float b)
{
    const volatile float product = a * b;

    return sum + product;
}

static float pixel(const uint8_t *rgb, int width, const struct filter *x, const struct filter *y, int c)
{
    float total = 0, products[2] = { 0 };

    for (int i = 0; i < x->n; i++) {
        float column = 0;
        for (int k = 0; k < y->n; k++)
            column =
                plus_product(column, rgb[((y->low + k) * width + x->low + i) * 3 + c], y->weights[k]);
        if (x->n == 2)
            products[i] = plus_product(0, column, x->weights[i]);
        else
            total = plus_product(i ? total : 0.5f, column, x->weights[i]);
    }
    return (float)(int)(x->n == 2 ? products[0] + products[1] + 0.5f : total);
}

/* Every number of the planes, borders too. Returns how many differ. */
static int differences(const struct preprocess *p, const struct letterbox *l, const uint8_t *rgb,
                       const float *planes)
{
    const int w = l->input_width, h = l->input_height;
    int wrong = 0;

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int sx = x - l->left, sy = y - l->top;
            const bool inside = sx >= 0 && sx < l->scaled_width && sy >= 0 && sy < l->scaled_height;
            const struct filter across =
                filter_at(inside ? sx : 0, l->width, l->scaled_width, l->fit == FIT_CROP);
            const struct filter down =
                filter_at(inside ? sy : 0, l->height, l->scaled_height, l->fit == FIT_CROP);
            for (int c = 0; c < 3; c++) {
                const float v =
                    inside ? pixel(rgb, l->width, &across, &down, p->bgr ? 2 - c : c) : p->fill;
                wrong += planes[(c * h + y) * w + x] != (v - p->mean[c]) * p->scale[c];
            }
        }
    return wrong;
}

/* Ends where a page does that nobody may read: whoever reads beyond is killed. */
struct picture {
    uint8_t *rgb, *pages;
    size_t bytes;
};

static struct picture picture(uint64_t *state, int width, int height)
{
    const size_t page = 4096, n = (size_t)width * (size_t)height * 3,
                 whole = (n + page - 1) / page * page;
    struct picture p = { .bytes = whole + page };

    p.pages = mmap(NULL, p.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p.pages == MAP_FAILED || mprotect(p.pages + whole, page, PROT_NONE) != 0)
        abort();
    p.rgb = p.pages + whole - n;
    for (size_t i = 0; i < n; i++)
        p.rgb[i] = (uint8_t)random_int(state, 0, 255);
    return p;
}

static void check_drawing(const struct preprocess *p, uint64_t *state, int width, int height,
                          int input_w, int input_h)
{
    const struct letterbox l = letterbox_fit(p->fit, p->keep, width, height, input_w, input_h);
    const size_t n = (size_t)input_w * (size_t)input_h * 3;
    const struct picture im = picture(state, width, height);
    float *planes = malloc(n * sizeof *planes);

    REQUIRE(planes);
    for (size_t i = 0; i < n; i++)
        planes[i] = NAN; /* what stays so was not drawn */
    REQUIRE(preprocess_draw(p, &l, im.rgb, 3, planes));
    if (differences(p, &l, im.rgb, planes) != 0)
        printf("# %d x %d to %d x %d, fit %d\n", width, height, input_w, input_h, (int)p->fit);
    CHECK_I64(differences(p, &l, im.rgb, planes), 0);
    free(planes);
    munmap(im.pages, im.bytes);
}

static const struct preprocess *const kinds[] = { &preprocess_yolo,      &preprocess_stretched,
                                                  &preprocess_yolo_crop, &preprocess_imagenet,
                                                  &preprocess_nanodet,   &preprocess_yolox };

enum { KINDS = sizeof kinds / sizeof kinds[0] };

TEST(pictures_of_any_size_are_drawn_as_defined)
{
    uint64_t state = 41;

    for (int i = 0; i < 240; i++) {
        const int width = random_int(&state, 1, 150), height = random_int(&state, 1, 150);
        const int input_w = random_int(&state, 1, 100), input_h = random_int(&state, 1, 100);
        check_drawing(kinds[i % KINDS], &state, width, height, input_w, input_h);
    }
}

/* Of 31 to 51 the centre of column 25 is that of pixel 15 but for a rounding, which counts three pixels.
 */
TEST(centres_that_fall_on_pixels_are_drawn_as_defined)
{
    uint64_t state = 46;

    REQUIRE(filter_at(25, 31, 51, false).n == 3);
    check_drawing(&preprocess_stretched, &state, 31, 10, 51, 57);
    check_drawing(&preprocess_stretched, &state, 10, 31, 57, 51);
    check_drawing(&preprocess_stretched, &state, 31, 31, 51, 51);
}

TEST(narrow_pictures_and_those_of_one_pixel_are_drawn_as_defined)
{
    static const int sides[] = { 1, 2, 3, 5, 16, 17, 33 };
    enum { SIDES = sizeof sides / sizeof sides[0] };
    uint64_t state = 42;

    for (int i = 0; i < SIDES * SIDES; i++)
        for (int k = 0; k < KINDS; k++)
            check_drawing(kinds[k], &state, sides[i / SIDES], sides[i % SIDES], 33, 17);
}

/* As of cameras: one third, equal, and twice as large. */
TEST(pictures_shrink_and_grow_by_whole_factors_as_defined)
{
    uint64_t state = 43;

    check_drawing(&preprocess_yolo, &state, 480, 270, 160, 160);
    check_drawing(&preprocess_yolo, &state, 160, 90, 160, 160);
    check_drawing(&preprocess_yolo, &state, 80, 80, 160, 160);
    check_drawing(&preprocess_yolo_crop, &state, 480, 270, 56, 56);
}

/* Each level of this CPU against the plain one. */
TEST(rows_are_summed_alike_at_every_level)
{
    enum { MOST = 9, WIDTH = 211 };
    uint64_t state = 44;
    uint8_t *rows = random_bytes(&state, MOST * WIDTH);
    float weights[MOST], want[WIDTH], got[WIDTH];

    for (int i = 0; i < MOST; i++)
        weights[i] = fabsf(random_float(&state));
    for (int isa = CPU_PLAIN; isa <= (int)cpu_isa(); isa++)
        for (size_t n = 1; n <= WIDTH; n += 7) {
            const int k = random_int(&state, 1, MOST);
            letterbox_kernels(CPU_PLAIN)->sum(rows, WIDTH, weights, k, n, want);
            letterbox_kernels((enum cpu_isa)isa)->sum(rows, WIDTH, weights, k, n, got);
            CHECK(memcmp(want, got, n * sizeof *want) == 0);
        }
    free(rows);
}

TEST(pairs_are_blended_alike_at_every_level)
{
    enum { WIDTH = 64, MOST = 75 };
    uint64_t state = 45;
    uint8_t *rows = malloc(2 * WIDTH * 3);
    int32_t at[MOST + 16] = { 0 };
    float left[MOST + 16] = { 0 }, right[MOST + 16] = { 0 };
    const struct letterbox_scale scale = { { 1, 2, 3 }, { 0.1f, 0.2f, 0.3f } };
    const struct letterbox_rows two = { rows, rows + WIDTH * 3, 0.3f, 0.7f };

    for (int i = 0; i < 2 * WIDTH * 3; i++)
        rows[i] = (uint8_t)random_int(&state, 0, 255);
    for (int i = 0; i < MOST; i++) {
        at[i] = 3 * random_int(&state, 0, WIDTH - 2);
        left[i] = fabsf(random_float(&state));
        right[i] = 1 - left[i];
    }
    at[0] = 3 * (WIDTH - 2); /* whose last byte is the rows' */
    for (int isa = CPU_AVX2; isa <= (int)cpu_isa(); isa++)
        for (int n = 1; n <= MOST; n++) {
            const struct letterbox_pairs pairs = { at, left, right, n };
            float ret[3][MOST + 1];
            for (int c = 0; c < 3; c++)
                ret[c][n] = 7; /* nothing is written beyond */
            letterbox_kernels((enum cpu_isa)isa)
                ->pairs(&pairs, &two, &scale, (float *const[3]){ ret[0], ret[1], ret[2] });
            for (int i = 0; i < n * 3; i++) {
                const uint8_t *p = rows + at[i / 3] + i % 3, *q = p + WIDTH * 3;
                const float l = plus_product(plus_product(0, p[0], 0.3f), q[0], 0.7f);
                const float r = plus_product(plus_product(0, p[3], 0.3f), q[3], 0.7f);
                const float sum = plus_product(plus_product(0, l, left[i / 3]), r, right[i / 3]) + 0.5f;
                const float v = (float)(int)sum;
                CHECK(ret[i % 3][i / 3] == (v - scale.mean[i % 3]) * scale.scale[i % 3]);
            }
            CHECK(ret[0][n] == 7 && ret[1][n] == 7 && ret[2][n] == 7);
        }
    free(rows);
}
