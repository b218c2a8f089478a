-- What signed links lead to, what an organization stores, and requests that are sent twice.

CREATE FUNCTION domain.media_object(purpose text, id bigint)
RETURNS TABLE (tenant bigint, digest bytea, size bigint, media_type text) LANGUAGE sql STABLE AS $$
    SELECT f.organization_id, f.digest, f.size, f.media_type
      FROM domain.model_file f
     WHERE $1 = 'weights' AND f.id = $2
    UNION ALL
    SELECT d.organization_id, i.digest, b.size, b.media_type
      FROM domain.item i
      JOIN domain.dataset d ON d.id = i.dataset_id
      JOIN domain.blob b ON b.digest = i.digest
     WHERE $1 = 'image' AND i.id = $2 $$;

-- Adds n downloads; callers may count in memory and write in lots.
CREATE FUNCTION domain.media_downloaded(purpose text, id bigint, n bigint DEFAULT 1) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.counter AS c (scope_kind, scope_id, noun, shard, n)
    SELECT 'model_file', f.id, 'download', data.shard(), $3
      FROM data.model_file f
     WHERE $1 = 'weights' AND f.id = $2
        ON CONFLICT ON CONSTRAINT counter_taken DO UPDATE SET n = c.n + excluded.n;
END $$;

CREATE FUNCTION domain.storage_get(a domain.actor) RETURNS SETOF domain.storage LANGUAGE sql STABLE AS $$
    SELECT s.*
      FROM domain.storage s
     WHERE s.id = (a).organization_id AND EXISTS (SELECT 1 FROM domain.context(a)) $$;

-- The row that the same request made before.
CREATE FUNCTION domain.idempotency_find(a domain.actor, key text, route text, digest bytea) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made domain.idempotency_key;
BEGIN
    SELECT k.* INTO made FROM domain.idempotency_key k WHERE k.account_id = (a).account_id AND k.key = $2;
    IF made.row_id IS NULL THEN
        RETURN;
    ELSIF made.route <> $3 OR made.digest <> $4 THEN
        RAISE EXCEPTION USING ERRCODE = 'FV409', COLUMN = 'idempotency_key',
                              MESSAGE = 'This Idempotency-Key was used for another request';
    END IF;
    RETURN NEXT made.row_id;
END $$;

-- After the write, in its transaction. A twin that runs at the same time waits here and is refused, write and all.
CREATE FUNCTION domain.idempotency_store(a domain.actor, key text, route text, digest bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.idempotency_key (account_id, key, route, digest, row_id)
    VALUES ((a).account_id, $2, $3, $4, current_setting('fovea.row')::bigint);
END $$;
