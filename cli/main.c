/*
 * fovea: administration from the shell. Finds the command in the tables, reads its options, runs it, and
 * says how it went: data on stdout, talk on stderr, exit status by sysexits.h.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "cli/cli.h"
#include "media/store.h"

enum { OVERRIDES = 64, ARENA_BYTES = 64 << 20 };

static const struct command *const groups[] = {
    database_commands, user_commands,  key_commands,    model_commands, network_commands,
    predict_commands,  media_commands, config_commands, NULL,
};

/* What every command understands, in any place. */
enum { OPT_HELP = 1000, OPT_VERSION, OPT_JSON, OPT_CONFIG, OPT_SET };
static const struct {
    struct cli_option option;
    int code;
} globals[] = {
    { { "config", "FILE", "settings file (default: $FOVEA_CONF, var/fovea.conf, /etc/fovea/fovea.conf)",
        false },
      OPT_CONFIG },
    { { "set", "KEY=VALUE", "override one setting; may be repeated", false }, OPT_SET },
    { { "json", NULL, "print data as JSON", false }, OPT_JSON },
    { { "help", NULL, "show help and exit", false }, OPT_HELP },
    { { "version", NULL, "show the version and exit", false }, OPT_VERSION },
};
enum { NGLOBALS = sizeof globals / sizeof *globals };

struct invocation {
    struct cli cli;
    const char *config;
    const char *overrides[OVERRIDES + 1];
    size_t noverrides;
    bool help, version;
};

/* ---- help
 * -----------------------------------------------------------------------------------------------------
 */

static void print_option(const struct cli_option *o)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    printf("  %-22s %s%s\n", left, o->help, o->required ? " (required)" : "");
}

static void print_globals(void)
{
    printf("\nOptions of every command:\n");
    for (size_t i = 0; i < NGLOBALS; i++)
        print_option(&globals[i].option);
}

static void print_overview(void)
{
    printf("Usage: fovea [--config FILE] [--set KEY=VALUE] COMMAND [ARGUMENTS]\n\n"
           "Administers one Fovea site.\n\nCommands:\n");
    for (size_t g = 0; groups[g]; g++)
        for (const struct command *c = groups[g]; c->words; c++) {
            char left[64];

            snprintf(left, sizeof left, "%s %s", c->words, c->argument ? c->argument : "");
            printf("  %-22s %s\n", left, c->help);
        }
    print_globals();
    printf("\n`fovea COMMAND --help` explains one. Exit status: 0, or as in sysexits.h (64 usage, 65 "
           "bad data,\n"
           "66 no such file, 67 no such user, 69 database away, 77 not allowed, 78 bad settings).\n");
}

static void print_command(const struct command *c)
{
    printf("Usage: fovea %s%s%s [OPTIONS]\n\n%c%s.\n", c->words, c->argument ? " " : "",
           c->argument ? c->argument : "", toupper((unsigned char)c->help[0]), c->help + 1);
    if (c->options[0].name)
        printf("\nOptions:\n");
    for (size_t i = 0; i < CLI_OPTIONS && c->options[i].name; i++)
        print_option(&c->options[i]);
    print_globals();
}

/* ---- reading the command line
 * ---------------------------------------------------------------------------------- */

static bool take_global(struct invocation *v, int code, const char *value, struct fault *f)
{
    switch (code) {
    case OPT_HELP:
        v->help = true;
        return true;
    case OPT_VERSION:
        v->version = true;
        return true;
    case OPT_JSON:
        v->cli.json = true;
        return true;
    case OPT_CONFIG:
        v->config = value;
        return true;
    case OPT_SET:
        if (v->noverrides < OVERRIDES) {
            v->overrides[v->noverrides++] = value;
            return true;
        }
        (void)fault_set(f, ST_INVALID, NULL, "--set is given too often");
        return false;
    default:
        (void)fault_set(f, ST_INVALID, NULL, "see --help"); /* getopt named the option */
        return false;
    }
}

static size_t add_globals(struct option *table)
{
    for (size_t i = 0; i < NGLOBALS; i++)
        table[i] = (struct option){ globals[i].option.name, globals[i].option.argument != NULL, NULL,
                                    globals[i].code };
    return NGLOBALS;
}

/* The command whose words argv begins with; *ret_n: how many they are. */
static const struct command *find_command(char **argv, int argc, int *ret_n)
{
    for (size_t g = 0; groups[g]; g++)
        for (const struct command *c = groups[g]; c->words; c++) {
            const char *const blank = strchr(c->words, ' ');
            const size_t n = blank ? (size_t)(blank - c->words) : strlen(c->words);

            if (argc < (blank ? 2 : 1) || strlen(argv[0]) != n || strncmp(argv[0], c->words, n) != 0 ||
                (blank && strcmp(argv[1], blank + 1) != 0))
                continue;
            *ret_n = blank ? 2 : 1;
            return c;
        }
    return NULL;
}

static enum status check_given(struct cli *c, char **words, int n, struct fault *f)
{
    const int wanted = c->command->argument != NULL;

    if (n < wanted)
        return fault_set(f, ST_INVALID, NULL, "%s needs %s", c->command->words, c->command->argument);
    if (n > wanted && !c->command->many)
        return fault_set(f, ST_INVALID, NULL, "%s does not expect \"%s\"", c->command->words,
                         words[wanted]);
    c->argument = wanted ? words[0] : NULL;
    c->arguments = words;
    c->narguments = n;
    for (size_t i = 0; i < CLI_OPTIONS && c->command->options[i].name; i++)
        if (c->command->options[i].required && !c->values[i])
            return fault_set(f, ST_INVALID, NULL, "%s needs --%s", c->command->words,
                             c->command->options[i].name);
    return ST_OK;
}

/* Options before the command, its words, then options and arguments in any order. */
static enum status read_line(struct invocation *v, int argc, char **argv, struct fault *f)
{
    struct option table[NGLOBALS + CLI_OPTIONS + 1] = { 0 };
    size_t n = add_globals(table);
    int code, words = 0;

    while ((code = getopt_long(argc, argv, "+", table, NULL)) != -1)
        if (!take_global(v, code, optarg, f))
            return ST_INVALID;
    if (v->help || v->version)
        return ST_OK;
    if (optind == argc)
        return fault_set(f, ST_INVALID, NULL, "no command; see --help");
    if (!(v->cli.command = find_command(argv + optind, argc - optind, &words)))
        return fault_set(f, ST_INVALID, NULL, "unknown command \"%s%s%s\"; see --help", argv[optind],
                         optind + 1 < argc ? " " : "", optind + 1 < argc ? argv[optind + 1] : "");
    for (size_t i = 0; i < CLI_OPTIONS && v->cli.command->options[i].name; i++)
        table[n++] = (struct option){ v->cli.command->options[i].name,
                                      v->cli.command->options[i].argument != NULL, NULL, (int)i };
    argv += optind + words - 1; /* getopt skips the first: the command's last word is its name now */
    argc -= optind + words - 1;
    optind = 0; /* glibc: begin anew */
    while ((code = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (code >= 0 && code < CLI_OPTIONS)
            v->cli.values[code] = optarg ? optarg : "";
        else if (!take_global(v, code, optarg, f))
            return ST_INVALID;
    }
    return v->help || v->version ? ST_OK : check_given(&v->cli, argv + optind, argc - optind, f);
}

/* ---- running
 * -------------------------------------------------------------------------------------------------- */

static int exit_code(enum status st, const struct fault *f)
{
    static const int codes[ST__COUNT] = {
        [ST_OK] = EX_OK,
        [ST_INVALID] = EX_DATAERR,
        [ST_UNAUTHENTICATED] = EX_NOPERM,
        [ST_FORBIDDEN] = EX_NOPERM,
        [ST_NOT_FOUND] = EX_DATAERR,
        [ST_NO_METHOD] = EX_USAGE,
        [ST_CONFLICT] = EX_DATAERR,
        [ST_TOO_LARGE] = EX_DATAERR,
        [ST_UNSUPPORTED] = EX_DATAERR,
        [ST_RATE_LIMITED] = EX_TEMPFAIL,
        [ST_UNAVAILABLE] = EX_UNAVAILABLE,
        [ST_INTERNAL] = EX_SOFTWARE,
    };

    if (st == ST_NOT_FOUND && f->field && strcmp(f->field, "handle") == 0)
        return EX_NOUSER;
    if (st == ST_NOT_FOUND && f->field && strcmp(f->field, "file") == 0)
        return EX_NOINPUT;
    return codes[st];
}

static int complain(const struct fault *f, int code)
{
    fflush(stdout);
    fprintf(stderr, "fovea: %s%s%s\n", f->field ? f->field : "", f->field ? ": " : "",
            f->detail[0] ? f->detail : "failed");
    return code;
}

static int run(struct invocation *v)
{
    struct fault f = FAULT_INIT;
    enum status st;
    int code;

    if (config_load(v->config, v->overrides, &f) != ST_OK) {
        f.field = NULL; /* the sentence names the place and the key */
        return complain(&f, EX_CONFIG);
    }
    if (!(v->cli.arena = arena_create(ARENA_BYTES)))
        return EX_OSERR;
    st = v->cli.command->run(&v->cli, &f);
    code = st == ST_OK ? EX_OK : complain(&f, exit_code(st, &f));
    db_free(v->cli.db);
    store_close(v->cli.store);
    arena_free(v->cli.arena);
    if (code == EX_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "fovea: stdout cannot be written\n");
        return EX_IOERR;
    }
    return code;
}

int main(int argc, char **argv)
{
    struct invocation v = { .config = NULL };
    struct fault f = FAULT_INIT;

    log_init("fovea", LOG_LEVEL_WARNING, 0);
    if (read_line(&v, argc, argv, &f) != ST_OK)
        return complain(&f, EX_USAGE);
    if (v.version) {
        printf("fovea %s\n", FOVEA_VERSION);
        return EX_OK;
    }
    if (v.help) {
        if (v.cli.command)
            print_command(v.cli.command);
        else
            print_overview();
        return EX_OK;
    }
    return run(&v);
}
