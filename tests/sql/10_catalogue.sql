-- What sql/README.md says of schemas, roles and functions, read from the catalogue.

CREATE TABLE t.function AS
SELECT n.nspname AS schema, p.oid, p.proname AS name, l.lanname AS language, p.provolatile AS volatility,
       p.prosecdef AS definer, p.proretset AS setof, p.proconfig AS config,
       pg_get_function_identity_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       pg_get_function_identity_arguments(p.oid) LIKE 'a domain.actor%' AS has_actor
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname IN ('domain', 'ultralytics', 'automl');

CREATE TABLE t.contract (name text, arguments text, result text);
\set contract :work '/contract.tsv'
COPY t.contract FROM :'contract';

SELECT t.ok(count(*) > 50, 'the contract names more than fifty functions', count(*)::text) FROM t.contract;
SELECT t.ok(f.oid IS NOT NULL, 'contract: ' || c.name || ' is as promised',
            (SELECT string_agg(format('is: %s(%s) %s', g.name, g.arguments, g.result), '; ')
               FROM t.function g WHERE g.schema = 'domain' AND g.name = c.name))
  FROM t.contract c
  LEFT JOIN t.function f ON f.schema = 'domain' AND f.name = c.name AND f.arguments = c.arguments
                        AND lower(f.result) = lower(c.result);
SELECT t.is(array_agg(DISTINCT f.name::text), NULL, 'every function that fovea_api may call is in the contract')
  FROM t.function f
 WHERE f.schema = 'domain' AND has_function_privilege('fovea_api', f.oid, 'EXECUTE') AND NOT EXISTS (SELECT 1 FROM t.contract c WHERE c.name = f.name);

-- Reads inline only as plain SQL sets.
SELECT t.is(array_agg(f.name::text ORDER BY f.name), NULL,
            'every read with an actor is LANGUAGE sql STABLE SETOF without SECURITY DEFINER or SET')
  FROM t.function f
 WHERE f.has_actor AND f.volatility <> 'v' AND f.schema = 'domain' AND f.name NOT IN ('idempotency_find', 'project_rank')
   AND NOT (f.language = 'sql' AND f.volatility = 's' AND f.setof AND NOT f.definer AND f.config IS NULL);
SELECT t.is(array_agg(f.name::text ORDER BY f.name), NULL,
            'every shape is LANGUAGE sql STABLE SETOF without SECURITY DEFINER or SET')
  FROM t.function f
 WHERE f.schema NOT IN ('domain') AND f.arguments LIKE '%domain.asker'
   AND NOT (f.language = 'sql' AND f.volatility = 's' AND f.setof AND NOT f.definer AND f.config IS NULL);
SELECT t.is(array_agg(f.name::text ORDER BY f.name), NULL,
            'no dialect has anything but pure SQL')
  FROM t.function f
 WHERE f.schema <> 'domain' AND (f.language <> 'sql' OR f.volatility = 'v' OR f.definer);
SELECT t.is(array_agg(f.name::text ORDER BY f.name), NULL,
            'every write that a contract names is plpgsql SECURITY DEFINER with a closed search path')
  FROM t.function f
 WHERE f.schema = 'domain' AND f.volatility = 'v'
   AND (f.has_actor OR f.definer) AND f.name NOT LIKE 'require\_%'
   AND NOT (f.language = 'plpgsql' AND f.definer AND f.config = ARRAY['search_path=pg_catalog, pg_temp']);
SELECT t.is(array_agg(f.name::text ORDER BY f.name), NULL, 'every SECURITY DEFINER function closes its search path')
  FROM t.function f
 WHERE f.definer AND f.config IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp'];

-- Rights.
SELECT t.ok(NOT has_schema_privilege('fovea_api', 'data', 'USAGE'), 'fovea_api may not use schema data');
SELECT t.is(array_agg(c.oid::regclass::text), NULL, 'fovea_api has no right on any table of data')
  FROM pg_class c
 WHERE c.relnamespace = 'data'::regnamespace AND c.relkind IN ('r', 'v', 'S')
   AND (has_table_privilege('fovea_api', c.oid, 'SELECT') OR has_table_privilege('fovea_api', c.oid, 'INSERT')
        OR has_table_privilege('fovea_api', c.oid, 'UPDATE') OR has_table_privilege('fovea_api', c.oid, 'DELETE'));
SELECT t.is(array_agg(c.oid::regclass::text), NULL, 'fovea_api may read the views of domain, and only read them')
  FROM pg_class c
 WHERE c.relnamespace = 'domain'::regnamespace AND c.relkind = 'v'
   AND NOT (has_table_privilege('fovea_api', c.oid, 'SELECT')
            AND NOT has_table_privilege('fovea_api', c.oid, 'INSERT')
            AND NOT has_table_privilege('fovea_api', c.oid, 'UPDATE')
            AND NOT has_table_privilege('fovea_api', c.oid, 'DELETE'));
SELECT t.is(array_agg(f.name::text ORDER BY f.name), ARRAY['blob_put', 'event_add', 'fail', 'project_erase', 'project_rank', 'remember',
            'require_context', 'require_model', 'require_model_quota', 'require_other_owner', 'require_project',
            'require_storage', 'slug_free',
            'slug_numbered', 'slug_of', 'slug_taken', 'weights_pardon'], 'fovea_api may not call the parts that check nothing')
  FROM t.function f
 WHERE NOT has_function_privilege('fovea_api', f.oid, 'EXECUTE');
SELECT t.is(array_agg(f.name::text), NULL, 'PUBLIC may call nothing')
  FROM t.function f
  JOIN pg_proc p USING (oid)
 WHERE EXISTS (SELECT 1 FROM aclexplode(p.proacl) x WHERE x.grantee = 0) OR p.proacl IS NULL;
SELECT t.is(array_agg(DISTINCT n.nspname || '.' || c.relname), NULL, 'fovea_owner owns every relation')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('data', 'domain', 'ultralytics', 'automl')
   AND pg_get_userbyid(c.relowner) <> 'fovea_owner';
SELECT t.is(count(*), 0::bigint, 'nothing in data depends on domain')
  FROM pg_depend d
  JOIN pg_class v ON v.oid = d.refobjid AND v.relnamespace = 'domain'::regnamespace
  JOIN pg_class c ON c.oid = d.objid AND c.relnamespace = 'data'::regnamespace;

-- Constraints.
CREATE TABLE t.broken AS
SELECT x.conname::text AS name FROM pg_constraint x
 WHERE x.connamespace = 'data'::regnamespace AND x.contype IN ('c', 'u', 'f', 'p', 'x')
   AND NOT (x.contype = 'p' AND x.conname LIKE '%\_pkey')
UNION
SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = 'data'::regnamespace AND i.indisunique AND NOT i.indisprimary;
SELECT t.is(array_agg(b.name ORDER BY b.name), NULL, 'every constraint of data has its fact')
  FROM t.broken b
 WHERE b.name NOT IN (SELECT f.name FROM domain.constraint_fact() f) AND b.name <> 'code_version_single';
SELECT t.is(array_agg(f.name ORDER BY f.name), NULL, 'every fact is of a constraint that exists')
  FROM domain.constraint_fact() f
 WHERE f.name NOT IN (SELECT b.name FROM t.broken b);
SELECT t.is(array_agg(f.name ORDER BY f.name), NULL, 'every fact has one of the codes and a sentence')
  FROM domain.constraint_fact() f
 WHERE f.code NOT IN ('FV400', 'FV403', 'FV404', 'FV409', 'FV413') OR length(f.sentence) < 8;
SELECT t.is(count(*), count(DISTINCT f.name), 'no fact is told twice') FROM domain.constraint_fact() f;
SELECT t.is(array_agg(x.conname::text), NULL, 'no constraint bears a name that PostgreSQL made up')
  FROM pg_constraint x
 WHERE x.connamespace = 'data'::regnamespace AND x.contype IN ('c', 'u', 'f')
   AND x.conname ~ '_(check|key|fkey|not_null)[0-9]*$' AND x.conname NOT LIKE '%_key_taken' AND x.conname NOT LIKE 'job_%';
SELECT t.is(array_agg(x.conrelid::regclass || '.' || x.conname), NULL, 'every foreign key can be followed backwards by an index')
  FROM pg_constraint x
 WHERE x.connamespace = 'data'::regnamespace AND x.contype = 'f'
   AND x.confrelid NOT IN ('data.account'::regclass, 'data.organization'::regclass, 'data.plan'::regclass)
   AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = x.conrelid AND i.indkey[0] = x.conkey[1]);
