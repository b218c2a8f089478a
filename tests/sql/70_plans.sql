-- How the hot sentences run: with two tenants of 20,000 projects each, under generic plans, as the API's role. No node may
-- touch more rows than some pages, whatever it is called; no function may be left that was not inlined.
CALL t.people();
INSERT INTO data.label_set SELECT FROM generate_series(1, 40000);
INSERT INTO data.project (organization_id, label_set_id, name, slug, created_by, created_at, dataset_count)
SELECT (a.who).organization_id, s.id, 'Project ' || s.n % 1000, 'project-' || s.n, (a.who).account_id, now() - s.n * interval '1 second', s.n % 50
  FROM (SELECT row_number() OVER (ORDER BY id DESC) AS n, id FROM data.label_set ORDER BY id DESC LIMIT 40000) s
  JOIN (VALUES (0, t.actor('alice')), (1, t.actor('mallory'))) AS a (half, who) ON a.half = s.n % 2;
INSERT INTO data.project_member (project_id, account_id, role)
SELECT p.id, p.created_by, 'owner' FROM data.project p WHERE p.slug LIKE 'project-%';
INSERT INTO data.project_member (project_id, account_id, role)
SELECT p.id, (t.actor('alice')).account_id, 'viewer' FROM data.project p
 WHERE p.organization_id = (t.actor('mallory')).organization_id ORDER BY p.id LIMIT 30;
INSERT INTO data.model (project_id, organization_id, name, slug, created_at)
SELECT p.id, p.organization_id, 'net', 'net', p.created_at FROM data.project p WHERE p.slug LIKE 'project-%';
INSERT INTO data.event (organization_id, account_id, project_id, action, noun, noun_id, message, created_at, archived_at)
SELECT p.organization_id, p.created_by, p.id, 'created', 'project', p.id, 'made', p.created_at, CASE WHEN p.id % 3 = 0 THEN now() END
  FROM data.project p WHERE p.slug LIKE 'project-%';
ANALYZE data.project, data.project_member, data.model, data.event, data.counter, data.account, data.organization, data.membership, data.api_key;
INSERT INTO data.api_key (account_id, organization_id, name, hash, display, scopes)
SELECT (t.actor('alice')).account_id, (t.actor('alice')).organization_id, 'k', sha256(n::text::bytea), 'x', '{read}' FROM generate_series(1, 5000) n;
ANALYZE data.api_key;

-- The greatest number of rows that one node of a plan read, kept or sorted.
CREATE FUNCTION t.touched(node jsonb) RETURNS numeric LANGUAGE sql AS $$
    SELECT greatest(
        ((node ->> 'Actual Rows')::numeric + coalesce((node ->> 'Rows Removed by Filter')::numeric, 0)
         + coalesce((node ->> 'Rows Removed by Index Recheck')::numeric, 0)
         + coalesce((node ->> 'Rows Removed by Join Filter')::numeric, 0)) * (node ->> 'Actual Loops')::numeric,
        (SELECT max(t.touched(c)) FROM jsonb_array_elements(coalesce(node -> 'Plans', '[]')) AS c)) $$;
CREATE FUNCTION t.plan(sentence text, VARIADIC arguments text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'PREPARE hot AS ' || sentence;
    EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE hot('
            || (SELECT string_agg(quote_literal(x), ', ') FROM unnest(arguments) x) || ')' INTO plan;
    DEALLOCATE hot;
    RETURN plan -> 0 -> 'Plan';
END $$;
CREATE FUNCTION t.hot(name text, at_most numeric, sentence text, VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb := t.plan(sentence, VARIADIC arguments);
BEGIN
    RETURN t.ok(t.touched(plan) <= at_most AND plan::text NOT LIKE '%Function Scan%', name,
                format('a node touches %s rows; %s', t.touched(plan), jsonb_pretty(plan)));
END $$;
-- The list sentence as C composes it.
CREATE FUNCTION t.page(list text, total text, shape text, sort text, direction text, cursor boolean DEFAULT false) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT n.total, p.id, p.created_at, s.* FROM domain.%1$s($1::domain.actor) AS n(total)
                   LEFT JOIN (SELECT r.* FROM domain.%2$s($1::domain.actor) AS r
                              %7$s ORDER BY %3$s %5$s, r.id %5$s LIMIT $3::bigint) AS p ON true
                   LEFT JOIN LATERAL %4$s(p, $2::domain.asker) AS s ON p.id IS NOT NULL
                   ORDER BY %6$s %5$s, p.id %5$s',
                  $2, $1, replace($4, '@', 'r'), $3, $5, replace($4, '@', 'p'),
                  CASE WHEN $6 THEN 'WHERE (r.created_at, r.id) < ($4::timestamptz, $5::bigint)' ELSE '' END) $$;
SELECT t.actor('alice')::text AS actor, t.asker('alice')::text AS asker, (now() - interval '30000 seconds')::text AS deep \gset
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
SET LOCAL ROLE fovea_api;
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL jit = off;

SELECT t.hot('Ultralytics projects, newest first', 200, t.page('project_list', 'project_total', 'ultralytics.project', '@.created_at', 'DESC'), :'actor', :'asker', '20');
SELECT t.hot('and far down, by cursor', 200, t.page('project_list', 'project_total', 'ultralytics.project', '@.created_at', 'DESC', true), :'actor', :'asker', '20', :'deep', '0');
SELECT t.hot('AutoML projects, newest first, with some shared', 200, t.page('project_shared', 'project_shared_total', 'automl.project', '@.created_at', 'DESC'), :'actor', :'asker', '20');
SELECT t.hot('and far down, by cursor', 200, t.page('project_shared', 'project_shared_total', 'automl.project', '@.created_at', 'DESC', true), :'actor', :'asker', '20', :'deep', '0');
SELECT t.hot('projects by ' || w.sort || ' ' || d.direction, 200, t.page('project_list', 'project_total', 'automl.project', w.sort, d.direction), :'actor', :'asker', '20')
  FROM unnest(ARRAY['lower(@.name)', '@.dataset_count', '@.model_count', '@.experiment_count', '@.created_at']) AS w (sort),
       (VALUES ('ASC'), ('DESC')) AS d (direction);
SELECT t.hot('AutoML projects by ' || w.sort, 200, t.page('project_shared', 'project_shared_total', 'automl.project', w.sort, 'DESC'), :'actor', :'asker', '20')
  FROM unnest(ARRAY['lower(@.name)', '@.dataset_count', '@.model_count', '@.experiment_count']) AS w (sort);
SELECT t.hot('models, newest first', 200, t.page('model_list', 'model_total', 'ultralytics.model', '@.created_at', 'DESC'), :'actor', :'asker', '20');
SELECT t.hot('API keys, newest first', 200, t.page('api_key_list', 'api_key_total', 'ultralytics.api_key', '@.created_at', 'DESC'), :'actor', :'asker', '20');
SELECT t.hot('another''s projects, newest first: of 20,000 that he must not see none', 21000,
             'SELECT s.* FROM (SELECT r.* FROM domain.project_of($1::domain.actor, $3) AS r ORDER BY r.created_at DESC, r.id DESC LIMIT 20) p,
              LATERAL ultralytics.project(p, $2::domain.asker) AS s', (SELECT t.actor('erin')::text), :'asker', 'mallory');
SELECT t.hot('an own account''s, by its name', 200,
             'SELECT s.* FROM (SELECT r.* FROM domain.project_of($1::domain.actor, $3) AS r ORDER BY r.created_at DESC, r.id DESC LIMIT 20) p,
              LATERAL ultralytics.project(p, $2::domain.asker) AS s', :'actor', :'asker', 'alice');
SELECT t.hot('models of one project', 50, 'SELECT s.* FROM (SELECT r.* FROM domain.model_list($1::domain.actor) AS r WHERE r.project_id = $3::bigint ORDER BY r.created_at DESC, r.id DESC LIMIT 20) p,
              LATERAL ultralytics.model(p, $2::domain.asker) AS s', :'actor', :'asker', t.project()::text);
SELECT t.hot('events that are not archived, newest first', 200, 'SELECT s.* FROM (SELECT r.* FROM domain.event_list($1::domain.actor) AS r WHERE r.archived = $3::boolean ORDER BY r.created_at DESC, r.id DESC LIMIT 20) p,
              LATERAL ultralytics.event(p, $2::domain.asker) AS s', :'actor', :'asker', 'false');
SELECT t.hot(f || ' reads sixteen shards at most', 50, 'SELECT n FROM domain.' || f || '($1::domain.actor) AS x(n)', :'actor')
  FROM unnest(ARRAY['project_total', 'model_total', 'event_total', 'event_unseen', 'api_key_total']) AS f;
SELECT t.hot('project_shared_total reads what is shared, not what is owned', 100, 'SELECT n FROM domain.project_shared_total($1::domain.actor) AS x(n)', :'actor');
SELECT t.hot('one project by uuid', 50, 'SELECT s.* FROM (SELECT v.id FROM domain.project v WHERE v.uuid = $3::uuid) AS k, LATERAL domain.project_get($1::domain.actor, k.id) AS r,
              LATERAL automl.project(r, $2::domain.asker) AS s', :'actor', :'asker', p.uuid::text) FROM domain.project p WHERE p.id = t.project();
SELECT t.hot('one project by its 24 digits', 50, 'SELECT s.* FROM (SELECT v.id FROM domain.project v WHERE v.id = $3 AND v.stamp = $4) AS k, LATERAL domain.project_get($1::domain.actor, k.id) AS r,
              LATERAL ultralytics.project(r, $2::domain.asker) AS s', :'actor', :'asker', p.id::text, p.stamp::text) FROM domain.project p WHERE p.id = t.project();
SELECT t.hot('one model', 50, 'SELECT s.* FROM domain.model_get($1::domain.actor, $3::bigint) AS r, LATERAL ultralytics.model(r, $2::domain.asker) AS s', :'actor', :'asker', t.model()::text);
SELECT t.hot('a key is found by its hash', 20, 'SELECT k.* FROM domain.key_find($1::bytea) AS k', '\x' || encode(sha256('17'), 'hex'));
SELECT t.hot('a signed link is followed', 20, 'SELECT o.* FROM domain.media_object($1::text, $2::bigint) AS o', 'weights', '1');
SELECT t.hot('members of a project', 50, 'SELECT s.* FROM domain.member_list($1::domain.actor, $3::bigint) AS r, LATERAL automl.member(r, $2::domain.asker) AS s', :'actor', :'asker', t.project()::text);

-- The measure itself must be able to fail.
SELECT t.ok(t.touched(t.plan('SELECT p.name FROM domain.project p WHERE p.description = $1', 'x')) > 10000, 'a sequential scan would be noticed');
