/* Typed commands: what the record's table refuses, and that absent differs from null. */
#include "domain/operations.h"
#include "domain/operation.h"
#include "tests/unit/test.h"

static struct project_create named(const char *name)
{
    struct project_create c = { .name = name };

    field_mark(&c, FIELD(project_create, name));
    return c;
}

static enum status check(const struct project_create *c, struct fault *f)
{
    *f = FAULT_INIT;
    return command_check(&project_create_record, c, f);
}

TEST(a_required_field_must_be_given)
{
    struct project_create c = { 0 };
    struct fault f;

    CHECK_I64(check(&c, &f), ST_INVALID);
    CHECK_STR(f.field, "name");
    CHECK_STR(f.detail, "is required");
}

TEST(a_name_is_neither_blank_nor_long_nor_of_two_lines)
{
    char hundred[101], long_name[102], umlauts[201];
    struct project_create c;
    struct fault f;

    memset(hundred, 'a', 100);
    hundred[100] = '\0';
    memset(long_name, 'a', 101);
    long_name[101] = '\0';
    for (int i = 0; i < 100; i++)
        memcpy(umlauts + 2 * i, "\xC3\xA4", 2);
    umlauts[200] = '\0';
    c = named(" \t ");
    CHECK_I64(check(&c, &f), ST_INVALID);
    c = named(long_name);
    CHECK_I64(check(&c, &f), ST_INVALID);
    c = named("two\nlines");
    CHECK_I64(check(&c, &f), ST_INVALID);
    c = named(hundred);
    CHECK_I64(check(&c, &f), ST_OK);
    c = named(umlauts); /* characters are counted, not bytes */
    CHECK_I64(check(&c, &f), ST_OK);
}

TEST(null_is_accepted_only_where_it_means_something)
{
    struct project_create c = named("a");
    struct fault f;

    field_mark(&c, FIELD(project_create, description));
    c.given.null |= 1U << FIELD(project_create, description);
    CHECK_I64(check(&c, &f), ST_OK);
    c.given.null |= 1U << FIELD(project_create, name);
    CHECK_I64(check(&c, &f), ST_INVALID);
    CHECK_STR(f.detail, "must not be null");
}

TEST(an_unknown_word_is_refused_with_the_known_ones)
{
    struct project_create c = named("a");
    struct fault f;

    c.visibility = "secret";
    field_mark(&c, FIELD(project_create, visibility));
    CHECK_I64(check(&c, &f), ST_INVALID);
    CHECK(strstr(f.detail, "private, public") != NULL);
    CHECK(strstr(f.detail, "secret") != NULL);
}

TEST(a_list_without_filters_asks_for_the_kept_total)
{
    struct arena *a = arena_create(1 << 20);
    const struct actor who = { 1, 2, 3, 4, false };
    const struct asker asker = { "https://h" };
    const struct shape shape = { "ultralytics", "project", NULL };
    const struct page page = { .limit = 20 };
    struct project_list c = { 0 };
    struct sentence s;
    struct fault f = FAULT_INIT;

    REQUIRE(operation_read(&op_project_list, &who, &asker, &shape, &c, &page, a, &s, &f) == ST_OK);
    CHECK(strstr(s.sql, "domain.project_total($1::domain.actor) AS n(total)") != NULL);
    CHECK(strstr(s.sql, "WHERE") == NULL);
    CHECK(strstr(s.sql, "OFFSET") == NULL);
    CHECK_STR(s.params[0].text, "(1,2,3,4,f)");
    c.slug = "x";
    field_mark(&c, FIELD(project_list, slug));
    REQUIRE(operation_read(&op_project_list, &who, &asker, &shape, &c, &page, a, &s, &f) == ST_OK);
    CHECK(strstr(s.sql, "count(*)") != NULL);
    CHECK(strstr(s.sql, "r.slug = $") != NULL);
    arena_free(a);
}

TEST(input_never_becomes_part_of_a_sentence)
{
    struct arena *a = arena_create(1 << 20);
    const struct actor who = { 1, 2, 3, 4, false };
    const struct asker asker = { "https://h" };
    const struct shape shape = { "automl", "project_brief", NULL };
    struct project_create c = named("'; DROP TABLE data.project; --");
    struct sentence w, r;
    struct fault f = FAULT_INIT;

    REQUIRE(operation_write(&op_project_create, &who, &asker, &shape, &c, a, &w, &r, &f) == ST_OK);
    CHECK(strstr(w.sql, "DROP") == NULL);
    CHECK_STR(w.params[1].text, c.name);
    CHECK(strstr(r.sql, "current_setting('fovea.row')::bigint") != NULL);
    arena_free(a);
}

TEST(a_reference_is_looked_up_by_its_own_spelling)
{
    struct arena *a = arena_create(1 << 20);
    const struct actor who = { 1, 2, 3, 4, false };
    const struct asker asker = { "https://h" };
    const struct shape shape = { "automl", "project", NULL };
    struct project_ref c = { .project = { .kind = REF_UUID, .uuid = "u" } };
    struct sentence s;
    struct fault f = FAULT_INIT;

    field_mark(&c, 0);
    REQUIRE(operation_read(&op_project_get, &who, &asker, &shape, &c, NULL, a, &s, &f) == ST_OK);
    CHECK(strstr(s.sql, "FROM (SELECT v.id FROM domain.project AS v WHERE v.uuid = $1) AS k0, LATERAL "
                        "domain.project_get($2::domain.actor, k0.id)") != NULL);
    c.project = (struct ref){ .kind = REF_STAMPED, .id = 5, .stamp = 6 };
    REQUIRE(operation_read(&op_project_get, &who, &asker, &shape, &c, NULL, a, &s, &f) == ST_OK);
    CHECK(strstr(s.sql, "v.id = $1 AND v.stamp = $2") != NULL);
    c.project = (struct ref){ .kind = REF_UNKNOWN };
    REQUIRE(operation_read(&op_project_get, &who, &asker, &shape, &c, NULL, a, &s, &f) == ST_OK);
    CHECK(strstr(s.sql, "NULL::bigint") != NULL);
    arena_free(a);
}

TEST(an_address_is_something_at_something)
{
    static const struct {
        const char *email;
        enum status status;
    } cases[] = {
        { "a@b", ST_OK },        { " Ann@Example.org ", ST_OK }, { "\xC3\xA4@b", ST_OK },
        { "a", ST_INVALID },     { "@b", ST_INVALID },           { "a@", ST_INVALID },
        { "a@b@c", ST_INVALID }, { "a b@c", ST_INVALID },        { "a@b c", ST_INVALID },
        { "a@b ,", ST_INVALID },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct member_set c = { .project = { .kind = REF_UUID, .uuid = "u" }, .email = cases[i].email };
        struct fault f = FAULT_INIT;

        field_mark(&c, FIELD(member_set, project));
        field_mark(&c, FIELD(member_set, email));
        CHECK_I64(command_check(&member_set_record, &c, &f), cases[i].status);
    }
}
