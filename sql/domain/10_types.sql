-- Who asks, how a refusal is raised, and what the constraints of `data` mean to a client.

-- scopes: bits 1 training, 2 models, 4 datasets, 8 read, 16 write, 32 predict, 64 admin.
CREATE TYPE domain.actor AS (account_id bigint, organization_id bigint, key_id bigint, scopes integer, site_admin boolean);
CREATE TYPE domain.asker AS (account_id bigint, organization_id bigint, base_url text);

CREATE FUNCTION domain.fail(code text, field text, message text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, COLUMN = field, MESSAGE = message;
END $$;

-- The row that the read after a write shows.
CREATE FUNCTION domain.remember(id bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT set_config('fovea.row', $1::text, true)::bigint $$;

CREATE FUNCTION domain.scope_bits(scopes text[]) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT ('training' = ANY ($1))::integer + 2 * ('models' = ANY ($1))::integer + 4 * ('datasets' = ANY ($1))::integer
         + 8 * ('read' = ANY ($1))::integer + 16 * ('write' = ANY ($1))::integer + 32 * ('predict' = ANY ($1))::integer
         + 64 * ('admin' = ANY ($1))::integer $$;

-- Lower case; everything but letters, digits, blanks and hyphens is deleted; blanks become single hyphens.
CREATE FUNCTION domain.slug_of(name text, otherwise text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(nullif(btrim(left(btrim(regexp_replace(
               regexp_replace(lower($1 COLLATE "C"), '[^a-z0-9 \t\n\v\f\r-]', '', 'g'),
               '[ \t\n\v\f\r-]+', '-', 'g'), '-'), 128), '-'), ''), $2) $$;
