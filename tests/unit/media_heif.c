/*
 * HEIC and AVIF: what they show, and what hostile ones come to. The pictures are those that the fuzz
 * target starts from: 64 x 48, a quarter each of red, green, blue and white, in several spellings.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "base/limits.h"
#include "media/apart.h"
#include "media/image.h"
#include "tests/unit/test.h"

enum { FILE_MOST = 2000, NEAR = 6 };

struct file {
    uint8_t p[FILE_MOST];
    size_t n;
};

static struct file read_picture(const char *name)
{
    struct file file = { .n = 0 };
    char path[100];
    FILE *in;

    snprintf(path, sizeof path, "tests/fuzz/corpus/image/%s", name);
    if (!(in = fopen(path, "rb")) || !(file.n = fread(file.p, 1, sizeof file.p, in)))
        TEST_FAIL_("%s cannot be read", path);
    if (in)
        fclose(in);
    return file;
}

/* From memory of exactly n bytes, so that a sanitizer sees a byte too far. */
static enum status decode(const struct file *file, size_t n, struct image *ret, struct fault *f)
{
    uint8_t *exact = malloc(n ? n : 1);
    enum status st;

    memcpy(exact, file->p, n);
    st = image_decode(exact, n, ret, f);
    free(exact);
    return st;
}

static char colour_at(const struct image *im, int x, int y)
{
    static const struct {
        char name;
        uint8_t rgb[3];
    } colours[] = { { 'r', { 220, 30, 40 } },
                    { 'g', { 30, 200, 60 } },
                    { 'b', { 40, 60, 210 } },
                    { 'w', { 240, 240, 240 } } };

    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++) {
        bool same = true;

        for (int c = 0; c < 3; c++)
            same &= abs(im->rgb[(y * im->width + x) * 3 + c] - colours[i].rgb[c]) <= NEAR;
        if (same)
            return colours[i].name;
    }
    return '?';
}

TEST(every_spelling_shows_its_quarters_the_right_way_up)
{
    static const struct {
        const char *name, *type, *quarters; /* top left, top right, bottom left, bottom right */
        int width, height;
    } cases[] = {
        { "heic", "image/heic", "rgbw", 64, 48 },
        { "heic-10", "image/heic", "rgbw", 64, 48 },
        { "heic-alpha", "image/heic", "rgbw", 64, 48 },
        { "heic-turned", "image/heic", "brwg", 48, 64 },
        { "avif", "image/avif", "rgbw", 64, 48 },
        { "avif-12", "image/avif", "rgbw", 64, 48 },
        { "avif-alpha", "image/avif", "rgbw", 64, 48 },
        { "avif-turned", "image/avif", "gwrb", 48, 64 },
        { "avif-mirrored", "image/avif", "grwb", 64, 48 },
        { "avif-cropped", "image/avif", "ggrr", 24, 40 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct file file = read_picture(cases[i].name);
        struct fault f = FAULT_INIT;
        struct image im = { 0 };
        struct image_info info;
        char seen[5] = "";

        CHECK_I64(image_probe(file.p, file.n, &info, &f), ST_OK);
        CHECK_STR(info.type, cases[i].type);
        CHECK_I64(info.width, cases[i].width);
        CHECK_I64(info.height, cases[i].height);
        CHECK_I64(info.orientation, 1);
        if (decode(&file, file.n, &im, &f) != ST_OK)
            TEST_FAIL_("%s: %s", cases[i].name, f.detail);
        CHECK_I64(im.width, cases[i].width);
        CHECK_I64(im.height, cases[i].height);
        for (int k = 0; im.rgb && k < 4; k++)
            seen[k] = colour_at(&im, k % 2 ? im.width - 4 : 3, k / 2 ? im.height - 4 : 3);
        if (strcmp(seen, cases[i].quarters) != 0)
            TEST_FAIL_("%s shows %s, not %s", cases[i].name, seen, cases[i].quarters);
        image_free(&im);
    }
}

TEST(a_picture_cut_anywhere_is_refused)
{
    static const char *const names[] = { "heic", "avif" };

    for (size_t i = 0; i < 2; i++) {
        const struct file file = read_picture(names[i]);

        for (size_t cut = 1; cut <= 16; cut++) {
            struct fault f = FAULT_INIT;
            struct image im = { 0 };

            if (decode(&file, file.n - file.n * cut / 16 - (cut == 16 ? 0 : 1), &im, &f) == ST_OK)
                TEST_FAIL_("%s without %zu sixteenths and a byte was accepted", names[i], cut);
            image_free(&im);
        }
    }
}

/* Whatever a byte of the boxes becomes, there is a picture of the size that was told, or a sentence. */
TEST(no_byte_of_the_boxes_can_do_harm)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7F, 0x80, 0xFF };
    struct file file = read_picture("avif");
    size_t accepted = 0, refused = 0;

    for (size_t at = 0; at < file.n; at++) {
        const uint8_t was = file.p[at];
        struct fault f = FAULT_INIT;
        struct image_info info = { 0 };
        struct image im = { 0 };

        file.p[at] = values[at % sizeof values];
        (void)!image_probe(file.p, file.n, &info, &f);
        if (decode(&file, file.n, &im, &f) == ST_OK) {
            CHECK(im.width == info.width && im.height == info.height);
            accepted++;
        } else {
            CHECK(f.detail[0]);
            refused++;
        }
        image_free(&im);
        file.p[at] = was;
    }
    CHECK(accepted > 50);
    CHECK(refused > 50);
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

TEST(a_size_that_is_not_that_of_the_pixels_is_refused)
{
    static const struct {
        uint32_t width, height;
        enum status want;
    } cases[] = {
        { 65, 48, ST_INVALID }, { 32, 32, ST_INVALID },         { 9000, 9000, ST_INVALID },
        { 0, 48, ST_INVALID },  { 30000, 30000, ST_TOO_LARGE }, { 0xFFFFFFFF, 0xFFFFFFFF, ST_TOO_LARGE },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file = read_picture("avif");
        uint8_t *const size = memmem(file.p, file.n, "ispe", 4);
        struct fault f = FAULT_INIT;
        struct image im = { 0 };

        put_be32(size + 8, cases[i].width);
        put_be32(size + 12, cases[i].height);
        CHECK_I64(decode(&file, file.n, &im, &f), cases[i].want);
    }
}

/* 744 bytes say 16 x 16 and hold 8192 x 8192: the decoder may not have the memory to find that out. */
TEST(a_bomb_takes_no_memory)
{
    const struct file file = read_picture("avif-bomb");
    struct rusage own, children; /* a child begins with what its parent has */
    struct image_info info;
    struct fault f = FAULT_INIT;
    struct image im = { 0 };

    CHECK_I64(image_probe(file.p, file.n, &info, &f), ST_OK);
    CHECK_I64(info.width, 16);
    CHECK_I64(decode(&file, file.n, &im, &f), ST_INVALID);
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    CHECK(children.ru_maxrss < own.ru_maxrss + (32 << 10));
}

TEST(boxes_that_are_no_picture_are_refused)
{
    static const struct {
        const char *brand, *rest;
        size_t nrest;
        enum status want;
    } cases[] = {
        { "heic", "", 0, ST_INVALID },
        { "avif", "\0\0\0\014meta\0\0\0\0", 12, ST_INVALID },
        { "avif", "\0\0\0\032meta\0\0\0\0\0\0\0\016pitm\0\0\0\0\0\001", 26, ST_INVALID },
        { "mif1", "\0\0\0\001meta\377\377\377\377\377\377\377\377", 16, ST_INVALID },
        { "mif1", "\0\0\0\001meta\0\0\0\0\0\0\0\003", 16, ST_INVALID },
        { "mif1", "\0\0\0\003meta", 8, ST_INVALID },
        { "msf1", "", 0, ST_UNSUPPORTED },
        { "hevc", "", 0, ST_UNSUPPORTED },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file = { .n = 24 + cases[i].nrest };
        struct fault f = FAULT_INIT;
        struct image im = { 0 };

        memcpy(file.p, "\0\0\0\030ftyp????\0\0\0\0mif1miaf", 24);
        memcpy(file.p + 8, cases[i].brand, 4);
        memcpy(file.p + 24, cases[i].rest, cases[i].nrest);
        if (decode(&file, file.n, &im, &f) != cases[i].want || !f.detail[0])
            TEST_FAIL_("case %zu: %s", i, f.detail);
    }
}

TEST(a_file_of_nothing_but_boxes_is_too_large)
{
    const size_t n = 24 + 8 * ((size_t)LIMIT_HEIF_BOXES + 1);
    uint8_t *file = malloc(n);
    struct fault f = FAULT_INIT;
    struct image_info info;

    memcpy(file, "\0\0\0\030ftypavif\0\0\0\0mif1miaf", 24);
    for (size_t at = 24; at < n; at += 8)
        memcpy(file + at, "\0\0\0\010free", 8);
    CHECK_I64(image_probe(file, n, &info, &f), ST_TOO_LARGE);
    free(file);
}
