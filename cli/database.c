/* fovea migrate: bring the database to what sql/ describes. */
#include <stdio.h>
#include <string.h>
#include "base/config.h"
#include "cli/cli.h"
#include "domain/migrate.h"

static enum status run_migrate(struct cli *c, struct fault *f)
{
    const char *const folder = config_text("sql_dir");
    bool current = false;
    enum status st;

    if (!(c->db = db_create(config_text("database.owner_dsn"))))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = db_connect(c->db, f)) != ST_OK)
        return st;
    if (!cli_option(c, "check"))
        return migrate_run(db_connection(c->db), folder, stderr, f);
    if ((st = migrate_check(db_connection(c->db), folder, &current, f)) != ST_OK)
        return st;
    if (!current)
        return fault_set(f, ST_CONFLICT, NULL, "the database is not what %s describes", folder);
    cli_say("the database is current");
    return ST_OK;
}

/* clang-format off */
const struct command database_commands[] = {
    {
        .words = "migrate",
        .help = "bring the database up to date: roles, tables, functions",
        .options = { { "check", NULL, "change nothing; fail when something is pending", false } },
        .run = run_migrate,
    },
    { .words = NULL },
};
/* clang-format on */
