/*
 * fovea model calibrate: what int8 needs to know of a network, from pictures like those that it will
 * see. Of a file, for --calibration of other commands; or of a stored model, for the server: from given
 * pictures or, without any, those of its project.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli/gate.h"
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

/* From the pictures that the command names. */
static enum status calibrate(const struct cli *c, const void *model, size_t n, struct calibration **ret,
                             struct fault *f)
{
    struct calibrator *k = NULL;
    int64_t threads;
    enum status st;

    if ((st = cli_integer(c, "threads", 1, THREADS_MAX, 1, &threads, f)) == ST_OK &&
        (st = calibrator_create(model, n, cli_option(c, "family"), (int)threads, &k, f)) == ST_OK &&
        (st = add_all(c, k, f)) == ST_OK)
        st = calibrator_finish(k, ret, f);
    calibrator_free(k);
    return st;
}

static enum status write_text(const struct calibration *k, struct buffer *to, struct fault *f)
{
    to->max = LIMIT_CALIBRATION_BYTES;
    calibration_write(k, to);
    return to->failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory") : ST_OK;
}

/* ---- of a file ---- */

static enum status calibrate_file(struct cli *c, struct fault *f)
{
    struct model_file file = { .bytes = NULL };
    struct calibration *made = NULL;
    struct buffer text = { 0 };
    enum status st;

    if ((st = model_file_open(c->argument, &file, f)) == ST_OK &&
        (st = calibrate(c, file.bytes, file.n, &made, f)) == ST_OK &&
        (st = write_text(made, &text, f)) == ST_OK &&
        (st = file_write(cli_option(c, "output"), text.p, text.n, f)) == ST_OK)
        cli_say("%d tensors from %d pictures", made->n, made->pictures);
    buffer_free(&text);
    calibration_free(made);
    model_file_close(&file);
    return st;
}

/* ---- of a stored model ---- */

static enum status from_given(struct cli *c, struct db *db, struct store *store,
                              const struct calibration_subject *s, struct fault *f)
{
    struct calibration *made = NULL;
    struct buffer text = { 0 };
    struct digest digest;
    const void *bytes;
    size_t n;
    enum status st = store_map(store, &s->weights, &bytes, &n, f);

    if (st != ST_OK)
        return st;
    if ((st = calibrate(c, bytes, n, &made, f)) == ST_OK && (st = write_text(made, &text, f)) == ST_OK)
        st = model_calibration_keep(db, store, s, &text, made->pictures, CALIBRATED_GIVEN, &digest, f);
    buffer_free(&text);
    calibration_free(made);
    store_unmap(bytes, n);
    return st;
}

static enum status from_project(struct db *db, struct store *store, const struct calibration_subject *s,
                                struct fault *f)
{
    struct calibration_state made;
    bool ended;
    enum status st = model_calibration_renew(db, store, s, NULL, &made, &ended, f);

    if (st == ST_OK && !made.there)
        st = fault_set(f, ST_INVALID, NULL, "%s", made.why_not);
    return st;
}

static enum status calibrate_stored(struct cli *c, struct fault *f)
{
    static const char sql[] =
        "SELECT c.pictures, c.source, c.release, c.made_at, domain.calibration_queue($1) AS to_be_tried"
        " FROM domain.calibration AS c WHERE c.model_file_id = $1";
    struct calibration_subject s;
    struct param file;
    const struct db_call call = { sql, &file, 1 };
    struct store *store;
    struct db *db;
    enum status st;

    if ((st = cli_db(c, &db, f)) != ST_OK || (st = cli_store(c, &store, f)) != ST_OK ||
        (st = stored_weights(c, db, &s, f)) != ST_OK)
        return st;
    st = c->narguments > 1 ? from_given(c, db, store, &s, f) : from_project(db, store, &s, f);
    if (st != ST_OK)
        return st;
    file = p_i64(c->arena, s.file);
    return cli_write(c, &call, 1, "calibration", f);
}

enum status run_calibrate(struct cli *c, struct fault *f)
{
    const size_t id = strspn(c->argument, "0123456789abcdef");

    if (cli_option(c, "output"))
        return calibrate_file(c, f);
    if (id != strlen(c->argument) || id != 24)
        return fault_set(f, ST_INVALID, "output",
                         "is needed where the model is a file and no stored one's id");
    return calibrate_stored(c, f);
}
