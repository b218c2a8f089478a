/* Drawing and encoding: which pixels, and that what is written is read again. */
#include "tests/unit/test.h"

#include "media/draw.h"
#include "media/encode.h"

enum { W = 40, H = 30 };

static struct image blank(uint8_t *rgb)
{
    memset(rgb, 255, W * H * 3);
    return (struct image){ W, H, rgb };
}

static const struct colour red = { 200, 0, 0 };

/* Pixels that are not white any more; their bounds. */
static int count(const struct image *im, int bounds[4])
{
    int n = 0;

    bounds[0] = im->width;
    bounds[1] = im->height;
    bounds[2] = bounds[3] = 0;
    for (int i = 0; i < im->width * im->height; i++)
        if (im->rgb[3 * i + 1] != 255) {
            const int x = i % im->width, y = i / im->width;
            n++;
            bounds[0] = x < bounds[0] ? x : bounds[0];
            bounds[1] = y < bounds[1] ? y : bounds[1];
            bounds[2] = x + 1 > bounds[2] ? x + 1 : bounds[2];
            bounds[3] = y + 1 > bounds[3] ? y + 1 : bounds[3];
        }
    return n;
}

TEST(a_polygon_fills_the_pixels_whose_centres_it_holds)
{
    const float square[] = { 5, 6, 15, 6, 15, 11, 5, 11 }, triangle[] = { 0, 0, 10, 0, 0, 10 };
    const float bow[] = { 0, 0, 10, 10, 10, 0, 0, 10 };
    uint8_t rgb[W * H * 3];
    struct image im = blank(rgb);
    int b[4];

    draw_polygon(&im, square, 4, 1, red);
    CHECK_I64(count(&im, b), 50);
    CHECK(b[0] == 5 && b[1] == 6 && b[2] == 15 && b[3] == 11);
    CHECK_I64(rgb[(6 * W + 5) * 3], 200);
    im = blank(rgb);
    draw_polygon(&im, square, 4, 0.5f, red);
    CHECK_I64(rgb[(6 * W + 5) * 3], 228); /* half way, rounded */
    CHECK_I64(rgb[(6 * W + 5) * 3 + 1], 128);
    im = blank(rgb);
    draw_polygon(&im, triangle, 3, 1, red);
    CHECK(abs(count(&im, b) - 50) <= 5);
    im = blank(rgb);
    draw_polygon(&im, bow, 4, 1, red); /* crosses itself: two triangles */
    CHECK(abs(count(&im, b) - 50) <= 10);
}

TEST(what_lies_outside_or_is_no_number_draws_nothing)
{
    const float far[] = { -1e30f, -1e30f, 1e30f, -1e30f, 1e30f, 1e30f, -1e30f, 1e30f };
    const float bad[] = { 0, 0, NAN, 10, 10, 10 };
    uint8_t rgb[W * H * 3];
    struct image im = blank(rgb);
    int b[4];

    draw_polygon(&im, bad, 3, 1, red);
    draw_polygon(&im, bad, 2, 1, red);
    draw_line(&im, -100, -100, -50, -50, 3, red);
    draw_line(&im, 0, INFINITY, 10, 10, 1, red);
    draw_disc(&im, NAN, 5, 5, red);
    draw_disc(&im, 5, 5, -1, red);
    draw_disc(&im, -1e9f, 5, 3, red);
    draw_rectangle(&im, 100, 100, 200, 200, red);
    draw_text(&im, 1000, 0, 1, "beyond", red);
    draw_text(&im, 0, -100, 1, "above", red);
    CHECK_I64(count(&im, b), 0);
    draw_rectangle(&im, -5, -5, 3, 2, red);
    CHECK_I64(count(&im, b), 6);
    draw_polygon(&im, far, 4, 1, red); /* covers everything */
    CHECK_I64(count(&im, b), W * H);
}

TEST(lines_are_as_wide_as_asked_and_discs_are_round)
{
    uint8_t rgb[W * H * 3];
    struct image im = blank(rgb);
    int b[4];

    draw_line(&im, 10, 10, 20, 10, 2, red);
    CHECK_I64(count(&im, b), 2 * 12); /* an overlap of half the width at both ends */
    im = blank(rgb);
    draw_disc(&im, 20, 15, 10, red);
    CHECK(abs(count(&im, b) - 314) < 12);
    CHECK(b[0] == 10 && b[1] == 5 && b[2] == 30 && b[3] == 25);
}

TEST(text_has_the_size_it_says)
{
    uint8_t rgb[W * H * 3];
    struct image im = blank(rgb);
    int b[4];

    draw_text(&im, 3, 4, 2, "HL", red);
    CHECK(count(&im, b) > 0);
    CHECK(b[0] == 3 && b[1] == 4);
    CHECK_I64(b[2], 3 + draw_text_width("HL", 2));
    CHECK(b[3] <= 4 + draw_text_height(2));
    CHECK_I64(draw_text_width("", 3), 0);
    CHECK_I64(draw_text_width("\xc3\xa4", 1), draw_text_width("?", 1)); /* one letter, two bytes */
    CHECK_I64(draw_text_width("\xff\xfe", 1), draw_text_width("??", 1));
    CHECK_I64(draw_contrast((struct colour){ 255, 255, 0 }).red, 0);
    CHECK_I64(draw_contrast((struct colour){ 0, 0, 90 }).red, 255);
    CHECK(draw_colour(-3).red == draw_colour(0).red && draw_colour(1).red != draw_colour(0).red);
}

/* All letters differ from each other and from the blank. */
TEST(every_letter_has_a_shape_of_its_own)
{
    static uint8_t shapes[95][W * H * 3];

    for (int i = 0; i < 95; i++) {
        struct image im = blank(shapes[i]);
        draw_text(&im, 0, 0, 1, (const char[]){ (char)(' ' + i), 0 }, red);
        for (int k = 0; k < i; k++)
            if (memcmp(shapes[i], shapes[k], sizeof shapes[i]) == 0)
                TEST_FAIL_("'%c' looks like '%c'", ' ' + i, ' ' + k);
    }
}

TEST(what_is_encoded_is_decoded_again)
{
    uint8_t rgb[W * H * 3];
    struct image im = blank(rgb), back;
    struct fault f = FAULT_INIT;

    draw_rectangle(&im, 8, 8, 24, 16, red);
    for (int format = 0; format < IMAGE_FORMAT__COUNT; format++) {
        struct buffer out = { 0 }, small = { .max = 20 };
        struct image_info info;
        double sum = 0;
        REQUIRE(image_encode(&im, (enum image_format)format, &out, &f) == ST_OK);
        REQUIRE(image_probe(out.p, out.n, &info, &f) == ST_OK);
        CHECK_STR(info.type, image_media_type((enum image_format)format));
        REQUIRE(image_decode(out.p, out.n, &back, &f) == ST_OK);
        CHECK(back.width == W && back.height == H);
        for (int i = 0; i < W * H * 3; i++)
            sum += abs(back.rgb[i] - rgb[i]);
        CHECK(sum / (W * H * 3) <= (format == IMAGE_PNG ? 0 : 8));
        CHECK_I64(image_encode(&im, (enum image_format)format, &small, &f), ST_TOO_LARGE);
        image_free(&back);
        buffer_free(&out);
        buffer_free(&small);
    }
    im.width = 70000; /* more than a JPEG can say; the encoder fails before it reads a row */
    im.height = 1;
    REQUIRE((im.rgb = calloc(70000, 3)) != NULL);
    CHECK_I64(image_encode(&im, IMAGE_JPEG, &(struct buffer){ 0 }, &f), ST_TOO_LARGE);
    free(im.rgb);
}
