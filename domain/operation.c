/* Composes the sentences of operation.h. */
#include "domain/operation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A sentence in the making: text in a buffer, parameters numbered as they are used. */
struct draft {
    struct buffer sql;
    struct sentence *out;
    struct arena *arena;
    size_t actor;    /* number of the actor's parameter; 0: not yet used */
    bool named_refs; /* refs among the first named_args fields stand in FROM as k0, k1, ...: see
                        draft_keys */
    size_t named_args;
};

static void draft_param(struct draft *d, struct param p)
{
    if (d->out->n == OPERATION_PARAMS) {
        d->sql.failed = true;
        return;
    }
    d->out->params[d->out->n++] = p;
    buffer_printf(&d->sql, "$%zu", d->out->n);
}

static enum status draft_done(struct draft *d, struct fault *f)
{
    d->out->sql = d->sql.failed ? NULL : arena_strndup(d->arena, d->sql.p, d->sql.n);
    buffer_free(&d->sql);
    if (!d->out->sql || arena_failed(d->arena))
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    return ST_OK;
}

const char *actor_literal(const struct actor *who, struct arena *a)
{
    return arena_printf(a, "(%" PRId64 ",%" PRId64 ",%" PRId64 ",%u,%c)", who->account_id,
                        who->organization_id, who->key_id, who->scopes, who->site_admin ? 't' : 'f');
}

const char *asker_literal(const struct actor *who, const struct asker *asker, struct arena *a)
{
    return arena_printf(a, "(%" PRId64 ",%" PRId64 ",\"%s\")", who->account_id, who->organization_id,
                        asker->base_url);
}

static void draft_ref(struct draft *d, const struct field *fd, const struct ref *ref)
{
    switch (ref->kind) {
    case REF_ID:
        draft_param(d, p_i64(d->arena, ref->id));
        break;
    case REF_STAMPED:
        buffer_printf(&d->sql, "(SELECT v.id FROM domain.%s AS v WHERE v.id = ", fd->view);
        draft_param(d, p_i64(d->arena, ref->id));
        buffer_text(&d->sql, " AND v.stamp = ");
        draft_param(d, p_i64(d->arena, ref->stamp));
        buffer_char(&d->sql, ')');
        break;
    case REF_UUID:
        buffer_printf(&d->sql, "(SELECT v.id FROM domain.%s AS v WHERE v.uuid = ", fd->view);
        draft_param(d, p_text(ref->uuid));
        buffer_char(&d->sql, ')');
        break;
    case REF_NONE:
    case REF_UNKNOWN:
        buffer_text(&d->sql, "NULL::bigint");
        break;
    }
}

static bool is_lookup(const struct ref *ref)
{
    return ref->kind == REF_STAMPED || ref->kind == REF_UUID;
}

static void draft_refs(struct draft *d, const struct field *fd, const struct refs *refs)
{
    buffer_text(&d->sql, "ARRAY[");
    for (size_t i = 0; i < refs->n; i++) {
        if (i)
            buffer_char(&d->sql, ',');
        draft_ref(d, fd, &refs->items[i]);
    }
    buffer_text(&d->sql, "]::bigint[]");
}

/* The value of field i of the command, as a parameter or as the sub-select that finds the row it names.
 */
static void draft_field(struct draft *d, const struct record *r, const void *command, size_t i)
{
    const struct field *fd = &r->fields[i];
    const void *value = field_of(command, fd);
    const bool is_null =
        !field_given(command, i) || (((const struct given *)command)->null >> i & 1) != 0;

    if (fd->kind == FIELD_REF && !is_null) {
        if (d->named_refs && i < d->named_args && is_lookup(value))
            buffer_printf(&d->sql, "k%zu.id", i);
        else
            draft_ref(d, fd, value);
        return;
    }
    if (is_null) {
        draft_param(d, p_null());
        return;
    }
    switch (fd->kind) {
    case FIELD_I64:
        draft_param(d, p_i64(d->arena, *(const int64_t *)value));
        break;
    case FIELD_F64:
        draft_param(d, p_f64(d->arena, *(const double *)value));
        break;
    case FIELD_BOOL:
        draft_param(d, p_bool(*(const bool *)value));
        break;
    case FIELD_TEXTS: {
        const struct texts *t = value;

        draft_param(d, p_texts(d->arena, t->items, t->n));
        break;
    }
    case FIELD_REFS:
        draft_refs(d, fd, value);
        break;
    case FIELD_DIGEST:
        draft_param(d, p_bytes(*(const uint8_t *const *)value, 32));
        break;
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_JSON:
    case FIELD_TIME:
    case FIELD_REF:
        draft_param(d, p_text(*(const char *const *)value));
        break;
    }
}

/* "domain.project_get($1, ...)" with the actor and the first nargs fields. */
static void draft_call(struct draft *d, const struct operation *op, const char *function,
                       const struct actor *who, const void *command)
{
    buffer_printf(&d->sql, "%s(", function);
    if (d->actor) {
        buffer_printf(&d->sql, "$%zu", d->actor);
    } else {
        draft_param(d, p_text(actor_literal(who, d->arena)));
        d->actor = d->out->n;
    }
    buffer_text(&d->sql, "::domain.actor");
    for (size_t i = 0; i < op->nargs; i++) {
        buffer_text(&d->sql, ", ");
        draft_field(d, op->input, command, i);
    }
    if (op->sends_given) {
        const char *names[64];
        size_t n = 0;

        for (size_t i = 0; i < op->input->nfields; i++)
            if (field_given(command, i))
                names[n++] = op->input->fields[i].name;
        buffer_text(&d->sql, ", ");
        draft_param(d, p_texts(d->arena, names, n));
    }
    buffer_char(&d->sql, ')');
}

/*
 * "(SELECT v.id ...) AS k0, ": the lookups of a read's arguments as items of FROM. A sub-select as an
 * argument would keep PostgreSQL from inlining the function (three times slower).
 */
static void draft_keys(struct draft *d, const struct operation *op, const void *command)
{
    d->named_refs = true;
    d->named_args = op->nargs;
    for (size_t i = 0; i < op->nargs; i++) {
        const struct field *fd = &op->input->fields[i];

        if (fd->kind != FIELD_REF || !field_given(command, i) || !is_lookup(field_of(command, fd)))
            continue;
        draft_ref(d, fd, field_of(command, fd));
        buffer_printf(&d->sql, " AS k%zu, LATERAL ", i);
    }
}

/* What a sentence selects: the shape's columns, or those of the domain row. */
static const char *columns_of(const struct shape *shape, const char *row_columns)
{
    return !shape->name ? row_columns : shape->beside ? "s.*, b.*" : "s.*";
}

static void draft_shape(struct draft *d, const struct shape *shape, const char *row,
                        const struct actor *who, const struct asker *asker)
{
    size_t number;

    buffer_printf(&d->sql, "%s.%s(%s, ", shape->schema, shape->name, row);
    draft_param(d, p_text(asker_literal(who, asker, d->arena)));
    number = d->out->n;
    buffer_text(&d->sql, "::domain.asker) AS s");
    if (shape->beside)
        buffer_printf(&d->sql, ", LATERAL %s.%s(%s, $%zu::domain.asker) AS b", shape->schema,
                      shape->beside, row, number);
}

static void draft_row(struct draft *d, const struct shape *shape, const struct actor *who,
                      const struct asker *asker)
{
    if (!shape->name)
        return;
    buffer_text(&d->sql, ", LATERAL ");
    draft_shape(d, shape, "r", who, asker);
}

static bool has_filter(const struct operation *op, const void *command)
{
    for (size_t i = 0; i < op->nfilters; i++)
        if (field_given(command, (size_t)op->filters[i].field))
            return true;
    return false;
}

/* " WHERE c1 AND c2": the filters whose fields were given. */
static const char *draft_filters(struct draft *d, const struct operation *op, const void *command)
{
    const char *join = " WHERE ";

    for (size_t i = 0; i < op->nfilters; i++) {
        const size_t field = (size_t)op->filters[i].field;

        if (!field_given(command, field))
            continue;
        buffer_text(&d->sql, join);
        for (const char *s = op->filters[i].sql; *s; s++) {
            if (*s == '?')
                draft_field(d, op->input, command, field);
            else
                buffer_char(&d->sql, *s);
        }
        join = " AND ";
    }
    return join;
}

static void draft_order(struct draft *d, const struct operation *op, const void *command,
                        const char *row)
{
    const char *direction = op->ascending ? "ASC" : "DESC", *expression = "@.created_at";

    if (op->nsorts)
        expression = op->sorts[0].sql;
    if (op->nsorts && op->sort_field >= 0 && field_given(command, (size_t)op->sort_field)) {
        const char *wanted = *(const char *const *)field_of(command, &op->input->fields[op->sort_field]);

        for (size_t i = 0; i < op->nsorts; i++)
            if (strcmp(op->sorts[i].name, wanted) == 0)
                expression = op->sorts[i].sql;
    }
    if (op->nsorts && op->direction_field >= 0 && field_given(command, (size_t)op->direction_field))
        direction =
            strcmp(*(const char *const *)field_of(command, &op->input->fields[op->direction_field]),
                   "asc")
                ? "DESC"
                : "ASC";
    buffer_text(&d->sql, " ORDER BY ");
    for (const char *s = expression; *s; s++) {
        if (*s == '@')
            buffer_text(&d->sql, row);
        else
            buffer_char(&d->sql, *s);
    }
    buffer_printf(&d->sql, " %s, %s.id %s", direction, row, direction);
}

static void draft_page(struct draft *d, const struct operation *op, const struct actor *who,
                       const void *command, const struct page *page)
{
    const char *join;

    buffer_text(&d->sql, "(SELECT r.* FROM ");
    draft_call(d, op, op->call, who, command);
    buffer_text(&d->sql, " AS r");
    join = draft_filters(d, op, command);
    if (page->has_cursor) {
        buffer_printf(&d->sql, "%s(r.created_at, r.id) < (timestamptz 'epoch' + ", join);
        draft_param(d, p_i64(d->arena, page->cursor_us));
        buffer_text(&d->sql, "::bigint * interval '1 microsecond', ");
        draft_param(d, p_i64(d->arena, page->cursor_id));
        buffer_text(&d->sql, "::bigint)");
    }
    draft_order(d, op, command, "r");
    buffer_text(&d->sql, " LIMIT ");
    draft_param(d, p_i64(d->arena, page->limit));
    if (page->offset) {
        buffer_text(&d->sql, " OFFSET ");
        draft_param(d, p_i64(d->arena, page->offset));
    }
    buffer_char(&d->sql, ')');
}

static void draft_guard(struct draft *d, const struct operation *op, const struct actor *who,
                        const void *command)
{
    struct operation guard = *op;

    if (!op->guard)
        return;
    guard.nargs = 1;
    draft_call(d, &guard, op->guard, who, command);
    buffer_text(&d->sql, " AS g CROSS JOIN LATERAL ");
}

/* One row with the number of all rows that the filters let through; none when the guard finds nothing.
 */
static void draft_total(struct draft *d, const struct operation *op, const struct actor *who,
                        const void *command)
{
    buffer_text(&d->sql, "SELECT n.total FROM ");
    draft_keys(d, op, command);
    draft_guard(d, op, who, command);
    if (has_filter(op, command)) {
        buffer_text(&d->sql, "(SELECT count(*) FROM ");
        draft_call(d, op, op->call, who, command);
        buffer_text(&d->sql, " AS r");
        draft_filters(d, op, command);
        buffer_char(&d->sql, ')');
    } else {
        draft_call(d, op, op->total, who, command);
    }
    buffer_text(&d->sql, " AS n(total)");
}

/*
 * The total is a value beside the page, not a row to join it to: the page's order is then known to be
 * that of its index, and nothing is sorted again.
 */
static void draft_list(struct draft *d, const struct operation *op, const struct actor *who,
                       const struct asker *asker, const struct shape *shape, const void *command,
                       const struct page *page)
{
    buffer_text(&d->sql, "SELECT (");
    draft_total(d, op, who, command);
    buffer_printf(&d->sql, ") AS total, p.id, p.created_at, %s FROM ", columns_of(shape, "p.*"));
    draft_keys(d, op, command);
    draft_guard(d, op, who, command);
    draft_page(d, op, who, command, page);
    buffer_text(&d->sql, " AS p");
    if (shape->name) {
        buffer_text(&d->sql, " CROSS JOIN LATERAL ");
        draft_shape(d, shape, "p", who, asker);
    }
    draft_order(d, op, command, "p");
}

enum status operation_read(const struct operation *op, const struct actor *who,
                           const struct asker *asker, const struct shape *shape, const void *command,
                           const struct page *page, struct arena *a, struct sentence *ret,
                           struct fault *f)
{
    struct draft d = { .out = ret, .arena = a };

    ret->n = 0;
    if (op->kind == OP_LIST) {
        draft_list(&d, op, who, asker, shape, command, page);
    } else {
        buffer_printf(&d.sql, "SELECT %s FROM ", columns_of(shape, "r.*"));
        draft_keys(&d, op, command);
        draft_call(&d, op, op->call, who, command);
        buffer_text(&d.sql, " AS r");
        draft_row(&d, shape, who, asker);
    }
    return draft_done(&d, f);
}

enum status operation_total(const struct operation *op, const struct actor *who, const void *command,
                            struct arena *a, struct sentence *ret, struct fault *f)
{
    struct draft d = { .out = ret, .arena = a };

    ret->n = 0;
    draft_total(&d, op, who, command);
    return draft_done(&d, f);
}

/* How a row is read after a write; id NULL: the row that the write remembered. */
static enum status draft_reread(const struct operation *op, const struct actor *who,
                                const struct asker *asker, const struct shape *shape, const int64_t *id,
                                struct arena *a, struct sentence *ret, struct fault *f)
{
    struct draft d = { .out = ret, .arena = a };

    ret->n = 0;
    buffer_printf(&d.sql, "SELECT %s FROM %s(", columns_of(shape, "r.*"), op->read);
    draft_param(&d, p_text(actor_literal(who, a)));
    buffer_text(&d.sql, "::domain.actor, ");
    if (id)
        draft_param(&d, p_i64(a, *id));
    else
        buffer_text(&d.sql, "current_setting('fovea.row')::bigint");
    buffer_text(&d.sql, ") AS r");
    draft_row(&d, shape, who, asker);
    return draft_done(&d, f);
}

enum status operation_write(const struct operation *op, const struct actor *who,
                            const struct asker *asker, const struct shape *shape, const void *command,
                            struct arena *a, struct sentence *ret_write, struct sentence *ret_read,
                            struct fault *f)
{
    struct draft d = { .out = ret_write, .arena = a };
    enum status st;

    ret_write->n = 0;
    buffer_text(&d.sql, "SELECT ");
    draft_call(&d, op, op->call, who, command);
    if ((st = draft_done(&d, f)) != ST_OK)
        return st;
    *ret_read = (struct sentence){ 0 };
    return op->read ? draft_reread(op, who, asker, shape, NULL, a, ret_read, f) : ST_OK;
}

enum status operation_reread(const struct operation *op, const struct actor *who,
                             const struct asker *asker, const struct shape *shape, int64_t id,
                             struct arena *a, struct sentence *ret, struct fault *f)
{
    return draft_reread(op, who, asker, shape, &id, a, ret, f);
}
