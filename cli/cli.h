/*
 * What the commands of `fovea` share. A command is one row of a table: its words, options, help and
 * function. The function gets its arguments checked against the row, writes data to stdout and talk to
 * stderr, and returns an outcome that main.c turns into a message and an exit status of sysexits.h.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/db.h"
#include "base/status.h"

struct store;

enum { CLI_OPTIONS = 16 };

struct cli_option {
    const char *name;     /* without dashes */
    const char *argument; /* "EMAIL"; NULL: a switch */
    const char *help;
    bool required;
};

struct cli;

struct command {
    const char *words;    /* "user add" */
    const char *argument; /* the one argument, as help shows it: "HANDLE"; NULL: none */
    const char *help;     /* one line */
    bool many;            /* the argument may be given more than once */
    struct cli_option options[CLI_OPTIONS];
    enum status (*run)(struct cli *c, struct fault *f);
};

struct cli {
    const struct command *command;
    const char *values[CLI_OPTIONS]; /* of the command's options; "" for a switch; NULL: not given */
    const char *argument;            /* the first one; NULL: the command has none */
    char **arguments;                /* [narguments] */
    int narguments;
    bool json;           /* --json: data on stdout is JSON */
    struct arena *arena; /* for the whole run */
    struct db *db;       /* made by cli_db */
    struct store *store; /* made by cli_store */
};

/* The value of an option of the command's row; NULL when it was not given. */
const char *cli_option(const struct cli *c, const char *name);

/* The connection of the owner, made at the first call; messages of constraints are known. */
enum status cli_db(struct cli *c, struct db **ret, struct fault *f) MUST_USE;
/* The media store, opened at the first call. */
enum status cli_store(struct cli *c, struct store **ret, struct fault *f) MUST_USE;

/* An option as a number; `absent` where it was not given. ST_INVALID names the option. */
enum status cli_integer(const struct cli *c, const char *name, int64_t low, int64_t high, int64_t absent,
                        int64_t *ret, struct fault *f) MUST_USE;
enum status cli_number(const struct cli *c, const char *name, double low, double high, double absent,
                       double *ret, struct fault *f) MUST_USE;

/* Talk: a line on stderr. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a statement reads, on stdout: a table, or with --json an array of objects. */
enum status cli_list(struct cli *c, const char *sql, const struct param params[], size_t n,
                     struct fault *f) MUST_USE;
/* The first row: `name  value` lines, or with --json one object. No row: ST_NOT_FOUND, naming `noun`. */
enum status cli_print_one(const struct cli *c, const PGresult *r, const char *noun,
                          struct fault *f) MUST_USE;
/* The same of what the last of some writes returns (db_write). */
enum status cli_write(struct cli *c, const struct db_call calls[], size_t n, const char *noun,
                      struct fault *f) MUST_USE;

/* In SQL, the id of a model m as people see it. */
#define MODEL_ID "lpad(to_hex(m.stamp), 8, '0') || lpad(to_hex(m.id), 16, '0')"

/* Groups of commands, each ended by a row without words. */
extern const struct command database_commands[], user_commands[], key_commands[], model_commands[],
    network_commands[], predict_commands[], media_commands[], config_commands[];

#endif
