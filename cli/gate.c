/*
 * The accuracy gate from the shell: tries the cheaper precisions of this processor on a model now,
 * instead of when a worker comes to it; and the list of models with what automatic precision is here.
 */
#include "cli/gate.h"

#include <stdio.h>
#include "base/version.h"
#include "domain/precision_gate.h"

enum status stored_weights(struct cli *c, struct db *db, struct calibration_subject *ret,
                           struct fault *f)
{
    const struct param model = p_text(c->argument);
    PGresult *r = NULL;
    enum status st = db_read(db,
                             "SELECT x.id, s.digest, s.held FROM domain.model AS m"
                             " JOIN domain.model_file AS x ON x.model_id = m.id,"
                             " LATERAL domain.precision_subject(x.id) AS s WHERE " MODEL_ID " = $1",
                             &model, 1, &r, f);

    if (st == ST_OK && (PQntuples(r) == 0 || !row_bytes(r, 0, 1, ret->weights.bytes, DIGEST_BYTES)))
        st = fault_set(f, ST_NOT_FOUND, "model", "no model with weights that can be run has this id");
    if (st == ST_OK) {
        ret->file = row_i64(r, 0, 0);
        ret->held = row_i64(r, 0, 2);
    }
    PQclear(r);
    return st;
}

static enum status print_verdicts(struct cli *c, int64_t file, struct fault *f)
{
    static const char sql[] =
        "SELECT v.precision, v.verdict, concat_ws(' ', v.cpu, v.release, v.precision) = ANY (c)"
        " AS automatic, v.reason, v.evidence, v.pictures, v.findings, v.agreeing,"
        " round(v.worst_likeness::numeric, 4) AS worst_iou,"
        " round(v.worst_difference::numeric, 4) AS worst_score_difference,"
        " round(v.f32_ms::numeric, 2) AS f32_ms, round(v.candidate_ms::numeric, 2) AS ms,"
        " v.cpu, v.release, v.checked_at"
        " FROM domain.precision_verdict AS v, domain.precision_choices($1) AS c"
        " WHERE v.model_file_id = $1 ORDER BY v.cpu, v.precision";
    const struct param id = p_i64(c->arena, file);

    return cli_list(c, sql, &id, 1, f);
}

/* Before the table: "layers 66, worst model.22/conv 6e-05, avoided none". */
static enum status print_check(struct cli *c, struct db *db, int64_t file, struct fault *f)
{
    static const char sql[] =
        "SELECT concat(CASE WHEN p.layers = 0 THEN 'not checked'"
        " ELSE format('layers %s, worst %s %s, avoided %s', p.layers, p.worst_layer,"
        " ltrim(to_char(p.worst_difference, '9.9EEEE')),"
        " coalesce(nullif(cardinality(string_to_array(p.avoided, ' ')), 0)::text, 'none')) END,"
        " ', wrong ' || nullif(p.wrong, 0), ': ' || p.reason)"
        " FROM domain.plan_check AS p WHERE p.model_file_id = $1 AND p.cpu = $2";
    char cpu[PRECISION_CPU];
    const struct param params[] = { p_i64(c->arena, file), p_text(precision_cpu(cpu)) };
    PGresult *r = NULL;
    const enum status st = db_read(db, sql, params, 2, &r, f);

    if (st == ST_OK && PQntuples(r) && !c->json)
        puts(row_text(r, 0, 0));
    PQclear(r);
    return st;
}

enum status gate_run(struct cli *c, struct fault *f)
{
    char cpu[PRECISION_CPU];
    struct store *store;
    struct db *db;
    struct calibration_subject subject;
    int tried = 0;
    enum status st;

    if ((st = cli_db(c, &db, f)) != ST_OK || (st = cli_store(c, &store, f)) != ST_OK ||
        (st = stored_weights(c, db, &subject, f)) != ST_OK ||
        (st = precision_gate(db, store, subject.file, NULL, &tried, f)) != ST_OK ||
        (st = print_check(c, db, subject.file, f)) != ST_OK)
        return st;
    if (!tried)
        cli_say("%s computes in nothing cheaper than f32: automatic precision is f32",
                precision_cpu(cpu));
    return print_verdicts(c, subject.file, f);
}

enum status gate_list(struct cli *c, struct fault *f)
{
    static const char sql[] =
        "SELECT " MODEL_ID " AS id, m.name, o.handle AS owner, m.task, m.architecture,"
        " m.runnable AND w.digest IS NULL AS runnable, x.size,"
        " coalesce((SELECT split_part(t, ' ', 3) FROM unnest(domain.precision_choices(x.id)) AS t"
        " WHERE starts_with(t, $1)), 'f32') AS automatic,"
        " (SELECT string_agg(concat(v.precision, ' ', v.verdict), ', ' ORDER BY v.precision)"
        " FROM domain.precision_verdict AS v WHERE v.model_file_id = x.id"
        " AND starts_with($1, concat_ws(' ', v.cpu, v.release, ''))) AS verdicts"
        " FROM domain.model AS m JOIN domain.organization AS o ON o.id = m.organization_id"
        " LEFT JOIN domain.model_file AS x ON x.model_id = m.id AND x.purpose = 'weights'"
        " LEFT JOIN domain.condemned_weights AS w ON w.digest = x.digest"
        " ORDER BY m.id";
    char cpu[PRECISION_CPU], here[PRECISION_CPU + 40] = "";
    const struct param param = p_text(here);

    snprintf(here, sizeof here, "%s " FOVEA_VERSION " ", precision_cpu(cpu));
    return cli_list(c, sql, &param, 1, f);
}
