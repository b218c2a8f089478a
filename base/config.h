/*
 * Settings. Order of force: command-line flag, then environment (FOVEA_HTTP_PORT for http.port ...),
 * then the file fovea.conf and conf.d/ beside it, then the default. One table in config_keys.c names
 * every key with its type, default, range and one line of help; an unknown key or a bad value in a file
 * is an error with file and line. File form: `key = value`, a line that begins with `#` is a comment.
 * Sizes take K, M or G (powers of 1024). A key K whose value is secret may be given as K_file = path
 * (FOVEA_..._FILE in the environment), or as a file K in the folder $CREDENTIALS_DIRECTORY (systemd's
 * LoadCredential=), which beats the file and yields to the environment. Loaded once at start, then
 * read-only and thread-safe.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/status.h"

/*
 * Loads `path` (NULL: $FOVEA_CONF, else ./var/fovea.conf, else /etc/fovea/fovea.conf; a missing default
 * file is fine, a missing named one is not). overrides: "key=value" strings from the command line,
 * NULL-terminated, or NULL. On failure says file, line and key in f->detail, and the settings stay as
 * they were.
 */
enum status config_load(const char *path, const char *const *overrides, struct fault *f) MUST_USE;

/* The value of a key of the table; asserts that the key exists and settings are loaded. Texts stay valid
 * for the whole process. */
const char *config_text(const char *key);
int64_t config_i64(const char *key);
bool config_bool(const char *key);

/* One key for people: secrets are "(set)" or empty. */
struct config_item {
    const char *key, *value;
    const char *fallback; /* the default, as the table has it */
    const char *origin;   /* "default", "file:line", "credential", "environment", "flag" */
    const char *allowed;  /* "1..65535", "debug|info|warning|error", "text" */
    const char *help;
};
void config_each(void (*fn)(const struct config_item *item, void *arg), void *arg);

/* Every key with value and origin; secrets as "(set)". */
void config_show(FILE *out);

#endif
