-- Functions for tests, in the transaction of a file. Each prints one TAP line.
CREATE SCHEMA t;

CREATE FUNCTION t.ok(good boolean, name text, note text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN coalesce($1, false) THEN 'ok - ' || $2
                ELSE 'not ok - ' || $2 || coalesce(nullif(E'\n' || coalesce($3, 'NULL'), E'\n'), '') END $$;

CREATE FUNCTION t.is(got anyelement, want anyelement, name text) RETURNS text LANGUAGE sql AS $$
    SELECT t.ok($1 IS NOT DISTINCT FROM $2, $3, format('got %s, want %s', coalesce($1::text, 'NULL'), coalesce($2::text, 'NULL'))) $$;

-- The statement is refused with this SQLSTATE and, for our own codes, this column; for constraints, this constraint.
CREATE FUNCTION t.refuses(statement text, code text, what text, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    at    text;
    bound text;
BEGIN
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, at = COLUMN_NAME, bound = CONSTRAINT_NAME;
    END;
    RETURN t.ok(state = code AND coalesce(what, '') = CASE WHEN code LIKE 'FV%' THEN at ELSE bound END, name,
                format('got %s at "%s%s", want %s at "%s"', coalesce(state, 'no error'), at, bound, code, what));
END $$;

-- How many rows the query has; an error is -1, so that "no row" is not mistaken for a refusal.
CREATE FUNCTION t.rows(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM (' || query || ') AS q' INTO n;
    RETURN n;
END $$;

CREATE FUNCTION t.actor(handle text) RETURNS domain.actor LANGUAGE sql AS $$ SELECT x.* FROM domain.actor_of($1) AS x $$;

CREATE FUNCTION t.asker(handle text) RETURNS domain.asker LANGUAGE sql AS $$
    SELECT (x.account_id, x.organization_id, 'https://fovea.example/ultralytics')::domain.asker
      FROM domain.actor_of($1) AS x $$;

-- Keys of an object in their order.
CREATE FUNCTION t.keys(o json) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(k, ' ') FROM json_object_keys($1) AS k $$;

-- Two tenants, a guest and the administrator of the site: alice owns "Bridge", where erin edits and vera looks on.
CREATE PROCEDURE t.people() LANGUAGE plpgsql AS $$
DECLARE
    project bigint;
BEGIN
    PERFORM domain.account_create(h, h || '@example.org', initcap(h), 'enterprise', h = 'root-admin')
       FROM unnest(ARRAY['alice', 'erin', 'vera', 'mallory', 'root-admin']) AS h;
    project := domain.project_create(t.actor('alice'), 'Bridge', 'Cracks in concrete');
    PERFORM domain.member_set(t.actor('alice'), project, 'erin@example.org', 'editor');
    PERFORM domain.member_set(t.actor('alice'), project, 'vera@example.org', 'viewer');
    PERFORM set_config('t.project', project::text, true);
    PERFORM set_config('t.model', domain.model_create(t.actor('alice'), project, 'Best net', file_name => 'best.pt',
        digest => sha256('weights'), size => 1000, media_type => 'application/zip', task => 'detect',
        class_names => ARRAY['crack', 'rust'])::text, true);
END $$;

CREATE FUNCTION t.project() RETURNS bigint LANGUAGE sql AS $$ SELECT current_setting('t.project')::bigint $$;
CREATE FUNCTION t.model() RETURNS bigint LANGUAGE sql AS $$ SELECT current_setting('t.model')::bigint $$;
CREATE FUNCTION t.row_id() RETURNS bigint LANGUAGE sql AS $$ SELECT current_setting('fovea.row')::bigint $$;

GRANT USAGE ON SCHEMA t TO fovea_api;
