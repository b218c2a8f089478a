/* Pictures: every format and kind comes out as the same pixels, upright; what is wrong is refused by
 * name. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "base/limits.h"
#include "media/image.h"
#include "tests/unit/pictures.h"
#include "tests/unit/test.h"

/* What the pixels of a kind should be. */
enum shows { COLOURS, GREY, HALF, GREENS };

static void expected_at(enum shows shows, int x, int y, int w, int h, uint8_t rgb[3])
{
    pattern_at(x, y, w, h, rgb);
    if (shows == GREY) {
        rgb[1] = rgb[2] = rgb[0];
    } else if (shows == HALF) {
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(rgb[c] * 128 / 255);
    } else if (shows == GREENS) {
        rgb[0] = 7;
        rgb[1] = (uint8_t)(rgb[1] / 17 * 17);
        rgb[2] = 9;
    }
}

static void check_picture(const char *name, const struct buffer *file, const char *type,
                          enum shows shows, int w, int h, int tolerance)
{
    struct fault f = FAULT_INIT;
    struct image_info info;
    struct image im = { 0 };
    enum status st;
    int worst = 0;

    if ((st = image_probe(file->p, file->n, &info, &f)) != ST_OK ||
        (st = image_decode(file->p, file->n, &im, &f)) != ST_OK) {
        TEST_FAIL_("%s: %s, %s", name, status_name(st), f.detail);
        return;
    }
    if (strcmp(info.type, type) != 0 || info.width != w || info.height != h || im.width != w ||
        im.height != h)
        TEST_FAIL_("%s: told to be %s %d x %d, decoded %d x %d, want %d x %d", name, info.type,
                   info.width, info.height, im.width, im.height, w, h);
    else
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                uint8_t want[3];

                expected_at(shows, x, y, w, h, want);
                for (int c = 0; c < 3; c++) {
                    const int off = abs(want[c] - im.rgb[(y * w + x) * 3 + c]);

                    worst = off > worst ? off : worst;
                }
            }
    if (worst > tolerance)
        TEST_FAIL_("%s: a pixel is off by %d", name, worst);
    image_free(&im);
    CHECK(!im.rgb);
}

/* Files come as read-only maps: a decoder that writes to its input must not get far. */
static void check_read_only(const struct buffer *file)
{
    struct fault f = FAULT_INIT;
    struct image im = { 0 };
    void *map = mmap(NULL, file->n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(map != MAP_FAILED);
    memcpy(map, file->p, file->n);
    CHECK_I64(mprotect(map, file->n, PROT_READ), 0);
    CHECK_I64(image_decode(map, file->n, &im, &f), ST_OK);
    image_free(&im);
    munmap(map, file->n);
}

/* ---- formats ---- */

TEST(jpegs_of_every_colour_space_are_read)
{
    static const struct {
        const char *name;
        enum jpeg_kind kind;
        enum shows shows;
    } kinds[] = {
        { "plain", JPEG_PLAIN, COLOURS }, { "progressive", JPEG_PROGRESSIVE, COLOURS },
        { "grey", JPEG_GREY, GREY },      { "CMYK", JPEG_CMYK, HALF },
        { "YCCK", JPEG_YCCK, HALF },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct buffer file = { 0 };

        write_jpeg(&file, kinds[i].kind, 1, 40, 23);
        check_picture(kinds[i].name, &file, "image/jpeg", kinds[i].shows, 40, 23, 6);
        buffer_free(&file);
    }
}

TEST(pngs_of_every_colour_type_and_depth_are_read)
{
    static const struct {
        const char *name;
        int colour, depth;
        enum shows shows;
        int tolerance;
    } kinds[] = {
        { "grey 1", 0, 1, GREY, 128 },    { "grey 2", 0, 2, GREY, 64 },
        { "grey 4", 0, 4, GREY, 16 },     { "grey 8", 0, 8, GREY, 0 },
        { "grey 16", 0, 16, GREY, 1 },    { "RGB 8", 2, 8, COLOURS, 0 },
        { "RGB 16", 2, 16, COLOURS, 1 },  { "palette 4", 3, 4, GREENS, 0 },
        { "palette 8", 3, 8, GREENS, 0 }, { "grey alpha", 4, 8, GREY, 0 },
        { "RGBA 8", 6, 8, COLOURS, 0 },   { "RGBA 16", 6, 16, COLOURS, 1 },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int interlaced = 0; interlaced < 2; interlaced++) {
            struct buffer file = { 0 };

            write_png(&file, kinds[i].colour, kinds[i].depth, interlaced, 1, 37, 21);
            check_picture(kinds[i].name, &file, "image/png", kinds[i].shows, 37, 21, kinds[i].tolerance);
            buffer_free(&file);
        }
}

static const struct tiff_kind tiff_kinds[] = {
    { "plain strips", COMPRESSION_NONE, 8, 3, 0, false },
    { "LZW grey", COMPRESSION_LZW, 8, 1, 0, false },
    { "deflate 16", COMPRESSION_ADOBE_DEFLATE, 16, 3, 0, false },
    { "packbits planes", COMPRESSION_PACKBITS, 8, 3, 0, true },
    { "LZW tiles", COMPRESSION_LZW, 8, 3, 16, false },
    { "tiles in planes, 16", COMPRESSION_NONE, 16, 3, 16, true },
    { "unassociated alpha", COMPRESSION_LZW, 8, 4, 0, false },
    { "alpha in tiles", COMPRESSION_ADOBE_DEFLATE, 8, 4, 16, false },
};

TEST(tiffs_of_every_layout_are_read)
{
    for (size_t i = 0; i < sizeof tiff_kinds / sizeof tiff_kinds[0]; i++) {
        struct buffer file = { 0 };

        write_tiff(&file, &tiff_kinds[i], 1, 41, 23);
        check_picture(tiff_kinds[i].name, &file, "image/tiff",
                      tiff_kinds[i].samples == 1 ? GREY : COLOURS, 41, 23, 0);
        check_read_only(&file);
        buffer_free(&file);
    }
}

TEST(webp_and_bmp_are_read)
{
    static const struct {
        const char *name;
        int bits;
        bool fields, top_down;
    } bmps[] = { { "24", 24, false, false },
                 { "32", 32, false, true },
                 { "fields", 32, true, false },
                 { "8", 8, false, true } };
    struct buffer file = { 0 };

    write_webp(&file, 1, 37, 21);
    check_picture("webp", &file, "image/webp", COLOURS, 37, 21, 0);
    for (size_t i = 0; i < sizeof bmps / sizeof bmps[0]; i++) {
        buffer_clear(&file);
        write_bmp(&file, bmps[i].bits, bmps[i].fields, bmps[i].top_down, 37, 21);
        check_picture(bmps[i].name, &file, "image/bmp", bmps[i].bits == 8 ? GREY : COLOURS, 37, 21, 0);
    }
    buffer_free(&file);
}

TEST(the_first_frame_of_a_gif_is_read_onto_its_screen)
{
    struct fault f = FAULT_INIT;

    for (int interlaced = 0; interlaced < 2; interlaced++) {
        struct buffer file = { 0 };
        struct image im;

        write_gif(&file, interlaced, 2, 1, 20, 17);
        REQUIRE(image_decode(file.p, file.n, &im, &f) == ST_OK);
        CHECK_I64(im.width, 20);
        CHECK_I64(im.height, 17);
        for (int y = 0; y < 17; y++)
            for (int x = 0; x < 20; x++) {
                const int index = y < 1 || x < 2 ? 3 : (y - 1) & 15;

                CHECK_I64(im.rgb[(y * 20 + x) * 3 + 1], index * 17);
            }
        image_free(&im);
        buffer_free(&file);
    }
}

/* ---- which way up ---- */

TEST(all_eight_orientations_come_out_upright)
{
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int odd = 0; odd < 2; odd++) { /* odd widths write big-endian EXIF */
            const int w = 40 + odd, h = 23, upright_w = orientation < 5 ? w : h,
                      upright_h = orientation < 5 ? h : w;
            struct buffer files[4] = { 0 };
            static const char *const types[] = { "image/jpeg", "image/png", "image/webp", "image/tiff" };
            char name[48];

            write_jpeg(&files[0], JPEG_PLAIN, orientation, w, h);
            write_png(&files[1], PNG_COLOR_TYPE_RGB, 8, false, orientation, w, h);
            write_webp(&files[2], orientation, w, h);
            write_tiff(&files[3], &tiff_kinds[odd ? 0 : 4], orientation, w, h);
            for (int i = 0; i < 4; i++) {
                struct fault f = FAULT_INIT;
                struct image_info info = { 0 };

                snprintf(name, sizeof name, "%s orientation %d", types[i], orientation);
                check_picture(name, &files[i], types[i], COLOURS, upright_w, upright_h, i == 0 ? 8 : 0);
                CHECK_I64(image_probe(files[i].p, files[i].n, &info, &f), ST_OK);
                CHECK_I64(info.orientation, orientation);
                buffer_free(&files[i]);
            }
        }
}

/* ---- what is refused ---- */

static void check_refused(const char *name, const void *p, size_t n, enum status want, const char *words)
{
    struct fault f = FAULT_INIT;
    struct image im = { 0 };
    const enum status st = image_decode(p, n, &im, &f);

    if (st != want || !strstr(f.detail, words))
        TEST_FAIL_("%s: %s, \"%s\"", name, status_name(st), f.detail);
    CHECK(!im.rgb);
    image_free(&im);
}

TEST(a_truncated_picture_is_refused_wherever_it_is_cut)
{
    struct buffer files[7] = { 0 };

    write_jpeg(&files[0], JPEG_PLAIN, 1, 40, 23);
    write_jpeg(&files[1], JPEG_PROGRESSIVE, 1, 40, 23);
    write_png(&files[2], PNG_COLOR_TYPE_RGB, 8, true, 1, 40, 23);
    write_webp(&files[3], 1, 40, 23);
    write_tiff(&files[4], &tiff_kinds[1], 1, 40, 23);
    write_gif(&files[5], false, 0, 0, 40, 23);
    write_bmp(&files[6], 24, false, false, 40, 23);
    for (int i = 0; i < 7; i++) {
        /* The end of the pixels: GIF has a second frame, TIFF its directory behind them. */
        const size_t end = i == 5 ? files[i].n / 2 : files[i].n;
        size_t accepted = 0;

        for (size_t n = 0; n < end; n++) {
            uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizer sees a byte too far */
            struct fault f = FAULT_INIT;
            struct image im = { 0 };

            memcpy(exact, files[i].p, n);
            accepted += image_decode(exact, n, &im, &f) == ST_OK;
            image_free(&im);
            free(exact);
        }
        if (accepted)
            TEST_FAIL_("format %d: %zu of %zu cuts accepted", i, accepted, end);
        buffer_free(&files[i]);
    }
}

TEST(a_jpeg_cut_in_the_middle_says_so)
{
    struct buffer file = { 0 };

    write_jpeg(&file, JPEG_PLAIN, 1, 60, 60);
    check_refused("half a JPEG", file.p, file.n / 2, ST_INVALID, "damaged");
    buffer_free(&file);
}

TEST(other_files_are_refused_by_what_they_are)
{
    check_refused("text", "just some words\n", 16, ST_UNSUPPORTED, "text/plain");
    check_refused("nothing", "", 0, ST_UNSUPPORTED, "x-empty");
    check_refused("PDF", "%PDF-1.4\n1 0 obj\n", 17, ST_UNSUPPORTED, "application/pdf");
    check_refused("ZIP", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, ST_UNSUPPORTED,
                  "application/zip");
}

/* A PNG header with the right checksum and no pixels. */
static size_t png_header(uint32_t w, uint32_t h, uint8_t ret[64])
{
    static const uint8_t start[16] = { 0x89, 'P', 'N', 'G', 13,  10,  26,  10,
                                       0,    0,   0,   13,  'I', 'H', 'D', 'R' };
    static const uint8_t kind[5] = { 8, 2 }; /* RGB of 8 bits */
    uint8_t *p = ret + 16;
    uint32_t crc = 0xFFFFFFFF;

    memcpy(ret, start, sizeof start);
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(w >> (24 - 8 * i));
        p[4 + i] = (uint8_t)(h >> (24 - 8 * i));
    }
    memcpy(p + 8, kind, sizeof kind);
    for (int i = -4; i < 13; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    for (int i = 0; i < 4; i++)
        p[13 + i] = (uint8_t)(~crc >> (24 - 8 * i));
    return 33;
}

TEST(a_bomb_is_refused_from_its_header)
{
    struct rusage before, after;
    uint8_t header[64];
    size_t n;

    getrusage(RUSAGE_SELF, &before);
    n = png_header(30000, 30000, header);
    check_refused("30000 x 30000", header, n, ST_TOO_LARGE, "30000 x 30000");
    n = png_header(40000, 2, header);
    check_refused("40000 x 2", header, n, ST_TOO_LARGE, "32768");
    n = png_header(0xFFFFFFFF, 0xFFFFFFFF, header);
    check_refused("2^32 x 2^32", header, n, ST_TOO_LARGE, "4294967295");
    n = png_header(0, 5, header);
    check_refused("0 x 5", header, n, ST_INVALID, "no pixels");
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 32 << 10); /* KiB: libmagic's tables at most */
}

/* A TIFF directory of 16- and 32-bit values, by hand. */
static size_t tiff_directory(const uint32_t tags[][3], int n, uint8_t ret[256])
{
    static const uint8_t start[8] = { 'I', 'I', 42, 0, 8 };
    uint8_t *p = ret + 10;

    memset(ret, 0, 256);
    memcpy(ret, start, sizeof start);
    ret[8] = (uint8_t)n;
    for (int i = 0; i < n; i++, p += 12) {
        memcpy(p, &tags[i][0], 2);
        memcpy(p + 2, &tags[i][1], 2);
        p[4] = 1;
        memcpy(p + 8, &tags[i][2], 4);
    }
    return 200;
}

TEST(a_tiff_whose_tags_ask_for_gigabytes_is_refused)
{
    const uint32_t samples[][3] = { { 256, 4, 300 },   { 257, 4, 300 }, { 258, 3, 8 },
                                    { 259, 3, 1 },     { 262, 3, 2 },   { 273, 4, 150 },
                                    { 277, 3, 65529 }, { 278, 4, 300 }, { 279, 4, 50 } };
    const uint32_t pixels[][3] = { { 256, 4, 0x7FFFFFFF }, { 257, 4, 0x7FFFFFFF }, { 258, 3, 8 },
                                   { 259, 3, 1 },          { 262, 3, 1 },          { 273, 4, 150 },
                                   { 277, 3, 1 },          { 279, 4, 50 } };
    const uint32_t coding[][3] = { { 256, 4, 30 }, { 257, 4, 30 },  { 258, 3, 8 }, { 259, 3, 6 },
                                   { 262, 3, 1 },  { 273, 4, 150 }, { 277, 3, 1 }, { 279, 4, 50 } };
    const uint32_t strip[][3] = { { 256, 4, 9000 }, { 257, 4, 9000 }, { 258, 3, 8 },
                                  { 259, 3, 5 },    { 262, 3, 1 },    { 273, 4, 150 },
                                  { 277, 3, 1 },    { 278, 4, 9000 }, { 279, 4, 50 } };
    uint8_t file[256];
    size_t n;

    n = tiff_directory(samples, 9, file);
    check_refused("samples", file, n, ST_TOO_LARGE, "65529 samples");
    n = tiff_directory(pixels, 8, file);
    check_refused("pixels", file, n, ST_TOO_LARGE, "2147483647");
    n = tiff_directory(coding, 8, file);
    check_refused("coding", file, n, ST_UNSUPPORTED, "compression 6");
    n = tiff_directory(strip, 9, file);
    check_refused("strip", file, n, ST_INVALID, "damaged");
}

TEST(a_bmp_of_a_rare_kind_is_refused_by_name)
{
    struct buffer file = { 0 };

    write_bmp(&file, 24, false, false, 8, 8);
    file.p[30] = 1; /* run-length coded */
    check_refused("RLE", file.p, file.n, ST_UNSUPPORTED, "compression 1");
    file.p[30] = 0;
    file.p[10] = 20; /* pixels inside the header */
    check_refused("offset", file.p, file.n, ST_INVALID, "cut off");
    buffer_free(&file);
}

TEST(a_jpeg_with_a_thousand_scans_is_refused)
{
    struct buffer file = { 0 }, many = { 0 };
    size_t last = 0;

    write_jpeg(&file, JPEG_PROGRESSIVE, 1, 16, 16);
    for (size_t i = 0; i + 1 < file.n; i++) /* the last scan: a refinement that may be repeated */
        if ((uint8_t)file.p[i] == 0xFF && (uint8_t)file.p[i + 1] == 0xDA)
            last = i;
    buffer_bytes(&many, file.p, file.n - 2);
    for (int i = 0; i < 1000; i++)
        buffer_bytes(&many, file.p + last, file.n - 2 - last);
    buffer_bytes(&many, "\xFF\xD9", 2);
    check_refused("scans", many.p, many.n, ST_INVALID, "damaged");
    buffer_free(&file);
    buffer_free(&many);
}

/* ---- from the world ---- */

TEST(a_photograph_of_the_fixtures_is_decoded)
{
    const char *folder = test_fixtures();
    struct fault f = FAULT_INIT;
    static uint8_t bytes[1 << 20];
    struct image im;
    char path[512];
    FILE *in;
    size_t n;

    if (!folder)
        SKIP("fixtures are absent");
    snprintf(path, sizeof path, "%s/images/bus.jpg", folder);
    REQUIRE((in = fopen(path, "rb")));
    n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    REQUIRE(image_decode(bytes, n, &im, &f) == ST_OK);
    CHECK_I64(im.width, 810);
    CHECK_I64(im.height, 1080);
    image_free(&im);
}

static void *decode_many(void *arg)
{
    const struct buffer *file = arg;
    struct fault f = FAULT_INIT;

    for (int i = 0; i < 20; i++) {
        struct image im;

        if (image_decode(file->p, file->n, &im, &f) != ST_OK)
            return arg;
        image_free(&im);
    }
    return NULL;
}

TEST(threads_decode_at_the_same_time)
{
    struct buffer files[4] = { 0 };
    pthread_t threads[4];
    void *failed;

    write_jpeg(&files[0], JPEG_PLAIN, 6, 40, 23);
    write_png(&files[1], PNG_COLOR_TYPE_RGB, 8, true, 1, 40, 23);
    write_tiff(&files[2], &tiff_kinds[0], 1, 40, 23);
    write_gif(&files[3], true, 0, 0, 40, 23);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, decode_many, &files[i]) == 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        CHECK(!failed);
        buffer_free(&files[i]);
    }
}
