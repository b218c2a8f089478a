/*
 * What a command found out, as lines `name  value` for people or, with --json, one object.
 * Zero-initialise; facts_print releases.
 */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include "base/text.h"
#include "cli/cli.h"

struct facts {
    struct buffer json, text;
};

/* A sentence or a name; NULL or "" is left out. */
void facts_text(struct facts *t, const char *name, const char *value);
/* A number, printed as the format says (which makes valid JSON). */
void facts_number(struct facts *t, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Something else: its JSON, and what people see (NULL: the same). */
void facts_json(struct facts *t, const char *name, const char *json, const char *text);

enum status facts_print(const struct cli *c, struct facts *t, struct fault *f) MUST_USE;
void facts_free(struct facts *t);

#endif
