/* What commands share: options by name, the connection, the store, talk. See cli.h. */
#include "cli/cli.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/config.h"
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

void cli_say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}
