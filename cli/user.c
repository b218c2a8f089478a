/* fovea user: accounts, each with a personal organization of the same handle. */
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"

#define COLUMNS                                                                                         \
    "u.id, u.uuid, u.handle, u.email, u.name, u.plan, u.site_admin, u.suspended, u.created_at"

static enum status run_list(struct cli *c, struct fault *f)
{
    return cli_list(c, "SELECT " COLUMNS " FROM domain.account_list() AS u ORDER BY u.handle", NULL, 0,
                    f);
}

static enum status run_add(struct cli *c, struct fault *f)
{
    const struct param params[] = { p_text(c->argument), p_text(cli_option(c, "email")),
                                    p_text(cli_option(c, "name")), p_text(cli_option(c, "plan")),
                                    p_bool(cli_option(c, "admin") != NULL) };
    const struct db_call calls[] = {
        { "SELECT domain.account_create($1, $2, $3, $4, $5)", params, 5 },
        { "SELECT " COLUMNS
          " FROM domain.account_list() AS u WHERE u.id = current_setting('fovea.row')::bigint",
          NULL, 0 },
    };

    return cli_write(c, calls, 2, "handle", f);
}

/* "yes" or "no"; NULL stays NULL. */
static enum status read_switch(const struct cli *c, const char *name, struct param *ret, struct fault *f)
{
    const char *const text = cli_option(c, name);

    if (text && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return fault_set(f, ST_INVALID, name, "must be yes or no");
    *ret = text ? p_bool(strcmp(text, "yes") == 0) : p_null();
    return ST_OK;
}

static enum status run_set(struct cli *c, struct fault *f)
{
    const struct param handle = p_text(c->argument), plan[] = { handle, p_text(cli_option(c, "plan")) };
    struct param state[] = { handle, p_null(), p_null() };
    struct db_call calls[3];
    size_t n = 0;
    enum status st;

    if ((st = read_switch(c, "suspended", &state[1], f)) != ST_OK ||
        (st = read_switch(c, "admin", &state[2], f)) != ST_OK)
        return st;
    if (plan[1].text)
        calls[n++] = (struct db_call){ "SELECT domain.account_set_plan($1, $2)", plan, 2 };
    if (state[1].text || state[2].text)
        calls[n++] = (struct db_call){ "SELECT domain.account_set_state($1, $2, $3)", state, 3 };
    if (n == 0)
        return fault_set(f, ST_INVALID, NULL, "user set needs --plan, --suspended or --admin");
    calls[n++] =
        (struct db_call){ "SELECT " COLUMNS " FROM domain.account_list() AS u WHERE u.handle = $1",
                          &handle, 1 };
    return cli_write(c, calls, n, "handle", f);
}

#define PLANS "free, pro or enterprise"

/* clang-format off */
const struct command user_commands[] = {
    {
        .words = "user add",
        .argument = "HANDLE",
        .help = "make an account and its organization",
        .options = { { "email", "EMAIL", "address, unique on this site", true },
                     { "name", "NAME", "name that others see", true },
                     { "plan", "PLAN", PLANS " (default)", false },
                     { "admin", NULL, "may administer the site", false } },
        .run = run_add,
    },
    {
        .words = "user set",
        .argument = "HANDLE",
        .help = "change an account",
        .options = { { "plan", "PLAN", PLANS, false },
                     { "suspended", "YES|NO", "refuse all requests of its keys", false },
                     { "admin", "YES|NO", "may administer the site", false } },
        .run = run_set,
    },
    {
        .words = "user list",
        .help = "show all accounts",
        .run = run_list,
    },
    { .words = NULL },
};
/* clang-format on */
