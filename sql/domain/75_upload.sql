-- Upload sessions: opened by a request, filled through a signed address, completed by another request.

CREATE VIEW domain.upload AS
SELECT u.*, floor(extract(epoch FROM u.created_at))::bigint AS stamp FROM data.upload u;

CREATE FUNCTION domain.require_storage(organization bigint, bytes bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM domain.storage s WHERE s.id = $1 AND s.used_bytes + coalesce($2, 0) > s.limit_bytes) THEN
        PERFORM domain.fail('FV403', '', 'The plan''s storage is used up');
    END IF;
END $$;

-- For the organization that owns the object, and for who opened it: an editor of a project may belong to another one.
CREATE FUNCTION domain.upload_get(a domain.actor, upload bigint) RETURNS SETOF domain.upload LANGUAGE sql STABLE AS $$
    SELECT u.*
      FROM domain.upload u
     WHERE u.id = $2
       AND (u.account_id = (a).account_id
            OR u.organization_id = (a).organization_id AND EXISTS (SELECT 1 FROM domain.context(a))) $$;

CREATE FUNCTION domain.upload_create(a domain.actor, model bigint, file_name text, media_type text DEFAULT NULL,
                                     size bigint DEFAULT NULL, ttl_s bigint DEFAULT 3600) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    owner bigint;
    made  bigint;
BEGIN
    PERFORM domain.require_model(a, $2, 2);
    SELECT m.organization_id INTO owner FROM data.model m WHERE m.id = $2;
    PERFORM domain.require_storage(owner, $5);
    INSERT INTO data.upload (organization_id, account_id, noun, noun_id, name, media_type, declared_bytes, expires_at)
    VALUES (owner, (a).account_id, 'model', $2,
            right(coalesce(nullif(regexp_replace($3, '[^A-Za-z0-9._-]', '_', 'g'), ''), 'file'), 160), $4, $5,
            now() + make_interval(secs => $6))
    RETURNING id INTO made;
    RETURN domain.remember(made);
END $$;

-- What a signed address for sending leads to; nothing once the session is completed or over.
CREATE FUNCTION domain.upload_object(id bigint)
RETURNS TABLE (tenant bigint, size bigint) LANGUAGE sql STABLE AS $$
    SELECT u.organization_id, u.declared_bytes
      FROM domain.upload u
     WHERE u.id = $1 AND u.completed_at IS NULL AND u.expires_at > now() $$;

-- The bytes have arrived and are published; sending again replaces them.
CREATE FUNCTION domain.upload_stored(id bigint, digest bytea, size bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM domain.blob_put($2, $3, 'application/octet-stream');
    UPDATE data.upload u
       SET digest = $2, stored_at = now(), updated_at = now()
     WHERE u.id = $1 AND u.completed_at IS NULL AND u.expires_at > now();
    IF NOT FOUND THEN
        PERFORM domain.fail('FV403', '', 'the link is not valid');
    END IF;
    RETURN $1;
END $$;

-- Attaches the stored file to what the session was opened for: a model gets weights and what they say of themselves.
CREATE FUNCTION domain.upload_complete(a domain.actor, upload bigint, task text DEFAULT NULL,
                                       architecture text DEFAULT NULL, class_names text[] DEFAULT NULL,
                                       parameters bigint DEFAULT NULL, input_height integer DEFAULT NULL,
                                       input_width integer DEFAULT NULL, package_version text DEFAULT NULL,
                                       runnable boolean DEFAULT NULL, why_not text DEFAULT NULL,
                                       gflops double precision DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    sent   data.upload;
    kept   data.blob;
    made   data.model;
    format text;
BEGIN
    SELECT u.* INTO sent FROM data.upload u
     WHERE u.id = $2 AND u.completed_at IS NULL
       AND (u.account_id = (a).account_id OR u.organization_id = (a).organization_id)
       FOR NO KEY UPDATE;
    IF sent.id IS NULL OR sent.digest IS NULL THEN
        PERFORM domain.fail('FV404', 'upload', 'No file has arrived for this session');
    END IF;
    PERFORM domain.require_model(a, sent.noun_id, 2);
    SELECT b.* INTO kept FROM data.blob b WHERE b.digest = sent.digest FOR NO KEY UPDATE;
    PERFORM domain.require_storage(sent.organization_id, kept.size);
    UPDATE data.model m
       SET task = coalesce($3, m.task), architecture = coalesce($4, m.architecture),
           class_names = coalesce($5, m.class_names), parameters = coalesce($6, m.parameters),
           input_height = coalesce($7, m.input_height), input_width = coalesce($8, m.input_width),
           package_version = coalesce($9, m.package_version), runnable = coalesce($10, false), why_not = $11,
           gflops = coalesce($12, m.gflops),
           status = 'completed', completed_at = coalesce(m.completed_at, now()), updated_at = now()
     WHERE m.id = sent.noun_id
    RETURNING * INTO made;
    format := coalesce(nullif(lower(substring(sent.name FROM '\.([A-Za-z0-9_]{1,16})$')), ''), 'bin');
    DELETE FROM data.model_file f WHERE f.model_id = made.id AND f.purpose = 'weights';
    INSERT INTO data.model_file (model_id, purpose, format, name, digest, bytes, media_type)
    VALUES (made.id, 'weights', format, left(made.slug, 128) || '.' || format, sent.digest, kept.size,
            coalesce(sent.media_type, 'application/octet-stream'));
    UPDATE data.upload u SET completed_at = now(), updated_at = now() WHERE u.id = sent.id;
    PERFORM domain.event_add(a, 'uploaded', 'model', made.id, made.uuid, made.created_at, made.name, made.project_id);
    RETURN domain.remember(sent.id);
END $$;

-- Forgets sessions that ended longer ago than "keep", at most so many; the files of those that were never completed are
-- the sweeper's from then on. One that is being completed at this moment is locked, and left for the next time.
CREATE FUNCTION domain.upload_expire(at_most integer, keep interval DEFAULT interval '1 day') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM data.upload u
     WHERE u.id IN (SELECT o.id FROM data.upload o WHERE o.expires_at < now() - keep
                     ORDER BY o.expires_at LIMIT at_most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
