/*
 * fovea model calibrate: what --precision int8 needs to know of a network, from pictures like those that
 * it will see.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli/model_file.h"
#include "cli/network.h"
#include "inference/quantise/calibrate.h"
#include "media/image.h"

enum { NAME_BYTES = 4096, THREADS_MAX = 256 };

static enum status add_picture(struct calibrator *c, const char *path, struct fault *f)
{
    struct image im = { .rgb = NULL };
    void *bytes = NULL;
    size_t n;
    enum status st;

    if ((st = file_read(path, LIMIT_IMAGE_BYTES, &bytes, &n, f)) == ST_OK &&
        (st = image_decode(bytes, n, &im, f)) == ST_OK)
        st = calibrator_add(c, im.rgb, im.width, im.height, f);
    image_free(&im);
    free(bytes);
    return st;
}

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* What is no picture in a folder is passed over, and said. */
static enum status add_folder(struct calibrator *c, const char *folder, struct fault *f)
{
    struct dirent **names = NULL;
    const int n = scandir(folder, &names, visible, alphasort);
    enum status st = ST_OK;

    if (n < 0)
        return fault_set(f, ST_NOT_FOUND, "file", "%s cannot be read", folder);
    for (int i = 0; i < n; i++) {
        struct fault g = FAULT_INIT;
        char path[NAME_BYTES];
        if (st == ST_OK &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) >= sizeof path)
            st = fault_set(f, ST_INVALID, "file", "a name in %.80s is too long", folder);
        else if (st == ST_OK && add_picture(c, path, &g) != ST_OK)
            cli_say("%s: %s", path, g.detail);
        free(names[i]);
    }
    free(names);
    return st;
}

static bool is_folder(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static enum status add_all(const struct cli *c, struct calibrator *k, struct fault *f)
{
    enum status st = ST_OK;

    for (int i = 1; st == ST_OK && i < c->narguments; i++)
        st = is_folder(c->arguments[i]) ? add_folder(k, c->arguments[i], f)
                                        : add_picture(k, c->arguments[i], f);
    return st;
}

static enum status save(const struct cli *c, const struct calibration *k, struct fault *f)
{
    struct buffer b = { .max = LIMIT_CALIBRATION_BYTES };
    enum status st;

    calibration_write(k, &b);
    st = b.failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory")
                  : file_write(cli_option(c, "output"), b.p, b.n, f);
    if (st == ST_OK)
        cli_say("%d tensors from %d pictures", k->n, k->pictures);
    buffer_free(&b);
    return st;
}

enum status run_calibrate(struct cli *c, struct fault *f)
{
    struct model_file file = { .bytes = NULL };
    struct calibration *made = NULL;
    struct calibrator *k = NULL;
    int64_t threads;
    enum status st;

    if ((st = cli_integer(c, "threads", 1, THREADS_MAX, 1, &threads, f)) != ST_OK ||
        (st = model_file_open(c->argument, &file, f)) != ST_OK ||
        (st = calibrator_create(file.bytes, file.n, cli_option(c, "family"), (int)threads, &k, f)) !=
            ST_OK ||
        (st = add_all(c, k, f)) != ST_OK || (st = calibrator_finish(k, &made, f)) != ST_OK)
        goto out;
    st = save(c, made, f);
out:
    calibration_free(made);
    calibrator_free(k);
    model_file_close(&file);
    return st;
}
