/* fovea config and secret: settings, and the secrets that sign URLs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "media/sign.h"

/* ---- show
 * ------------------------------------------------------------------------------------------------------
 */

struct showing {
    bool json, origin;
    struct buffer out;
};

static void member(struct buffer *b, const char *key, const char *value)
{
    buffer_printf(b, ",\"%s\":", key);
    json_write_string(b, value, strlen(value));
}

static void show_json(struct showing *s, const struct config_item *item)
{
    buffer_text(&s->out, s->out.n ? ",\n{\"key\":" : "[{\"key\":");
    json_write_string(&s->out, item->key, strlen(item->key));
    member(&s->out, "value", item->value);
    member(&s->out, "default", item->fallback);
    member(&s->out, "origin", item->origin);
    member(&s->out, "allowed", item->allowed);
    member(&s->out, "help", item->help);
    buffer_char(&s->out, '}');
}

static void show_item(const struct config_item *item, void *arg)
{
    struct showing *const s = arg;

    if (s->json)
        show_json(s, item);
    else if (s->origin)
        buffer_printf(&s->out, "%s = %s\t# %s\n", item->key, item->value, item->origin);
    else
        buffer_printf(&s->out, "# %s (%s; default \"%s\")\n%s = %s\n\n", item->help, item->allowed,
                      item->fallback, item->key, item->value);
}

static enum status run_show(struct cli *c, struct fault *f)
{
    struct showing s = { .json = c->json, .origin = cli_option(c, "origin") != NULL };
    enum status st = ST_OK;

    config_each(show_item, &s);
    if (c->json)
        buffer_text(&s.out, "]\n");
    if (s.out.failed)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    else
        fputs(buffer_terminate(&s.out), stdout);
    buffer_free(&s.out);
    return st;
}

/* ---- check
 * -----------------------------------------------------------------------------------------------------
 */

/* Folders that exist must be usable; those that do not are made at the first start. */
static enum status check_folder(const char *key, int access_mode, struct fault *f)
{
    const char *const path = config_text(key);
    struct stat st;

    if (stat(path, &st) != 0)
        return errno == ENOENT ? ST_OK : fault_set(f, ST_INVALID, key, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return fault_set(f, ST_INVALID, key, "%s is not a folder", path);
    if (access(path, access_mode) != 0)
        return fault_set(f, ST_INVALID, key, "%s: %s", path, strerror(errno));
    return ST_OK;
}

/* A spooled body becomes a published file by link(2). */
static enum status check_one_file_system(struct fault *f)
{
    struct stat media, spool;

    if (stat(config_text("media_dir"), &media) != 0 || stat(config_text("spool_dir"), &spool) != 0 ||
        media.st_dev == spool.st_dev)
        return ST_OK;
    return fault_set(f, ST_INVALID, "spool_dir", "must be on the file system of media_dir");
}

/* Reading the settings was the greater part, and is done by now. */
static enum status run_check(struct cli *c, struct fault *f)
{
    static const char *const writable[] = { "var_dir", "run_dir", "media_dir", "spool_dir" };
    enum status st = check_folder("sql_dir", R_OK | X_OK, f);

    (void)c;
    for (size_t i = 0; i < sizeof writable / sizeof *writable && st == ST_OK; i++)
        st = check_folder(writable[i], R_OK | W_OK | X_OK, f);
    if (st == ST_OK)
        st = check_one_file_system(f);
    if (st == ST_OK)
        cli_say("the settings are good");
    return st;
}

/* ---- secrets
 * --------------------------------------------------------------------------------------------------- */

static void folder_of(const char *file, char ret[LIMIT_PATH_BYTES])
{
    const char *const slash = strrchr(file, '/');

    if (slash && slash > file)
        snprintf(ret, LIMIT_PATH_BYTES, "%.*s", (int)(slash - file), file);
    else
        snprintf(ret, LIMIT_PATH_BYTES, "%s", slash ? "/" : ".");
}

/* The folder that holds the file, for its owner alone; the one above is there. */
static enum status make_folder(const char *file, struct fault *f)
{
    char folder[LIMIT_PATH_BYTES];

    folder_of(file, folder);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return fault_set(f, ST_INVALID, "secrets.signing_file", "%s: %s", folder, strerror(errno));
    return ST_OK;
}

/* What root writes must stay readable for the service: the folder's owner is the file's. */
static enum status give_to_owner(const char *file, struct fault *f)
{
    char folder[LIMIT_PATH_BYTES];
    struct stat st;

    folder_of(file, folder);
    if (geteuid() == 0 && (stat(folder, &st) != 0 || chown(file, st.st_uid, st.st_gid) != 0))
        return fault_set(f, ST_INVALID, "secrets.signing_file", "%s: %s", file, strerror(errno));
    return ST_OK;
}

static enum status run_rotate(struct cli *c, struct fault *f)
{
    const char *const file = config_text("secrets.signing_file");
    const int64_t weights_s = config_i64("ttl.weights_s"), image_s = config_i64("ttl.image_s");
    enum status st = make_folder(file, f);

    if (st == ST_OK)
        st = signer_rotate(file, weights_s > image_s ? weights_s : image_s, f);
    if (st == ST_OK)
        st = give_to_owner(file, f);
    (void)c;
    if (st == ST_OK)
        cli_say("a new secret signs URLs; the old ones verify for as long as a link may live");
    return st;
}

/* clang-format off */
const struct command config_commands[] = {
    {
        .words = "config check",
        .help = "read the settings and look at the folders",
        .run = run_check,
    },
    {
        .words = "config show",
        .help = "print every setting with its help, as a settings file",
        .options = { { "origin", NULL, "say where each value comes from instead of the help", false } },
        .run = run_show,
    },
    {
        .words = "secret rotate",
        .help = "make a new secret for signed URLs",
        .run = run_rotate,
    },
    { .words = NULL },
};
/* clang-format on */
