/* Calibrations as data and as text. See calibration.h. */
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "inference/quantise/calibration.h"

static const char magic[] = "fovea-calibration 2";

void calibration_free(struct calibration *c)
{
    if (!c)
        return;
    free(c->items);
    free(c->channels);
    free(c->names);
    free(c);
}

bool calibration_name_fits(const char *name)
{
    const size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    return n > 0 && n <= LIMIT_CALIBRATION_NAME_BYTES;
}

void calibration_digest(const void *model, size_t n, uint8_t ret[CALIBRATION_DIGEST])
{
    unsigned length = CALIBRATION_DIGEST;

    if (EVP_Digest(model, n, ret, &length, EVP_sha256(), NULL) != 1)
        memset(ret, 0, CALIBRATION_DIGEST);
}

enum status calibration_check(const struct calibration *c, const void *model, size_t n, struct fault *f)
{
    uint8_t digest[CALIBRATION_DIGEST];

    calibration_digest(model, n, digest);
    if (memcmp(digest, c->model, sizeof digest) != 0)
        return fault_set(f, ST_INVALID, "calibration", "was made for another model file");
    return ST_OK;
}

static int compare_name(const void *name, const void *item)
{
    return strcmp(name, ((const struct calibrated *)item)->name);
}

const struct calibrated *calibration_find(const struct calibration *c, const char *name)
{
    return name ? bsearch(name, c->items, (size_t)c->n, sizeof *c->items, compare_name) : NULL;
}

void calibration_write(const struct calibration *c, struct buffer *to)
{
    char hex[2 * CALIBRATION_DIGEST + 1];

    text_to_hex(c->model, sizeof c->model, hex);
    buffer_printf(to, "%s\nmodel %s\npictures %d\ntensors %d\nchannels %d\n", magic, hex, c->pictures,
                  c->n, c->nchannels);
    for (int i = 0; i < c->n; i++) {
        const struct calibrated *item = &c->items[i];
        buffer_printf(to, "%d %s\n", item->nchannels, item->name);
        for (int k = 0; k < item->nchannels; k++)
            buffer_printf(to, "%.6g %.6g %.6g\n", (double)item->channels[k].low,
                          (double)item->channels[k].high, (double)item->channels[k].mean);
    }
}

/* The text that is left, and which line comes next. */
struct lines {
    char *at, *end;
    int number;
};

/* The next line without its end, which becomes a NUL; NULL: there is none. */
static char *next_line(struct lines *l)
{
    char *line = l->at, *end = memchr(line, '\n', (size_t)(l->end - line));

    l->number++;
    if (!end || memchr(line, '\0', (size_t)(end - line)))
        return NULL;
    *end = '\0';
    l->at = end + 1;
    return line;
}

/* What follows `word` and a space; NULL: the line is another one. */
static const char *next_fact(struct lines *l, const char *word)
{
    const char *line = next_line(l);
    const size_t n = strlen(word);

    return line && strncmp(line, word, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

static bool next_count(struct lines *l, const char *word, int most, int *ret)
{
    const char *digits = next_fact(l, word);
    int64_t v;

    if (!digits || !text_i64(digits, strlen(digits), &v) || v < 0 || v > most)
        return false;
    *ret = (int)v;
    return true;
}

static bool read_header(struct lines *l, struct calibration *c)
{
    const char *line = next_line(l), *hex;

    return line && strcmp(line, magic) == 0 && (hex = next_fact(l, "model")) &&
           strlen(hex) == sizeof c->model * 2 && text_hex(hex, strlen(hex), c->model) &&
           next_count(l, "pictures", LIMIT_CALIBRATION_PICTURES, &c->pictures) &&
           next_count(l, "tensors", LIMIT_CALIBRATION_TENSORS, &c->n) &&
           next_count(l, "channels", LIMIT_CALIBRATION_CHANNELS, &c->nchannels);
}

/* A finite number up to the next space or the end, and what follows. */
static bool read_number(const char **text, float *ret)
{
    const size_t n = strcspn(*text, " ");
    double v;

    if (!text_f64(*text, n, &v) || !isfinite((float)v))
        return false;
    *ret = (float)v;
    *text += n + ((*text)[n] == ' ');
    return true;
}

static bool read_channel(struct lines *l, struct channel_range *ret)
{
    const char *line = next_line(l);

    return line && read_number(&line, &ret->low) && read_number(&line, &ret->high) &&
           read_number(&line, &ret->mean) && !*line && ret->low <= 0 && ret->high >= 0;
}

/* Its channels are those from `first` on. */
static bool read_item(struct lines *l, struct calibration *c, int first, struct calibrated *ret)
{
    const char *line = next_line(l), *name = line ? strchr(line, ' ') : NULL;
    int64_t n;

    if (!name || !text_i64(line, (size_t)(name - line), &n) || n < 1 || n > c->nchannels - first ||
        !calibration_name_fits(name + 1))
        return false;
    *ret = (struct calibrated){ .name = name + 1, .nchannels = (int)n, .channels = c->channels + first };
    for (int i = 0; i < ret->nchannels; i++)
        if (!read_channel(l, &ret->channels[i]))
            return false;
    return true;
}

static bool read_items(struct lines *l, struct calibration *c)
{
    int first = 0;

    for (int i = 0; i < c->n; first += c->items[i++].nchannels)
        if (!read_item(l, c, first, &c->items[i]) ||
            (i && strcmp(c->items[i - 1].name, c->items[i].name) >= 0))
            return false;
    l->number++;
    return l->at == l->end && first == c->nchannels;
}

enum status calibration_read(const void *bytes, size_t n, struct calibration **ret, struct fault *f)
{
    struct calibration *c = calloc(1, sizeof *c);
    struct lines l = { .number = 0 };
    enum status st = ST_OK;
    bool ok;

    if (n > LIMIT_CALIBRATION_BYTES) {
        free(c);
        return fault_set(f, ST_TOO_LARGE, "calibration", "is over %d bytes", LIMIT_CALIBRATION_BYTES);
    }
    if (!c || !(c->names = malloc(n + 1))) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        goto out;
    }
    memcpy(c->names, bytes, n);
    l.at = c->names;
    l.end = c->names + n;
    ok = read_header(&l, c);
    if (ok && (!(c->items = calloc((size_t)c->n + 1, sizeof *c->items)) ||
               !(c->channels = calloc((size_t)c->nchannels + 1, sizeof *c->channels))))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    else if (!ok || !read_items(&l, c))
        st = fault_set(f, ST_INVALID, "calibration", "is damaged or of another version: line %d",
                       l.number);
out:
    if (st == ST_OK)
        *ret = c;
    else
        calibration_free(c);
    return st;
}
