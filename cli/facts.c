/* Facts for people and programs: see facts.h. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "cli/facts.h"

static void begin(struct facts *t, const char *name)
{
    buffer_text(&t->json, t->json.n ? "," : "{");
    json_write_string(&t->json, name, strlen(name));
    buffer_char(&t->json, ':');
    buffer_printf(&t->text, "%-13s", name);
}

void facts_text(struct facts *t, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    begin(t, name);
    json_write_string(&t->json, value, strlen(value));
    buffer_printf(&t->text, " %s\n", value);
}

void facts_number(struct facts *t, const char *name, const char *format, ...)
{
    char number[64];
    va_list ap;

    va_start(ap, format);
    vsnprintf(number, sizeof number, format, ap);
    va_end(ap);
    facts_json(t, name, number, NULL);
}

void facts_json(struct facts *t, const char *name, const char *json, const char *text)
{
    begin(t, name);
    buffer_text(&t->json, json);
    buffer_printf(&t->text, " %s\n", text ? text : json);
}

enum status facts_print(const struct cli *c, struct facts *t, struct fault *f)
{
    const bool failed = t->json.failed || t->text.failed;

    buffer_text(&t->json, t->json.n ? "}\n" : "{}\n");
    if (!failed)
        fputs(buffer_terminate(c->json ? &t->json : &t->text), stdout);
    facts_free(t);
    return failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory") : ST_OK;
}

void facts_free(struct facts *t)
{
    buffer_free(&t->json);
    buffer_free(&t->text);
}
