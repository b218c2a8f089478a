/* Log lines: what stderr gets is one well-formed line an event, whatever the values hold. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

static int saved = -1;
static char path[] = "/tmp/fovea-log-XXXXXX";

static void begin(void)
{
    int fd;

    snprintf(path, sizeof path, "/tmp/fovea-log-XXXXXX");
    fd = mkstemp(path);
    saved = dup(STDERR_FILENO);
    if (fd < 0 || saved < 0 || dup2(fd, STDERR_FILENO) < 0)
        abort();
    close(fd);
}

/* What was logged since begin(). */
static const char *end(void)
{
    static char text[1 << 16];
    FILE *in;
    size_t n;

    dup2(saved, STDERR_FILENO);
    close(saved);
    if (!(in = fopen(path, "r")))
        abort();
    n = fread(text, 1, sizeof text - 1, in);
    text[n] = '\0';
    fclose(in);
    unlink(path);
    log_set_request("", "", "");
    return text;
}

static const char *field(struct json_object *line, const char *key)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(line, key, &value) ? json_object_get_string(value) : NULL;
}

TEST(a_text_line_has_time_level_program_event_and_pairs)
{
    const char *line;
    int year, pid, n = 0;

    begin();
    log_init("fovea-test", LOG_LEVEL_INFO, 0);
    log_set_request("r1", "cvat", "/api/{id}");
    log_event(LOG_LEVEL_WARNING, "request_failed", "status", "503", "detail", "two words", "none", NULL,
              NULL);
    line = end();
    CHECK_I64(sscanf(line, "%d-%*d-%*dT%*d:%*d:%*d.%*dZ warning fovea-test[%d] %n", &year, &pid, &n), 2);
    CHECK(year >= 2026 && pid == getpid() && n > 0);
    CHECK_STR(line + n, "request_failed request_id=r1 dialect=cvat route=/api/{id} status=503 "
                        "detail=\"two words\" none=\"\"\n");
}

TEST(a_json_line_is_json_whatever_the_values_hold)
{
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;
    const char *line;

    begin();
    log_init("fovea-test", LOG_LEVEL_INFO, 1);
    log_event(LOG_LEVEL_ERROR, "odd", "a", "quote\" back\\slash\nnew line\x01\x7F", "b",
              "bad \xFF\xC0\x80 utf", NULL);
    line = end();
    CHECK_SIZE(strcspn(line, "\n"), strlen(line) - 1);
    REQUIRE(json_parse(line, strlen(line), &tree, &f) == ST_OK);
    CHECK_STR(field(tree, "level"), "error");
    CHECK_STR(field(tree, "event"), "odd");
    CHECK_STR(field(tree, "program"), "fovea-test");
    CHECK_STR(field(tree, "a"), "quote\" back\\slash\nnew line\x01\x7F");
    CHECK_STR(field(tree, "b"), "bad \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD utf");
    CHECK(field(tree, "time") && !field(tree, "request_id"));
    json_object_put(tree);
}

TEST(a_value_cannot_forge_a_second_line)
{
    const char *text;

    begin();
    log_init("fovea-test", LOG_LEVEL_INFO, 0);
    log_event(LOG_LEVEL_INFO, "x", "a", "1\n2026 error fovea-api[1] forged\n", NULL);
    text = end();
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
    CHECK(strstr(text, " a=\"1\\n2026 error fovea-api[1] forged\"\n"));
}

TEST(less_important_lines_are_left_out)
{
    begin();
    log_init("fovea-test", LOG_LEVEL_WARNING, 0);
    log_event(LOG_LEVEL_DEBUG, "a", NULL);
    log_event(LOG_LEVEL_INFO, "b", NULL);
    CHECK_STR(end(), "");
}

TEST(long_lines_are_cut_between_pairs_and_stay_json)
{
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;
    char longest[LIMIT_LOG_VALUE_BYTES + 100];
    const char *line;

    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest + LIMIT_LOG_VALUE_BYTES - 1, "\xE2\x82\xAC", 3); /* a character across the limit */
    begin();
    log_init("fovea-test", LOG_LEVEL_INFO, 1);
    log_event(LOG_LEVEL_INFO, "long", "a", longest, "b", longest, "c", longest, "d", longest, "e",
              "short", NULL);
    line = end();
    CHECK(strlen(line) <= LIMIT_LOG_LINE_BYTES);
    REQUIRE(json_parse(line, strlen(line), &tree, &f) == ST_OK);
    CHECK_SIZE(strlen(field(tree, "a")), LIMIT_LOG_VALUE_BYTES - 1 + 3);
    CHECK(field(tree, "c") && !field(tree, "d"));
    CHECK_STR(field(tree, "e"), "short");
    CHECK_STR(field(tree, "cut"), "true");
    json_object_put(tree);
}

TEST(the_journal_gets_a_priority_and_no_time_of_ours)
{
    struct stat st;
    char stream[64];

    begin();
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("fovea-test", LOG_LEVEL_INFO, 0);
    log_event(LOG_LEVEL_ERROR, "lost", "detail", "x", NULL);
    CHECK_STR(end(), "<3>lost detail=x\n");
    unsetenv("JOURNAL_STREAM");
}
