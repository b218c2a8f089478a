/* Settings: order of force, places in refusals, secrets kept out of sight. Each case has a folder of its
 * own. */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"

static char folder[64];

/* Makes a fresh folder and forgets the environment of the caller. */
static void begin(void)
{
    static const char *const names[] = {
        "FOVEA_CONF",        "FOVEA_HTTP_PORT",         "FOVEA_VAR",
        "FOVEA_VAR_DIR",     "FOVEA_DATABASE_DSN_FILE", "CREDENTIALS_DIRECTORY",
        "FOVEA_DATABASE_DSN"
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    snprintf(folder, sizeof folder, "/tmp/fovea-config-XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) != 0)
        abort();
}

static const char *put(const char *name, const char *text)
{
    static char path[128];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!(out = fopen(path, "w")))
        abort();
    fputs(text, out);
    fclose(out);
    return path;
}

static void end(void)
{
    char command[128];

    if (chdir("/") != 0)
        abort();
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_I64(system(command), 0);
}

static enum status load(const char *path, const char *override, struct fault *f)
{
    const char *const overrides[] = { override, NULL };

    *f = FAULT_INIT;
    return config_load(path, overrides, f);
}

TEST(defaults_hold_without_a_file)
{
    struct fault f;

    begin();
    REQUIRE(load(NULL, NULL, &f) == ST_OK || access("/etc/fovea/fovea.conf", F_OK) == 0);
    CHECK_I64(config_i64("http.port"), 8080);
    CHECK_I64(config_i64("predict.max_bytes"), 10 << 20);
    CHECK_STR(config_text("default_dialect"), "ultralytics");
    CHECK(!config_bool("log.json"));
    CHECK_STR(config_text("spool_dir"), "/var/lib/fovea/media/spool");
    end();
}

TEST(flag_beats_environment_beats_file_beats_default)
{
    struct fault f;
    const char *path;

    begin();
    path = put("a.conf", "# comment\n\n  http.port = 1001  \nregion=eu = west\n");
    CHECK_I64(load(path, NULL, &f), ST_OK);
    CHECK_I64(config_i64("http.port"), 1001);
    CHECK_STR(config_text("region"), "eu = west");
    setenv("FOVEA_HTTP_PORT", "1002", 1);
    CHECK_I64(load(path, NULL, &f), ST_OK);
    CHECK_I64(config_i64("http.port"), 1002);
    CHECK_I64(load(path, "http.port=1003", &f), ST_OK);
    CHECK_I64(config_i64("http.port"), 1003);
    setenv("FOVEA_CONF", path, 1);
    unsetenv("FOVEA_HTTP_PORT");
    CHECK_I64(load(NULL, NULL, &f), ST_OK);
    CHECK_I64(config_i64("http.port"), 1001);
    end();
}

TEST(conf_d_is_read_in_order_after_the_file)
{
    char d[80];
    struct fault f;

    begin();
    snprintf(d, sizeof d, "%s/conf.d", folder);
    REQUIRE(mkdir(d, 0700) == 0);
    put("conf.d/20.conf", "http.port = 20\n");
    put("conf.d/10.conf", "http.port = 10\nhttps.port = 11\n");
    put("conf.d/30.off", "http.port = nonsense\n");
    CHECK_I64(load(put("fovea.conf", "http.port = 1\nhttps.port = 2\nmetrics.port = 3\n"), NULL, &f),
              ST_OK);
    CHECK_I64(config_i64("http.port"), 20);
    CHECK_I64(config_i64("https.port"), 11);
    CHECK_I64(config_i64("metrics.port"), 3);
    end();
}

TEST(folders_follow_the_folder_they_are_in)
{
    struct fault f;

    begin();
    setenv("FOVEA_VAR", "/v", 1);
    CHECK_I64(load(put("a.conf", "run_dir = /r\n"), NULL, &f), ST_OK);
    CHECK_STR(config_text("var_dir"), "/v");
    CHECK_STR(config_text("media_dir"), "/v/media");
    CHECK_STR(config_text("spool_dir"), "/v/media/spool");
    CHECK_STR(config_text("run_dir"), "/r");
    CHECK_I64(load(put("a.conf", "media_dir = /m\n"), NULL, &f), ST_OK);
    CHECK_STR(config_text("spool_dir"), "/m/spool");
    end();
}

TEST(what_is_wrong_in_a_file_is_refused_with_its_line)
{
    static const struct {
        const char *text, *say; /* what the sentence must contain */
    } cases[] = {
        { "http.port = 1\nhttp.prot = 2\n", "a.conf:2: unknown key \"http.prot\"" },
        { "http.port = 65536\n", "a.conf:1: http.port: bad value, expected 0..65535" },
        { "http.port = 80x\n", "a.conf:1: http.port" },
        { "http.port =\n", "a.conf:1: http.port" },
        { "http.port\n", "a.conf:1: expected key = value" },
        { "= 3\n", "a.conf:1: unknown key \"\"" },
        { "\n\nlog.json = maybe\n", "a.conf:3: log.json: bad value, expected true|false" },
        { "log.level = loud\n", "expected debug|info|warning|error" },
        { "log.level = debug|info\n", "expected debug|info|warning|error" },
        { "predict.max_bytes = 10X\n", "a.conf:1: predict.max_bytes" },
        { "predict.max_bytes = 99999999999G\n", "a.conf:1: predict.max_bytes" },
        { "predict.max_bytes = 0\n", "a.conf:1: predict.max_bytes" },
        { "public_url = ftp://x\n", "a.conf:1: public_url" },
        { "public_url = https://x/\n", "a.conf:1: public_url" },
        { "public_url = https://\n", "a.conf:1: public_url" },
        { "http.port = 1\nhttp.port = 1\n", "a.conf:2: http.port is given twice" },
        { "region = \xFF\n", "a.conf:1: region" },
        { "bind_file = /etc/hostname\n", "a.conf:1: unknown key \"bind_file\"" },
        { "database.dsn_file = /nonexistent/x\n", "/nonexistent/x" },
    };

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fault f;
        const enum status st = load(put("a.conf", cases[i].text), NULL, &f);

        if (st != ST_INVALID || !strstr(f.detail, cases[i].say))
            TEST_FAIL_("%s: got %s: %s", cases[i].text, status_name(st), f.detail);
    }
    end();
}

TEST(a_load_that_fails_changes_nothing)
{
    struct fault f;

    begin();
    CHECK_I64(load(put("a.conf", "http.port = 7\n"), NULL, &f), ST_OK);
    CHECK_I64(load(put("a.conf", "http.port = 8\nhttps.port = x\n"), NULL, &f), ST_INVALID);
    CHECK_I64(config_i64("http.port"), 7);
    CHECK_I64(load("absent.conf", NULL, &f), ST_INVALID);
    CHECK_I64(load(NULL, "nonsense", &f), ST_INVALID);
    CHECK_I64(load(NULL, "no.such=1", &f), ST_INVALID);
    CHECK_I64(config_i64("http.port"), 7);
    end();
}

TEST(sizes_and_switches_have_their_spellings)
{
    struct fault f;

    begin();
    CHECK_I64(
        load(put("a.conf", "predict.max_bytes = 3k\nmodel.max_bytes = 2M\nlog.json = on\n"), NULL, &f),
        ST_OK);
    CHECK_I64(config_i64("predict.max_bytes"), 3 << 10);
    CHECK_I64(config_i64("model.max_bytes"), 2 << 20);
    CHECK(config_bool("log.json"));
    end();
}

TEST(secrets_come_from_files_credentials_and_the_environment)
{
    char line[160];
    struct fault f;

    begin();
    put("s1", "dbname=one\n");
    put("database.dsn", "dbname=two");
    snprintf(line, sizeof line, "database.dsn_file = %s/s1\n", folder);
    CHECK_I64(load(put("a.conf", line), NULL, &f), ST_OK);
    CHECK_STR(config_text("database.dsn"), "dbname=one");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    CHECK_I64(load(put("a.conf", line), NULL, &f), ST_OK);
    CHECK_STR(config_text("database.dsn"), "dbname=two");
    CHECK_STR(config_text("database.owner_dsn"),
              "dbname=fovea user=fovea_owner"); /* no such credential */
    setenv("FOVEA_DATABASE_DSN_FILE", put("s3", "dbname=three\r\n"), 1);
    CHECK_I64(load(NULL, NULL, &f), ST_OK);
    CHECK_STR(config_text("database.dsn"), "dbname=three");
    setenv("FOVEA_DATABASE_DSN", "dbname=four", 1);
    CHECK_I64(load(NULL, NULL, &f), ST_OK);
    CHECK_STR(config_text("database.dsn"), "dbname=four");
    end();
}

static void check_item(const struct config_item *item, void *arg)
{
    (*(int *)arg)++;
    CHECK(item->key && item->value && item->fallback && item->origin && item->allowed &&
          strlen(item->help) > 10);
}

TEST(show_names_every_key_with_origin_and_no_secret)
{
    char *shown = NULL, place[160];
    size_t n = 0;
    struct fault f;
    FILE *out;
    int count = 0;
    const char *path;

    begin();
    path = put("a.conf", "\nregion = eu\ndatabase.dsn = password=canary\n");
    REQUIRE(load(path, "http.port=5", &f) == ST_OK);
    config_each(check_item, &count);
    CHECK(count > 30);
    REQUIRE((out = open_memstream(&shown, &n)) != NULL);
    config_show(out);
    fclose(out);
    snprintf(place, sizeof place, "from: %s:2\nregion = eu\n", path);
    CHECK(strstr(shown, place));
    CHECK(strstr(shown, "from: flag\nhttp.port = 5\n"));
    CHECK(strstr(shown, "from: default\nhttps.port = 8443\n"));
    CHECK(strstr(shown, "database.dsn = (set)\n"));
    CHECK(!strstr(shown, "canary"));
    free(shown);
    end();
}

TEST(what_show_prints_is_a_settings_file)
{
    char *shown = NULL;
    size_t n = 0;
    struct fault f;
    FILE *out;

    begin();
    REQUIRE(load(put("a.conf", "region = eu\n"), NULL, &f) == ST_OK);
    REQUIRE((out = open_memstream(&shown, &n)) != NULL);
    config_show(out);
    fclose(out);
    CHECK_I64(load(put("b.conf", shown), NULL, &f), ST_OK);
    CHECK_STR(config_text("region"), "eu");
    CHECK_STR(f.detail, "");
    free(shown);
    end();
}
