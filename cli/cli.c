/* What commands share: options by name, the connection, the store, talk. See cli.h. */
#include "cli/cli.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/config.h"
#include "base/text.h"
#include "media/store.h"

const char *cli_option(const struct cli *c, const char *name)
{
    size_t i = 0;

    while (i < CLI_OPTIONS && c->command->options[i].name &&
           strcmp(c->command->options[i].name, name) != 0)
        i++;
    assert(i < CLI_OPTIONS && c->command->options[i].name); /* the command's row has it */
    return c->values[i];
}

enum status cli_db(struct cli *c, struct db **ret, struct fault *f)
{
    enum status st;

    if (!c->db && !(c->db = db_create(config_text("database.owner_dsn"))))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = db_connect(c->db, f)) != ST_OK)
        return st;
    if ((st = db_facts_load(c->db, f)) == ST_INTERNAL) /* the function is not there */
        return fault_set(f, ST_UNAVAILABLE, NULL, "the database has no schema yet; run `fovea migrate`");
    if (st != ST_OK)
        return st;
    *ret = c->db;
    return ST_OK;
}

enum status cli_store(struct cli *c, struct store **ret, struct fault *f)
{
    enum status st = ST_OK;

    if (!c->store)
        st = store_open(config_text("media_dir"), &c->store, f);
    *ret = c->store;
    return st;
}

static enum status refuse_number(const char *name, double low, double high, struct fault *f)
{
    return fault_set(f, ST_INVALID, NULL, "--%s must be a number from %g to %g", name, low, high);
}

enum status cli_integer(const struct cli *c, const char *name, int64_t low, int64_t high, int64_t absent,
                        int64_t *ret, struct fault *f)
{
    const char *const text = cli_option(c, name);
    int64_t n = absent;

    if (text && (!text_i64(text, strlen(text), &n) || n < low || n > high))
        return refuse_number(name, (double)low, (double)high, f);
    *ret = n;
    return ST_OK;
}

enum status cli_number(const struct cli *c, const char *name, double low, double high, double absent,
                       double *ret, struct fault *f)
{
    const char *const text = cli_option(c, name);
    double x = absent;

    if (text && (!text_f64(text, strlen(text), &x) || !(x >= low && x <= high)))
        return refuse_number(name, low, high, f);
    *ret = x;
    return ST_OK;
}

void cli_say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}
