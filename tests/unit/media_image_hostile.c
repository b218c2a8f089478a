/* Pictures that lie: cut, with sizes that are not theirs, with sizes that nobody could hold. None may
 * crash, none may take memory before its size was looked at, and what is cut is refused. */
#include <sys/resource.h>
#include <zlib.h>
#include "base/limits.h"
#include "media/image.h"
#include "tests/unit/pictures.h"
#include "tests/unit/test.h"

enum { W = 60, H = 44, FILES = 13 };

static const struct tiff_kind tiffs[] = {
    { "strips", COMPRESSION_NONE, 8, 3, 0, false },
    { "deep tiles", COMPRESSION_LZW, 16, 3, 16, false },
    { "planes", COMPRESSION_ADOBE_DEFLATE, 8, 3, 0, true },
};

struct file {
    const char *name;
    struct buffer bytes;
    size_t end; /* of what is needed: a GIF has a second frame behind it */
};

static void make_files(struct file files[FILES])
{
    int n = 0;

    memset(files, 0, FILES * sizeof *files);
    files[n].name = "jpeg";
    write_jpeg(&files[n++].bytes, JPEG_PLAIN, 6, W, H);
    files[n].name = "progressive jpeg";
    write_jpeg(&files[n++].bytes, JPEG_PROGRESSIVE, 1, W, H);
    files[n].name = "grey jpeg";
    write_jpeg(&files[n++].bytes, JPEG_GREY, 1, W, H);
    files[n].name = "ink jpeg";
    write_jpeg(&files[n++].bytes, JPEG_YCCK, 1, W, H);
    files[n].name = "png";
    write_png(&files[n++].bytes, PNG_COLOR_TYPE_RGB, 8, false, 8, W, H);
    files[n].name = "deep interlaced png";
    write_png(&files[n++].bytes, PNG_COLOR_TYPE_RGB_ALPHA, 16, true, 1, W, H);
    files[n].name = "webp";
    write_webp(&files[n++].bytes, 5, W, H);
    for (int i = 0; i < 3; i++) {
        files[n].name = tiffs[i].name;
        write_tiff(&files[n++].bytes, &tiffs[i], 3, W, H);
    }
    files[n].name = "gif";
    write_gif(&files[n++].bytes, true, 2, 1, W, H);
    files[n].name = "bmp";
    write_bmp(&files[n++].bytes, 24, false, false, W, H);
    files[n].name = "bmp with palette";
    write_bmp(&files[n++].bytes, 8, false, true, W, H);
    for (int i = 0; i < FILES; i++)
        files[i].end = i == 10 ? files[i].bytes.n / 2 : files[i].bytes.n;
}

static void free_files(struct file files[FILES])
{
    for (int i = 0; i < FILES; i++)
        buffer_free(&files[i].bytes);
}

/* From memory of exactly n bytes, whole and small, so that a sanitizer sees a byte too far. */
static enum status decode_exact(const void *bytes, size_t n, struct image_info *ret)
{
    uint8_t *exact = malloc(n ? n : 1);
    enum status st = ST_OK;

    memcpy(exact, bytes, n);
    for (int min = 0; min < 2; min++) {
        struct fault f = FAULT_INIT;
        struct image im = { 0 };

        *ret = (struct image_info){ 0 };
        if (image_probe(exact, n, ret, &f) != ST_OK)
            CHECK(f.detail[0]);
        st = image_decode_at_least(exact, n, min, min, &im, &f);
        if (st == ST_OK && min == 0 && (im.width != ret->width || im.height != ret->height))
            TEST_FAIL_("told to be %d x %d, is %d x %d", ret->width, ret->height, im.width, im.height);
        image_free(&im);
    }
    free(exact);
    return st;
}

TEST(every_format_cut_at_every_sixteenth_is_refused)
{
    struct file files[FILES];
    struct image_info info;

    make_files(files);
    for (int i = 0; i < FILES; i++)
        for (size_t part = 0; part < 16; part++)
            for (int off = -1; off <= 1; off++) {
                const size_t n = files[i].end * part / 16 + (size_t)(part ? off : 0);

                if (decode_exact(files[i].bytes.p, n, &info) == ST_OK)
                    TEST_FAIL_("%s: %zu of %zu bytes were accepted", files[i].name, n, files[i].bytes.n);
            }
    free_files(files);
}

/* Each byte of the first 300, set to values that sizes are made of: whatever it means then, the decoder
 * gives what the probe told, or a sentence. */
TEST(no_byte_of_a_header_can_do_harm)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7F, 0x80, 0xFF };
    struct file files[FILES];
    struct image_info info;
    size_t accepted = 0, refused = 0;

    make_files(files);
    for (int i = 0; i < FILES; i++)
        for (size_t at = 0; at < files[i].bytes.n && at < 300; at++) {
            char *p = files[i].bytes.p + at;
            const char was = *p;

            *p = (char)values[(at + (size_t)i) % sizeof values];
            *(decode_exact(files[i].bytes.p, files[i].bytes.n, &info) == ST_OK ? &accepted : &refused) +=
                1;
            *p = was;
        }
    CHECK(accepted > 100);
    CHECK(refused > 100);
    free_files(files);
}

/* ---- sizes that are not those of the pixels */

static void put_be16(char *p, unsigned v)
{
    p[0] = (char)(v >> 8);
    p[1] = (char)v;
}

static void put_le16(char *p, unsigned v)
{
    p[0] = (char)v;
    p[1] = (char)(v >> 8);
}

/* The size in the frame header: FF C0..C2, length, precision, height, width. */
static void lie_in_jpeg(struct buffer *b, unsigned w, unsigned h)
{
    for (size_t i = 2; i + 9 < b->n; i++)
        if ((uint8_t)b->p[i] == 0xFF && (uint8_t)b->p[i + 1] >= 0xC0 && (uint8_t)b->p[i + 1] <= 0xC2) {
            put_be16(b->p + i + 5, h);
            put_be16(b->p + i + 7, w);
            return;
        }
}

static void lie_in_png(struct buffer *b, unsigned w, unsigned h)
{
    unsigned long crc;

    memset(b->p + 16, 0, 8);
    put_be16(b->p + 18, w);
    put_be16(b->p + 22, h);
    crc = crc32(0, (const Bytef *)b->p + 12, 17);
    put_be16(b->p + 29, (unsigned)(crc >> 16));
    put_be16(b->p + 31, (unsigned)(crc & 0xFFFF));
}

static void lie_in_bmp(struct buffer *b, unsigned w, unsigned h)
{
    put_le16(b->p + 18, w);
    put_le16(b->p + 22, h);
}

static void lie_in_gif(struct buffer *b, unsigned w, unsigned h)
{
    put_le16(b->p + 6, w);
    put_le16(b->p + 8, h);
}

TEST(a_picture_larger_than_its_pixels_is_refused)
{
    static const struct {
        int file;
        void (*lie)(struct buffer *b, unsigned w, unsigned h);
        unsigned w, h;
        enum status want;
    } lies[] = {
        { 0, lie_in_jpeg, W, H * 2, ST_INVALID },       { 0, lie_in_jpeg, W * 2, H, ST_INVALID },
        { 1, lie_in_jpeg, W * 2, H, ST_INVALID },       { 2, lie_in_jpeg, 9000, 9000, ST_INVALID },
        { 0, lie_in_jpeg, 0, H, ST_INVALID },           { 0, lie_in_jpeg, 65000, 65000, ST_TOO_LARGE },
        { 4, lie_in_png, W, H + 1, ST_INVALID },        { 4, lie_in_png, W + 1, H, ST_INVALID },
        { 5, lie_in_png, 9000, 9000, ST_INVALID },      { 4, lie_in_png, 30000, 30000, ST_TOO_LARGE },
        { 11, lie_in_bmp, W, H + 1, ST_INVALID },       { 11, lie_in_bmp, W + 8, H, ST_INVALID },
        { 11, lie_in_bmp, 9000, 9000, ST_INVALID },     { 11, lie_in_bmp, 0, H, ST_INVALID },
        { 10, lie_in_gif, 20000, 20000, ST_TOO_LARGE },
    };

    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct file files[FILES];
        struct image_info info;
        enum status st;

        make_files(files);
        lies[i].lie(&files[lies[i].file].bytes, lies[i].w, lies[i].h);
        st = decode_exact(files[lies[i].file].bytes.p, files[lies[i].file].bytes.n, &info);
        if (st != lies[i].want)
            TEST_FAIL_("%s as %u x %u: %s", files[lies[i].file].name, lies[i].w, lies[i].h,
                       status_name(st));
        free_files(files);
    }
}

/* A RIFF of the extended kind says its canvas in 24 bits a side. */
TEST(a_canvas_without_a_picture_is_refused_without_memory_for_it)
{
    static const uint8_t webp[40] = { 'R', 'I', 'F', 'F', 32,   0,    0,  0,    'W',  'E',
                                      'B', 'P', 'V', 'P', '8',  'X',  10, 0,    0,    0,
                                      0,   0,   0,   0,   0xFF, 0x3F, 0,  0xFF, 0x17, 0,
                                      'V', 'P', '8', ' ', 2,    0,    0,  0,    0,    0 };
    struct rusage before, after;
    struct image_info info;

    getrusage(RUSAGE_SELF, &before);
    CHECK(decode_exact(webp, sizeof webp, &info) != ST_OK);
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 64 << 10);
}
