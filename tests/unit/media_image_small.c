/* Pictures that come out smaller where less will do, what decoding takes, and the inks of TIFF. */
#include "media/image.h"
#include "tests/unit/pictures.h"
#include "tests/unit/test.h"

enum { W = 400, H = 240 };

/* The mean of what the large picture shows where the small one has its pixel. */
static int block_mean(const struct image *im, int by, int x, int y, int c)
{
    int sum = 0, n = 0;

    for (int v = y * by; v < (y + 1) * by && v < im->height; v++)
        for (int u = x * by; u < (x + 1) * by && u < im->width; u++, n++)
            sum += im->rgb[(v * im->width + u) * 3 + c];
    return n ? sum / n : 0;
}

static void check_small(const struct buffer *file, int min_width, int min_height, int by)
{
    struct fault f = FAULT_INIT;
    struct image small = { 0 }, whole = { 0 };
    struct image_info info;
    int worst = 0;

    REQUIRE(image_probe(file->p, file->n, &info, &f) == ST_OK && info.scales);
    REQUIRE(image_decode(file->p, file->n, &whole, &f) == ST_OK);
    REQUIRE(image_decode_at_least(file->p, file->n, min_width, min_height, &small, &f) == ST_OK);
    CHECK_I64(small.width, (info.width + by - 1) / by);
    CHECK_I64(small.height, (info.height + by - 1) / by);
    for (int y = 0; y < small.height; y++)
        for (int x = 0; x < small.width; x++)
            for (int c = 0; c < 3; c++) {
                const int off =
                    abs(block_mean(&whole, by, x, y, c) - small.rgb[(y * small.width + x) * 3 + c]);

                worst = off > worst ? off : worst;
            }
    if (worst > 8)
        TEST_FAIL_("1/%d: a pixel is off by %d", by, worst);
    CHECK(image_decode_bytes(&info, min_width, min_height) <= image_decode_bytes(&info, 0, 0));
    image_free(&small);
    image_free(&whole);
}

TEST(a_jpeg_is_as_small_as_its_caller_allows_and_shows_the_same)
{
    static const enum jpeg_kind kinds[] = { JPEG_PLAIN, JPEG_PROGRESSIVE, JPEG_CMYK };

    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct buffer file = { 0 };

        write_jpeg(&file, kinds[k], 1, W, H);
        check_small(&file, 50, 30, 8);
        check_small(&file, 51, 30, 4);
        check_small(&file, 50, 31, 4);
        check_small(&file, 101, 1, 2);
        check_small(&file, 1, 120, 2);
        check_small(&file, 201, 1, 1);
        check_small(&file, 5000, 5000, 1);
        check_small(&file, 1, 1, 8);
        buffer_free(&file);
    }
}

TEST(a_turned_jpeg_is_measured_upright)
{
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct buffer file = { 0 };

        write_jpeg(&file, JPEG_PLAIN, orientation, W - 3, H - 5); /* sides that 8 does not divide */
        if (orientation < 5)
            check_small(&file, 90, 50, 4);
        else
            check_small(&file, 50, 90, 4);
        buffer_free(&file);
    }
}

TEST(other_formats_come_out_whole)
{
    struct buffer file = { 0 };
    struct fault f = FAULT_INIT;
    struct image im;

    write_png(&file, PNG_COLOR_TYPE_RGB, 8, false, 6, 60, 40);
    REQUIRE(image_decode_at_least(file.p, file.n, 1, 1, &im, &f) == ST_OK);
    CHECK_I64(im.width, 40);
    CHECK_I64(im.height, 60);
    image_free(&im);
    buffer_free(&file);
}

TEST(what_decoding_takes_is_told_before)
{
    struct buffer plain = { 0 }, progressive = { 0 }, turned = { 0 };
    struct image_info a, b, c;
    struct fault f = FAULT_INIT;

    write_jpeg(&plain, JPEG_PLAIN, 1, W, H);
    write_jpeg(&progressive, JPEG_PROGRESSIVE, 1, W, H);
    write_jpeg(&turned, JPEG_PLAIN, 6, W, H);
    REQUIRE(image_probe(plain.p, plain.n, &a, &f) == ST_OK &&
            image_probe(progressive.p, progressive.n, &b, &f) == ST_OK &&
            image_probe(turned.p, turned.n, &c, &f) == ST_OK);
    CHECK_I64(image_decode_bytes(&a, 0, 0), W * H * 3);
    CHECK_I64(image_decode_bytes(&a, 1, 1), W * H * 3 / 64);
    CHECK(image_decode_bytes(&b, 1, 1) >= W * H * 2); /* its coefficients are kept whole */
    CHECK_I64(image_decode_bytes(&c, 0, 0), W * H * 6);
    buffer_free(&plain);
    buffer_free(&progressive);
    buffer_free(&turned);
}

/* ---- TIFF in inks, which the other writers of tests/unit/pictures.h do not make ---- */

/* Cyan rises to the right, black downwards; strips or tiles of 16, 8 or 16 bits. */
static void write_ink_tiff(struct buffer *out, int depth, bool tiled)
{
    enum { SIDE = 48, TILE = 16 };
    char path[] = "/tmp/fovea-tiff-XXXXXX";
    const int fd = mkstemp(path);
    TIFF *tiff = TIFFOpen(path, "w");
    uint16_t line[TILE * TILE * 4 + SIDE * 4] = { 0 };
    const int wide = tiled ? TILE : SIDE, high = tiled ? TILE : 1;
    char piece[4096];
    ssize_t n;

    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, SIDE);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, SIDE);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, depth);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 4);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_SEPARATED);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    if (tiled) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, TILE);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, TILE);
    }
    for (int y = 0; y < SIDE; y += high)
        for (int x = 0; x < SIDE; x += wide) {
            for (int i = 0; i < wide * high; i++) {
                const int cyan = (x + i % wide) * 5, black = (y + i / wide) * 5;

                if (depth == 16) {
                    line[i * 4] = (uint16_t)(cyan * 257);
                    line[i * 4 + 3] = (uint16_t)(black * 257);
                } else {
                    ((uint8_t *)line)[i * 4] = (uint8_t)cyan;
                    ((uint8_t *)line)[i * 4 + 3] = (uint8_t)black;
                }
            }
            if (tiled)
                TIFFWriteTile(tiff, line, (uint32_t)x, (uint32_t)y, 0, 0);
            else
                TIFFWriteScanline(tiff, line, (uint32_t)y, 0);
        }
    TIFFClose(tiff);
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buffer_bytes(out, piece, (size_t)n);
    close(fd);
    unlink(path);
}

TEST(tiffs_in_inks_are_read)
{
    for (int kind = 0; kind < 4; kind++) {
        struct buffer file = { 0 };
        struct fault f = FAULT_INIT;
        struct image im = { 0 };
        int worst = 0;

        write_ink_tiff(&file, kind & 1 ? 16 : 8, kind & 2);
        if (image_decode(file.p, file.n, &im, &f) != ST_OK) {
            TEST_FAIL_("%d bits, tiled %d: %s", kind & 1 ? 16 : 8, kind & 2, f.detail);
            buffer_free(&file);
            continue;
        }
        for (int y = 0; y < im.height; y++)
            for (int x = 0; x < im.width; x++) {
                const uint8_t *rgb = im.rgb + (y * im.width + x) * 3;
                const int paper = 255 - y * 5, red = (255 - x * 5) * paper / 255;
                const int off = abs(rgb[0] - red) + abs(rgb[1] - paper) + abs(rgb[2] - paper);

                worst = off > worst ? off : worst;
            }
        if (worst > 4)
            TEST_FAIL_("%d bits, tiled %d: a pixel is off by %d", kind & 1 ? 16 : 8, kind & 2, worst);
        image_free(&im);
        buffer_free(&file);
    }
}
