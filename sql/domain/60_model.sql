-- Models and their files.

CREATE FUNCTION domain.model_get(a domain.actor, model bigint) RETURNS SETOF domain.model LANGUAGE sql STABLE AS $$
    SELECT m.*
      FROM domain.model m
     CROSS JOIN LATERAL domain.project_get(a, m.project_id) AS p
     WHERE m.id = $2 $$;

CREATE FUNCTION domain.model_list(a domain.actor) RETURNS SETOF domain.model LANGUAGE sql STABLE AS $$
    SELECT m.*
      FROM domain.model m
     WHERE m.organization_id = (a).organization_id AND EXISTS (SELECT 1 FROM domain.context(a)) $$;

CREATE FUNCTION domain.model_total(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT t.* FROM domain.context_total(a, 'model') AS t $$;

-- New rows count against the plan of the project's organization; what is there already stays usable.
CREATE FUNCTION domain.require_model_quota(organization bigint, bytes bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held data.plan;
    used domain.storage;
BEGIN
    SELECT s.* INTO used FROM domain.storage s WHERE s.id = $1;
    SELECT p.* INTO held FROM data.plan p WHERE p.name = used.plan;
    IF used.model_count >= held.model_limit THEN
        PERFORM domain.fail('FV403', '', 'The plan allows ' || held.model_limit || ' models');
    ELSIF used.used_bytes + $2 > held.storage_bytes THEN
        PERFORM domain.fail('FV403', '', 'The plan''s storage is used up');
    END IF;
END $$;

-- The blob's row with the lock of a writer; a mark of the sweeper is cleared, so that a file on disk from here on stays.
CREATE FUNCTION domain.blob_put(digest bytea, size bigint, media_type text, width integer DEFAULT NULL,
                                height integer DEFAULT NULL, orientation integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.blob AS b (digest, size, media_type, width, height, orientation)
    VALUES ($1, $2, $3, $4, $5, coalesce($6, 1))
        ON CONFLICT ON CONSTRAINT blob_pkey
        DO UPDATE SET gc_marked_at = NULL,
                      width = coalesce(b.width, excluded.width), height = coalesce(b.height, excluded.height);
END $$;

-- digest NULL: a model without weights.
CREATE FUNCTION domain.model_create(a domain.actor, project bigint, name text, slug text DEFAULT NULL,
                                    description text DEFAULT NULL, task text DEFAULT NULL, status text DEFAULT NULL,
                                    architecture text DEFAULT NULL, class_names text[] DEFAULT NULL,
                                    parameters bigint DEFAULT NULL, input_height integer DEFAULT NULL,
                                    input_width integer DEFAULT NULL, package_version text DEFAULT NULL,
                                    runnable boolean DEFAULT NULL, why_not text DEFAULT NULL,
                                    file_name text DEFAULT NULL, digest bytea DEFAULT NULL, size bigint DEFAULT NULL,
                                    media_type text DEFAULT NULL, gflops double precision DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    owner  bigint;
    made   data.model;
    broken text;
    format text := coalesce(nullif(lower(substring(file_name FROM '\.([A-Za-z0-9_]{1,16})$')), ''), 'bin');
BEGIN
    PERFORM domain.require_project(a, $2, 2);
    -- Taken here, and not only when the count changes, so that the project cannot go to the trash meanwhile.
    SELECT p.organization_id INTO owner FROM data.project p WHERE p.id = $2 AND p.deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM domain.fail('FV404', 'project', 'Project not found');
    END IF;
    PERFORM domain.require_model_quota(owner, coalesce($18, 0));
    LOOP
        BEGIN
            INSERT INTO data.model (project_id, organization_id, name, slug, description, task, status, architecture,
                                    class_names, parameters, input_height, input_width, package_version, runnable,
                                    why_not, created_by, completed_at, gflops)
            VALUES ($2, owner, $3, coalesce($4, domain.slug_free('model', $2, domain.slug_of($3, 'model'))), $5, $6,
                    coalesce($7, CASE WHEN $17 IS NULL THEN 'untrained' ELSE 'completed' END), $8,
                    coalesce($9, '{}'), $10, $11, $12, $13, coalesce($14, false), $15, (a).account_id,
                    CASE WHEN coalesce($7, CASE WHEN $17 IS NOT NULL THEN 'completed' END) = 'completed' THEN now() END,
                    $20)
            RETURNING * INTO made;
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
            IF broken <> 'model_slug_taken' OR $4 IS NOT NULL THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    IF $17 IS NOT NULL THEN
        PERFORM domain.blob_put($17, $18, coalesce($19, 'application/octet-stream'));
        INSERT INTO data.model_file (model_id, purpose, format, name, digest, bytes, media_type)
        VALUES (made.id, 'weights', format, left(made.slug, 128) || '.' || format, $17, $18,
                coalesce($19, 'application/octet-stream'));
    END IF;
    PERFORM domain.event_add(a, CASE WHEN $17 IS NULL THEN 'created' ELSE 'uploaded' END, 'model', made.id, made.uuid,
                             made.created_at, made.name, $2);
    RETURN domain.remember(made.id);
END $$;

CREATE FUNCTION domain.model_trash(a domain.actor, model bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    project bigint := domain.require_model(a, $2, 2);
    gone    data.model;
BEGIN
    PERFORM 1 FROM data.project p WHERE p.id = project FOR NO KEY UPDATE;
    UPDATE data.model m
       SET deleted_at = now(), updated_at = now()
     WHERE m.id = $2 AND m.deleted_at IS NULL
    RETURNING * INTO gone;
    IF gone.id IS NULL THEN
        PERFORM domain.fail('FV404', 'model', 'Model not found');
    END IF;
    PERFORM domain.event_add(a, 'trashed', 'model', gone.id, gone.uuid, gone.created_at, gone.name, gone.project_id);
    RETURN domain.remember(gone.id);
END $$;

CREATE FUNCTION domain.model_trashed(a domain.actor, model bigint) RETURNS SETOF domain.model_trashed
LANGUAGE sql STABLE AS $$
    SELECT t.*
      FROM domain.model_trashed t
     CROSS JOIN LATERAL domain.project_joined(a, t.project_id) AS p
     WHERE t.id = $2 $$;

CREATE FUNCTION domain.model_restore(a domain.actor, model bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was  data.model;
    back data.model;
BEGIN
    SELECT m.* INTO was FROM data.model m WHERE m.id = $2 AND m.deleted_at IS NOT NULL;
    IF was.id IS NULL OR domain.project_rank(a, was.project_id) = 0 THEN
        PERFORM domain.fail('FV404', 'model', 'Model not found in the trash');
    ELSIF NOT EXISTS (SELECT 1 FROM domain.project p WHERE p.id = was.project_id) THEN
        PERFORM domain.fail('FV400', 'model', 'Its project is in the trash: restore the project first');
    END IF;
    PERFORM domain.require_project(a, was.project_id, 2);
    PERFORM 1 FROM data.project p WHERE p.id = was.project_id FOR NO KEY UPDATE;
    UPDATE data.model m
       SET deleted_at = NULL, trash_root = NULL, updated_at = now(),
           slug = domain.slug_free('model', m.project_id, m.slug)
     WHERE m.id = $2 AND m.deleted_at IS NOT NULL
    RETURNING * INTO back;
    PERFORM domain.event_add(a, 'restored', 'model', back.id, back.uuid, back.created_at, back.name, back.project_id);
    RETURN domain.remember(back.id);
END $$;

CREATE FUNCTION domain.model_file_list(a domain.actor, model bigint) RETURNS SETOF domain.model_file
LANGUAGE sql STABLE AS $$
    SELECT f.*
      FROM domain.model_get(a, $2) AS m
      JOIN domain.model_file f ON f.model_id = m.id $$;

-- What predict loads; digest NULL: no weights, calibration NULL: none. avoided: layers that are wrong by the usual kernels.
CREATE FUNCTION domain.model_weights(a domain.actor, model bigint)
RETURNS TABLE (id bigint, digest bytea, size bigint, format text, task text, class_names text[], runnable boolean,
               why_not text, precisions text[], calibration bytea, avoided text[]) LANGUAGE sql STABLE AS $$
    SELECT m.id, f.digest, f.size, f.format, m.task, m.class_names, m.runnable AND c.digest IS NULL,
           coalesce(c.reason, m.why_not), domain.precision_choices(f.id), k.digest, domain.plan_avoided(f.id)
      FROM domain.model_get(a, $2) AS m
      LEFT JOIN domain.model_file f ON f.model_id = m.id AND f.purpose = 'weights'
      LEFT JOIN domain.condemned_weights c ON c.digest = f.digest
      LEFT JOIN domain.calibration k ON k.model_file_id = f.id $$;

-- Housekeeping of the processes that run models: the first reason stays.
CREATE FUNCTION domain.weights_condemn(digest bytea, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.condemned_weights (digest, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING;
END $$;

-- An administrator has mended what was wrong, or wants to see it again. False: nothing was held against them.
CREATE FUNCTION domain.weights_pardon(digest bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM data.condemned_weights c WHERE c.digest = $1;
    RETURN FOUND;
END $$;

CREATE FUNCTION domain.model_file_total(a domain.actor, model bigint) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM domain.model_file_list(a, $2) $$;
