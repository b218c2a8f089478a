/*
 * Finding, checking and showing settings: see config.h; the keys themselves are in config_keys.c.
 *
 * Values are collected in the order of force, weakest first, into a draft that replaces the settings in
 * use only when all of it is right. Texts are kept for the whole process in one list, so that a second
 * load (tests, checks) leaves no dangling pointer.
 */
#include "base/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include "base/config_keys.h"
#include "base/limits.h"
#include "base/text.h"

enum { MAX_KEYS = 128 };

struct value {
    const char *text; /* NULL in a draft: not given */
    int64_t number;   /* of the kinds that have one */
    const char *origin;
    int file; /* number of the file that gave it, to tell a repeated key */
};

struct draft {
    struct value values[MAX_KEYS];
    int file; /* number of the file being read */
    struct fault *f;
};

static struct value settings[MAX_KEYS];
static bool loaded;

/* ---- texts that live for the whole process
 * --------------------------------------------------------------------- */

struct kept {
    struct kept *next;
    char text[];
};
static struct kept *all_kept;

static const char *keep_text(const char *s, size_t n)
{
    struct kept *k = malloc(sizeof *k + n + 1);

    if (!k)
        return NULL;
    memcpy(k->text, s, n);
    k->text[n] = '\0';
    k->next = all_kept;
    all_kept = k;
    return k->text;
}

/* ---- one value
 * ------------------------------------------------------------------------------------------------ */

static const struct config_key *find_key(const char *name, size_t n)
{
    for (size_t i = 0; i < config_nkeys; i++)
        if (strlen(config_keys[i].name) == n && memcmp(config_keys[i].name, name, n) == 0)
            return &config_keys[i];
    return NULL;
}

static bool is_one_of(const char *words, const char *s)
{
    const size_t n = strlen(s);

    for (const char *w = words; *w;) {
        const size_t len = strcspn(w, "|");

        if (len == n && memcmp(w, s, n) == 0)
            return true;
        w += len + (w[len] == '|');
    }
    return false;
}

static bool read_bool(const char *s, int64_t *ret)
{
    if (is_one_of("true|yes|on|1", s))
        *ret = 1;
    else if (is_one_of("false|no|off|0", s))
        *ret = 0;
    else
        return false;
    return true;
}

static bool read_bytes(const char *s, int64_t *ret)
{
    static const char units[] = "KMG";
    size_t n = strlen(s);
    const char *const unit = n ? strchr(units, toupper((unsigned char)s[n - 1])) : NULL;
    int64_t count;

    if (unit)
        n--;
    return text_i64(s, n, &count) &&
           !__builtin_mul_overflow(count, unit ? (int64_t)1 << (10 * (unit - units + 1)) : 1, ret);
}

static void print_allowed(const struct config_key *k, char *ret, size_t size)
{
    static const char *const words[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_PATH] = "path",
        [CONFIG_URL] = "http(s)://host[:port][/folder], or empty",
        [CONFIG_BOOL] = "true|false",
    };

    if (k->kind == CONFIG_ENUM)
        snprintf(ret, size, "%s", k->one_of);
    else if (k->kind == CONFIG_INT || k->kind == CONFIG_BYTES)
        snprintf(ret, size, "%lld..%lld", (long long)k->min, (long long)k->max);
    else
        snprintf(ret, size, "%s", words[k->kind]);
}

/* What a path may be put behind: scheme, host, perhaps a folder; no slash at the end. */
static bool is_base_url(const char *s)
{
    const size_t scheme = strncmp(s, "http://", 7) == 0 ? 7 : strncmp(s, "https://", 8) == 0 ? 8 : 0;
    const size_t n = strlen(s);

    return scheme && n > scheme && s[n - 1] != '/' && !s[strcspn(s, "?# \t\"")];
}

static bool value_fits(const struct config_key *k, const char *text, int64_t *ret_number)
{
    switch (k->kind) {
    case CONFIG_TEXT:
        return true;
    case CONFIG_PATH:
        return *text && strlen(text) < LIMIT_PATH_BYTES;
    case CONFIG_URL:
        return !*text || is_base_url(text);
    case CONFIG_ENUM:
        return is_one_of(k->one_of, text);
    case CONFIG_BOOL:
        return read_bool(text, ret_number);
    case CONFIG_INT:
        return text_i64(text, strlen(text), ret_number) && *ret_number >= k->min &&
               *ret_number <= k->max;
    case CONFIG_BYTES:
        return read_bytes(text, ret_number) && *ret_number >= k->min && *ret_number <= k->max;
    }
    return false;
}

/* Takes a value into the draft after checking it. The text is copied; origin is kept as given. */
static enum status take_value(struct draft *d, const struct config_key *k, const char *text, size_t n,
                              const char *origin)
{
    const char *const kept = keep_text(text, n);
    struct value v = { .text = kept, .origin = origin, .file = d->file };
    char allowed[160];

    if (!kept || !origin)
        return fault_set(d->f, ST_UNAVAILABLE, NULL, "out of memory");
    if (strlen(kept) != n || !text_is_utf8(kept, n) || !value_fits(k, kept, &v.number)) {
        print_allowed(k, allowed, sizeof allowed);
        return fault_set(d->f, ST_INVALID, k->name, "%s: %s: bad value, expected %s", origin, k->name,
                         allowed);
    }
    d->values[k - config_keys] = v;
    return ST_OK;
}

/* ---- sources
 * -------------------------------------------------------------------------------------------------- */

/* The whole of a small file. Caller frees *ret. ST_NOT_FOUND when there is none. */
static enum status read_whole(const char *path, char **ret, size_t *ret_n, struct fault *f)
{
    FILE *const in = fopen(path, "re");
    enum status st = ST_OK;
    char *text = NULL;
    size_t n = 0;

    if (!in)
        return fault_set(f, errno == ENOENT ? ST_NOT_FOUND : ST_INVALID, NULL, "%s: %s", path,
                         strerror(errno));
    if (!(text = malloc(LIMIT_CONFIG_FILE_BYTES + 1))) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        goto out;
    }
    n = fread(text, 1, LIMIT_CONFIG_FILE_BYTES + 1, in);
    if (ferror(in))
        st = fault_set(f, ST_INVALID, NULL, "%s: cannot be read", path);
    else if (n > LIMIT_CONFIG_FILE_BYTES)
        st = fault_set(f, ST_TOO_LARGE, NULL, "%s: larger than %d bytes", path, LIMIT_CONFIG_FILE_BYTES);
out:
    fclose(in);
    if (st == ST_OK) {
        *ret = text;
        *ret_n = n;
    } else {
        free(text);
    }
    return st;
}

/* A secret from a file of its own: the text without the newline at its end. ST_NOT_FOUND when there is
 * none. */
static enum status take_secret_file(struct draft *d, const struct config_key *k, const char *path,
                                    const char *origin)
{
    char *text;
    size_t n;
    enum status st = read_whole(path, &text, &n, d->f);

    if (st != ST_OK)
        return st;
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    st = take_value(d, k, text, n, origin);
    free(text);
    return st;
}

static enum status take_named_file(struct draft *d, const struct config_key *k, const char *path,
                                   const char *origin)
{
    const enum status st = take_secret_file(d, k, path, origin);

    return st == ST_NOT_FOUND ? ST_INVALID : st; /* only settings files themselves may be absent */
}

static struct slice trim(const char *p, const char *end)
{
    while (p < end && isspace((unsigned char)*p))
        p++;
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    return (struct slice){ p, (size_t)(end - p) };
}

/* `name` is a key, or a secret key with "_file" behind it. */
static enum status take_named(struct draft *d, struct slice name, struct slice text, const char *origin)
{
    static const char suffix[] = "_file";
    const size_t tail = sizeof suffix - 1;
    const struct config_key *k = find_key(name.p, name.n);
    const char *path;
    bool from_file = false;

    if (!k && name.n > tail && memcmp(name.p + name.n - tail, suffix, tail) == 0) {
        k = find_key(name.p, name.n - tail);
        from_file = k && k->secret;
    }
    if (!k || (strlen(k->name) != name.n && !from_file)) /* "bind_file": bind is no secret */
        return fault_set(d->f, ST_INVALID, NULL, "%s: unknown key \"%.*s\"", origin, (int)name.n,
                         name.p);
    if (d->file && d->values[k - config_keys].file == d->file)
        return fault_set(d->f, ST_INVALID, k->name, "%s: %s is given twice in this file", origin,
                         k->name);
    if (!from_file)
        return take_value(d, k, text.p, text.n, origin);
    if (!(path = keep_text(text.p, text.n)))
        return fault_set(d->f, ST_UNAVAILABLE, NULL, "out of memory");
    return take_named_file(d, k, path, origin);
}

static enum status take_line(struct draft *d, struct slice line, const char *path, int number)
{
    const char *const equals = memchr(line.p, '=', line.n);
    char place[LIMIT_PATH_BYTES];
    int n;

    if (line.n == 0 || *line.p == '#')
        return ST_OK;
    n = snprintf(place, sizeof place, "%s:%d", path, number);
    if (n < 0 || (size_t)n >= sizeof place)
        return fault_set(d->f, ST_INVALID, NULL, "the path of a settings file is too long");
    if (!equals)
        return fault_set(d->f, ST_INVALID, NULL, "%s: expected key = value", place);
    return take_named(d, trim(line.p, equals), trim(equals + 1, line.p + line.n),
                      keep_text(place, (size_t)n));
}

static enum status take_file(struct draft *d, const char *path)
{
    char *text;
    size_t n;
    int number = 0;
    enum status st = read_whole(path, &text, &n, d->f);

    if (st != ST_OK)
        return st;
    d->file++;
    for (const char *p = text, *end = text + n; p < end && st == ST_OK;) {
        const char *const newline = memchr(p, '\n', (size_t)(end - p));

        st = take_line(d, trim(p, newline ? newline : end), path, ++number);
        p = newline ? newline + 1 : end;
    }
    free(text);
    return st;
}

/* conf.d/ *.conf beside the file, in the order of their names. */
static enum status take_folder(struct draft *d, const char *path)
{
    const char *const slash = strrchr(path, '/');
    char pattern[LIMIT_PATH_BYTES];
    enum status st = ST_OK;
    glob_t found = { 0 };
    int n;

    n = snprintf(pattern, sizeof pattern, "%.*sconf.d/*.conf", slash ? (int)(slash - path + 1) : 0,
                 path);
    if (n < 0 || (size_t)n >= sizeof pattern)
        return fault_set(d->f, ST_INVALID, NULL, "the path of the settings file is too long");
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && st == ST_OK; i++)
            st = take_file(d, found.gl_pathv[i]);
    globfree(&found);
    return st;
}

static enum status take_files(struct draft *d, const char *path)
{
    static const char *const places[] = { "var/fovea.conf", "/etc/fovea/fovea.conf" };
    enum status st;

    if (!path && (path = getenv("FOVEA_CONF")) && !*path)
        path = NULL;
    if (path) {
        if ((st = take_file(d, path)) == ST_OK)
            st = take_folder(d, path);
        return st == ST_NOT_FOUND ? ST_INVALID : st;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if ((st = take_file(d, places[i])) == ST_OK)
            return take_folder(d, places[i]);
        if (st != ST_NOT_FOUND)
            return st;
    }
    return ST_OK;
}

static enum status take_credentials(struct draft *d)
{
    const char *const folder = getenv("CREDENTIALS_DIRECTORY");
    enum status st = ST_OK;

    for (size_t i = 0; folder && i < config_nkeys && (st == ST_OK || st == ST_NOT_FOUND); i++) {
        char path[LIMIT_PATH_BYTES];

        if (!config_keys[i].secret)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, config_keys[i].name);
        st = take_secret_file(d, &config_keys[i], path, "credential");
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* "http.port" -> FOVEA_HTTP_PORT */
static const char *environment_value(const char *key, const char *suffix)
{
    char name[80] = "FOVEA_";
    size_t n = strlen(name);

    for (; *key && n + 8 < sizeof name; key++)
        name[n++] = *key == '.' ? '_' : (char)toupper((unsigned char)*key);
    snprintf(name + n, sizeof name - n, "%s", suffix);
    return getenv(name);
}

static enum status take_environment(struct draft *d)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < config_nkeys && st == ST_OK; i++) {
        const struct config_key *const k = &config_keys[i];
        const char *text = environment_value(k->name, "");
        const char *const path = k->secret ? environment_value(k->name, "_FILE") : NULL;

        if (!text && k->alias)
            text = getenv(k->alias);
        if (text)
            st = take_value(d, k, text, strlen(text), "environment");
        else if (path)
            st = take_named_file(d, k, path, "environment");
    }
    return st;
}

static enum status take_overrides(struct draft *d, const char *const *overrides)
{
    enum status st = ST_OK;

    for (; overrides && *overrides && st == ST_OK; overrides++) {
        const char *const p = *overrides, *const end = p + strlen(p), *const equals = strchr(p, '=');

        if (!equals)
            return fault_set(d->f, ST_INVALID, NULL, "flag: expected key=value, not \"%s\"", p);
        st = take_named(d, trim(p, equals), trim(equals + 1, end), "flag");
    }
    return st;
}

/* "${media_dir}/spool" with what media_dir, an earlier key, came out as. */
static enum status take_default(struct draft *d, const struct config_key *k)
{
    const char *const fallback = k->fallback, *const brace = strchr(fallback, '}');
    const struct config_key *base;
    char text[LIMIT_PATH_BYTES];

    if (strncmp(fallback, "${", 2) != 0)
        return take_value(d, k, fallback, strlen(fallback), "default");
    base = find_key(fallback + 2, (size_t)(brace - fallback - 2));
    assert(base && base < k);
    snprintf(text, sizeof text, "%s%s", d->values[base - config_keys].text, brace + 1);
    return take_value(d, k, text, strlen(text), "default");
}

/* ---- public
 * --------------------------------------------------------------------------------------------------- */

enum status config_load(const char *path, const char *const *overrides, struct fault *f)
{
    struct draft d = { .f = f };
    enum status st;

    assert(config_nkeys <= MAX_KEYS);
    if ((st = take_files(&d, path)) != ST_OK)
        return st;
    d.file = 0;
    if ((st = take_credentials(&d)) != ST_OK || (st = take_environment(&d)) != ST_OK ||
        (st = take_overrides(&d, overrides)) != ST_OK)
        return st;
    for (size_t i = 0; i < config_nkeys && st == ST_OK; i++)
        if (!d.values[i].text)
            st = take_default(&d, &config_keys[i]);
    if (st != ST_OK)
        return st;
    memcpy(settings, d.values, sizeof settings);
    loaded = true;
    return ST_OK;
}

static const struct value *setting(const char *key)
{
    const struct config_key *const k = find_key(key, strlen(key));

    assert(loaded && k);
    return &settings[k - config_keys];
}

const char *config_text(const char *key)
{
    return setting(key)->text;
}

int64_t config_i64(const char *key)
{
    return setting(key)->number;
}

bool config_bool(const char *key)
{
    return setting(key)->number != 0;
}

void config_each(void (*fn)(const struct config_item *item, void *arg), void *arg)
{
    assert(loaded);
    for (size_t i = 0; i < config_nkeys; i++) {
        const struct config_key *const k = &config_keys[i];
        struct config_item item = { k->name, settings[i].text, k->fallback, settings[i].origin,
                                    NULL,    k->help };
        char allowed[160];

        print_allowed(k, allowed, sizeof allowed);
        item.allowed = allowed;
        if (k->secret && *item.value)
            item.value = "(set)";
        fn(&item, arg);
    }
}

static void show_item(const struct config_item *item, void *arg)
{
    fprintf(arg, "# %s (%s; default \"%s\"); from: %s\n%s = %s\n\n", item->help, item->allowed,
            item->fallback, item->origin, item->key, item->value);
}

void config_show(FILE *out)
{
    config_each(show_item, out);
}
