-- 1,000,000 projects of 200 organizations, set by set, as the owner of the schema: the triggers keep the counters. The
-- organization :owner, as which the benchmark asks, holds 94 of 100; one row in a hundred is in the trash. Ages differ by
-- row, so that a cursor has something to stand on. Indexes that only speed up reading are made again afterwards.
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
BEGIN;

-- A plan with a limit, so that the counting of requests is part of what is measured.
UPDATE data.plan SET per_day = 1000000 WHERE name = 'enterprise';

INSERT INTO data.organization (handle, name)
SELECT 'bench-' || to_char(n, 'FM0000'), 'Bench ' || n
  FROM generate_series(1, 199) AS n;

INSERT INTO data.label_set (name) VALUES ('bench');

CREATE TEMPORARY TABLE later AS
SELECT i.indexrelid::regclass AS name, pg_get_indexdef(i.indexrelid) AS definition
  FROM pg_index i
 WHERE i.indrelid = 'data.project'::regclass
   AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid);
SELECT format('DROP INDEX %s', l.name) FROM later l \gexec

WITH tenant AS (
    SELECT array_agg(o.id ORDER BY o.id) AS ids FROM data.organization o WHERE o.handle LIKE 'bench-%'
)
INSERT INTO data.project (organization_id, label_set_id, name, slug, description, tags, license, created_at, updated_at,
                          deleted_at)
SELECT CASE WHEN n % 100 < 94 THEN :owner ELSE t.ids[1 + n % 199] END, (SELECT max(s.id) FROM data.label_set s),
       'Line ' || n % 97 || ' camera ' || n, 'line-' || n, 'Parts seen by camera ' || n || ' at the end of the line',
       ARRAY['line-' || n % 97, 'night'], 'CC-BY-4.0', timestamptz '2025-01-01' + n * interval '30 seconds',
       timestamptz '2025-01-01' + n * interval '31 seconds', CASE WHEN n % 100 = 10 THEN now() END
  FROM generate_series(1, 1000000) AS n, tenant t;

SELECT l.definition FROM later l \gexec
COMMIT;
