# Counters under many sessions at once: eight of them create, upload, trash and purge in the same projects; then every
# counter must equal a recount. Sourced by run.sh, prints TAP without numbers.

test_load() {
  local errors

  sql fovea > /dev/null << 'END'
    SELECT domain.account_create('load-1', 'load@example.org', 'L', 'enterprise');
    SELECT domain.project_create(a, 'first') FROM domain.actor_of('load-1') a, generate_series(1, 4);
    SELECT domain.blob_put(sha256('same'), 4, 'image/png');
    CREATE SCHEMA load;
    CREATE TABLE load.outcome (what text, n int);

    -- One random step. A project may go away under it: then the step has no effect, and says so.
    CREATE FUNCTION load.step() RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        a    domain.actor;
        p    bigint;
        live bigint;
        dice int := random() * 100;
        got  text := 'done';
        note text;
        place text;
    BEGIN
        SELECT x.* INTO a FROM domain.actor_of('load-1') x;
        SELECT q.id, count(*) OVER () INTO p, live FROM domain.project_list(a) q ORDER BY random() LIMIT 1;
        BEGIN
            IF dice <= 15 OR live < 5 THEN
                PERFORM domain.project_create(a, 'same name');
            ELSIF dice <= 45 THEN
                PERFORM domain.model_create(a, p, 'same model', file_name => 'm.pt', digest => sha256((dice % 7)::text::bytea), size => dice);
            ELSIF dice <= 80 THEN
                INSERT INTO data.item (dataset_id, digest, bytes, name, width, height)
                VALUES (domain.dataset_default(a, p), sha256('same'), dice, 'x', 1, 1);
            ELSIF dice <= 90 THEN
                UPDATE data.item i SET deleted_at = now()
                 WHERE i.id = (SELECT min(j.id) FROM data.item j JOIN data.dataset d ON d.id = j.dataset_id
                                WHERE d.project_id = p AND j.deleted_at IS NULL);
            ELSIF dice <= 95 THEN
                PERFORM domain.project_trash(a, p);
            ELSE
                PERFORM domain.project_purge(a, p);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS note = PG_EXCEPTION_DETAIL, place = PG_EXCEPTION_CONTEXT;
            got := translate(SQLSTATE || ' ' || SQLERRM || ' ' || note || ' ' || place, E'\n', ' ');
        END;
        INSERT INTO load.outcome VALUES (got, dice);
    END $$;
END
  echo "SELECT load.step();" > "$work/step.sql"
  errors=$("$bin/pgbench" -n -c 8 -j 2 -t 300 -f "$work/step.sql" -h "$work" -U postgres fovea 2>&1 | grep ERROR)
  errors+=$(sql fovea -c "SELECT n, what FROM load.outcome
                           WHERE what <> 'done' AND what NOT LIKE 'FV404%' AND what NOT LIKE '23503%item_dataset_missing%'")
  [ -z "$errors" ]; result $? "eight sessions at once meet nothing but projects that went meanwhile"
  [ -z "$errors" ] || head -n 5 <<< "$errors"
  [ "$(sql fovea -c "SELECT count(*) > 500 FROM load.outcome WHERE what = 'done'")" = t ]; result $? "and get most of their work done"
  errors=$(sql fovea -c "SELECT * FROM domain.counter_drift()")
  [ -z "$errors" ]; result $? "every counter equals a recount"
  [ -z "$errors" ] || head -n 5 <<< "$errors"
  [ "$(sql fovea -c "SELECT count(*) FROM data.model m JOIN data.project p ON p.id = m.project_id
                      WHERE m.deleted_at IS NULL AND p.deleted_at IS NOT NULL")" = 0 ]
  result $? "no model lives in a project that is in the trash"
}
