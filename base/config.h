/*
 * Settings. Order of force: command-line flag, then environment (FOVEA_HTTP_PORT for http.port ...), then the file
 * fovea.conf and conf.d/ beside it, then the default. One table in config.c names every key with its type, default,
 * range and one line of help; an unknown key or a bad value in a file is an error with file and line.
 * File form: `key = value`, `#` comments. A key K whose value is secret may be given as K_file = path.
 * Loaded once at start, then read-only.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/status.h"

/*
 * Loads `path` (NULL: $FOVEA_CONF, else ./var/fovea.conf, else /etc/fovea/fovea.conf; a missing default file is
 * fine, a missing named one is not). overrides: "key=value" strings from the command line, NULL-terminated, or NULL.
 * On failure says file, line and key in f->detail.
 */
enum status config_load(const char *path, const char *const *overrides, struct fault *f) MUST_USE;

/* The value of a key of the table; asserts that the key exists. Texts stay valid for the whole process. */
const char *config_text(const char *key);
int64_t config_i64(const char *key);
bool config_bool(const char *key);

/* Every key with value and origin ("default", "file:line", "environment", "flag"); secrets as "(set)". */
void config_show(FILE *out);

#endif
