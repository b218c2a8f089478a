-- For the worker and the administration command; no actor, no request reaches these.

CREATE FUNCTION domain.account_create(handle text, email text, name text, plan text, site_admin boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account      bigint;
    organization bigint;
BEGIN
    IF $1 ~ '^[0-9a-f]{24}$' OR $1 = ANY (ARRAY['api', 'settings', 'explore', 'docs', 'datasets', 'projects', 'models',
            'login', 'ingest', 'completed', 'bulk', 'urls', 'start', 'empty', 'media', 'deployments', 'training',
            'exports', 'trash', 'activity', 'billing', 'storage', 'healthz', 'readyz', 'metrics', 'ultralytics', 'automl',
            'cvat', 'geti', 'roboflow']) THEN
        PERFORM domain.fail('FV400', 'handle', 'This handle is reserved');
    END IF;
    INSERT INTO data.account (username, email, name, site_admin)
    VALUES ($1, btrim($2), coalesce($3, ''), coalesce($5, false))
    RETURNING id INTO account;
    INSERT INTO data.organization (account_id, handle, name, plan)
    VALUES (account, $1, left(coalesce($3, ''), 100), coalesce($4, 'enterprise'))
    RETURNING id INTO organization;
    INSERT INTO data.membership (organization_id, account_id, role) VALUES (organization, account, 'owner');
    RETURN domain.remember(account);
END $$;

CREATE FUNCTION domain.account_set_plan(handle text, plan text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bigint;
BEGIN
    UPDATE data.organization o
       SET plan = $2, updated_at = now()
     WHERE o.handle = $1 AND o.deleted_at IS NULL
    RETURNING o.account_id INTO account;
    IF NOT FOUND THEN
        PERFORM domain.fail('FV404', 'handle', 'User not found');
    END IF;
    RETURN account;
END $$;

-- NULL: as it is.
CREATE FUNCTION domain.account_set_state(handle text, suspended boolean DEFAULT NULL, site_admin boolean DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bigint;
BEGIN
    UPDATE data.account c
       SET suspended_at = CASE WHEN $2 IS NULL THEN c.suspended_at WHEN $2 THEN coalesce(c.suspended_at, now()) END,
           site_admin = coalesce($3, c.site_admin), updated_at = now()
      FROM data.organization o
     WHERE o.handle = $1 AND o.deleted_at IS NULL AND c.id = o.account_id
    RETURNING c.id INTO account;
    IF NOT FOUND THEN
        PERFORM domain.fail('FV404', 'handle', 'User not found');
    END IF;
    RETURN account;
END $$;

CREATE FUNCTION domain.account_list()
RETURNS TABLE (id bigint, uuid uuid, handle text, email text, name text, plan text, organization_id bigint,
               site_admin boolean, suspended boolean, created_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT c.id, c.uuid, o.handle, c.email, c.name, o.plan, o.id, c.site_admin, c.suspended_at IS NOT NULL, c.created_at
      FROM domain.account c
      JOIN domain.organization o ON o.account_id = c.id $$;

-- Whom a handle or an e-mail address means, as the actor of an administration command.
CREATE FUNCTION domain.actor_of(who text) RETURNS SETOF domain.actor LANGUAGE sql STABLE AS $$
    SELECT c.id, o.id, NULL::bigint, 127, c.site_admin
      FROM domain.account c
      JOIN domain.organization o ON o.account_id = c.id
     WHERE o.handle = $1 OR lower(c.email) = lower($1) $$;

-- Erases what has been in the trash for its time, at most "at_most" objects; returns how many went.
CREATE FUNCTION domain.purge_due(at_most integer, keep interval DEFAULT interval '30 days') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due bigint;
    n   bigint := 0;
BEGIN
    FOR due IN SELECT p.id FROM data.project p WHERE p.deleted_at < now() - keep
                ORDER BY p.deleted_at LIMIT at_most FOR UPDATE SKIP LOCKED LOOP
        PERFORM domain.project_erase(due);
        n := n + 1;
    END LOOP;
    FOR due IN SELECT m.id FROM data.model m WHERE m.deleted_at < now() - keep AND m.trash_root IS NULL
                ORDER BY m.deleted_at LIMIT at_most - n FOR UPDATE SKIP LOCKED LOOP
        DELETE FROM data.training_run r WHERE r.model_id = due;
        DELETE FROM data.model_file f WHERE f.model_id = due;
        DELETE FROM data.model m WHERE m.id = due;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;

-- Marks blobs that nothing refers to and that are older than grace; returns every marked one.
-- The sweeper then, per blob and in one transaction: blob_forget (takes the row, or finds it wanted again), unlink, commit.
-- An uploader, in its transaction: writes the reference (which takes the row and clears the mark), then makes sure that
-- the file is there. One waits for the other on the row, so no reference is left without its file.
CREATE FUNCTION domain.blob_mark_unreferenced(grace interval) RETURNS TABLE (digest bytea, size bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE data.blob b
       SET gc_marked_at = now()
     WHERE b.gc_marked_at IS NULL AND b.created_at < now() - $1
       AND NOT EXISTS (SELECT 1 FROM domain.blob_reference r WHERE r.digest = b.digest);
    RETURN QUERY SELECT b.digest, b.size FROM data.blob b WHERE b.gc_marked_at IS NOT NULL;
END $$;

CREATE FUNCTION domain.blob_forget(digest bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM data.blob b
     WHERE b.digest = $1 AND b.gc_marked_at IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM domain.blob_reference r WHERE r.digest = b.digest);
    RETURN FOUND;
END $$;

-- In digest order, after the given one (NULL: from the first).
CREATE FUNCTION domain.blob_each(after bytea, at_most integer) RETURNS SETOF domain.blob LANGUAGE sql STABLE AS $$
    SELECT b.* FROM domain.blob b WHERE b.digest > coalesce($1, '\x'::bytea) ORDER BY b.digest LIMIT $2 $$;

-- How long replayed requests are remembered is a setting.
CREATE FUNCTION domain.idempotency_expire(keep interval DEFAULT interval '24 hours') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM data.idempotency_key k WHERE k.created_at < now() - $1;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

CREATE FUNCTION domain.usage_add(account_id bigint, day date, noun text, n bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.usage AS u (account_id, day, noun, n) VALUES ($1, $2, $3, $4)
        ON CONFLICT ON CONSTRAINT usage_taken DO UPDATE SET n = u.n + excluded.n;
END $$;

CREATE FUNCTION domain.usage_list(day date) RETURNS SETOF domain.usage LANGUAGE sql STABLE AS $$
    SELECT u.* FROM domain.usage u WHERE u.day = $1 $$;

CREATE FUNCTION domain.usage_expire(before date) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM data.usage u WHERE u.day < $1;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
