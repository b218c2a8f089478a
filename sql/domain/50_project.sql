-- Projects.

CREATE FUNCTION domain.project_get(a domain.actor, project bigint) RETURNS SETOF domain.project LANGUAGE sql STABLE AS $$
    SELECT p.*
      FROM domain.project p
     WHERE p.id = $2
       AND (p.visibility = 'public' OR (a).site_admin
            OR EXISTS (SELECT 1 FROM domain.project_role m
                        WHERE m.project_id = p.id AND m.account_id = (a).account_id)
            OR EXISTS (SELECT 1 FROM domain.membership m
                        WHERE m.organization_id = p.organization_id AND m.account_id = (a).account_id)) $$;

-- All of one owner: his handle is looked up once, not for each row.
CREATE FUNCTION domain.project_list(a domain.actor) RETURNS SETOF domain.project LANGUAGE sql STABLE AS $$
    SELECT p.id, p.uuid, p.created_at, p.stamp, p.updated_at, p.organization_id, p.label_set_id, p.name, p.slug,
           p.description, p.visibility, p.status, p.tags, p.license, p.metadata, p.dataset_count, p.model_count,
           p.experiment_count, p.created_by,
           (SELECT o.handle FROM domain.organization o WHERE o.id = (a).organization_id)
      FROM domain.project p
     WHERE p.organization_id = (a).organization_id AND EXISTS (SELECT 1 FROM domain.context(a)) $$;

CREATE FUNCTION domain.project_total(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT t.* FROM domain.context_total(a, 'project') AS t $$;

-- One owner's projects as far as the actor may see them: the public ones, those that he is a guest of, and all of an
-- organization that he belongs to. What project_get shows one by one, with its questions asked once and not for each row.
CREATE FUNCTION domain.project_of(a domain.actor, owner text) RETURNS SETOF domain.project LANGUAGE sql STABLE AS $$
    SELECT p.*
      FROM domain.project p
     WHERE p.organization_id = (SELECT o.id FROM domain.organization o WHERE o.handle = lower($2))
       AND (p.visibility = 'public' OR (a).site_admin
            OR p.id = ANY (ARRAY(SELECT m.project_id FROM domain.project_role m
                                  WHERE m.account_id = (a).account_id AND m.guest))
            OR p.organization_id = ANY (ARRAY(SELECT m.organization_id FROM domain.membership m
                                               WHERE m.account_id = (a).account_id))) $$;

CREATE FUNCTION domain.project_of_total(a domain.actor, owner text) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM domain.project_of(a, $2) $$;

-- Projects outside the context: those that the account is a guest of, and those of other organizations that it belongs
-- to. The array keeps the first part from being planned as a join over all tenants.
CREATE FUNCTION domain.project_elsewhere(a domain.actor) RETURNS SETOF domain.project LANGUAGE sql STABLE AS $$
    SELECT p.*
      FROM domain.project p
     WHERE p.id = ANY (ARRAY(SELECT m.project_id FROM domain.project_role m
                              WHERE m.account_id = (a).account_id AND m.guest))
       AND p.organization_id <> (a).organization_id
       AND NOT EXISTS (SELECT 1 FROM domain.membership m
                        WHERE m.organization_id = p.organization_id AND m.account_id = (a).account_id)
    UNION ALL
    SELECT p.*
      FROM domain.membership m
      JOIN domain.project p ON p.organization_id = m.organization_id
     WHERE m.account_id = (a).account_id AND m.organization_id <> (a).organization_id $$;

-- Owned by or shared with the account, in any organization. The first part is a bare relation and the second a closed
-- sub-query (OFFSET 0), with all conditions outside: in this form, and no other that was tried, the planner merges an
-- index scan of the one with the sorted few of the other, so that a page costs a page whatever it is sorted by.
CREATE FUNCTION domain.project_shared(a domain.actor) RETURNS SETOF domain.project LANGUAGE sql STABLE AS $$
    SELECT u.id, u.uuid, u.created_at, u.stamp, u.updated_at, u.organization_id, u.label_set_id, u.name, u.slug,
           u.description, u.visibility, u.status, u.tags, u.license, u.metadata, u.dataset_count, u.model_count,
           u.experiment_count, u.created_by, u.owner_handle
      FROM (SELECT p.* FROM domain.project_any p
            UNION ALL
            SELECT x.*
              FROM (SELECT e.*, NULL::timestamptz AS gone_at, (a).organization_id AS listed_in
                      FROM domain.project_elsewhere(a) AS e
                    OFFSET 0) AS x) AS u
     WHERE u.listed_in = (a).organization_id AND u.gone_at IS NULL AND EXISTS (SELECT 1 FROM domain.context(a)) $$;

CREATE FUNCTION domain.project_shared_total(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT t.n
         + (SELECT count(*)
              FROM domain.project p
             WHERE p.id = ANY (ARRAY(SELECT m.project_id FROM domain.project_role m
                                      WHERE m.account_id = (a).account_id AND m.guest))
               AND p.organization_id <> (a).organization_id
               AND NOT EXISTS (SELECT 1 FROM domain.membership m
                                WHERE m.organization_id = p.organization_id AND m.account_id = (a).account_id))
         + (SELECT coalesce(sum(c.n), 0)::bigint
              FROM domain.counter c
             WHERE c.scope_kind = 'organization' AND c.noun = 'project'
               AND c.scope_id = ANY (ARRAY(SELECT m.organization_id FROM domain.membership m
                                            WHERE m.account_id = (a).account_id
                                              AND m.organization_id <> (a).organization_id)))
      FROM domain.context_total(a, 'project') AS t(n) $$;

CREATE FUNCTION domain.project_create(a domain.actor, name text, description text DEFAULT NULL, slug text DEFAULT NULL,
                                      visibility text DEFAULT NULL, tags text[] DEFAULT NULL, license text DEFAULT NULL,
                                      metadata jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    organization bigint := domain.require_context(a);
    made         data.project;
    labels       bigint;
    broken       text;
BEGIN
    INSERT INTO data.label_set DEFAULT VALUES RETURNING id INTO labels;
    LOOP
        BEGIN
            INSERT INTO data.project (organization_id, label_set_id, name, description, slug, visibility, tags, license,
                                      metadata, created_by)
            VALUES (organization, labels, $2, $3,
                    coalesce($4, domain.slug_free('project', organization, domain.slug_of($2, 'project'))),
                    coalesce($5, 'private'), coalesce($6, '{}'), $7, coalesce($8, '{}'), (a).account_id)
            RETURNING * INTO made;
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
            IF broken <> 'project_slug_taken' OR $4 IS NOT NULL THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    INSERT INTO data.project_member (project_id, account_id, role) VALUES (made.id, (a).account_id, 'owner');
    PERFORM domain.event_add(a, 'created', 'project', made.id, made.uuid, made.created_at, made.name, made.id);
    RETURN domain.remember(made.id);
END $$;

-- given: the fields that the request names; only those change, to NULL too.
CREATE FUNCTION domain.project_update(a domain.actor, project bigint, name text, description text, given text[])
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made data.project;
BEGIN
    PERFORM domain.require_project(a, $2, 2);
    UPDATE data.project p
       SET name = CASE WHEN 'name' = ANY ($5) THEN $3 ELSE p.name END,
           description = CASE WHEN 'description' = ANY ($5) THEN $4 ELSE p.description END,
           updated_at = now()
     WHERE p.id = $2 AND p.deleted_at IS NULL
    RETURNING * INTO made;
    PERFORM domain.event_add(a, 'updated', 'project', made.id, made.uuid, made.created_at, made.name, made.id);
    RETURN domain.remember(made.id);
END $$;

-- Datasets, models and runs go along; those in the trash already keep their own entry.
CREATE FUNCTION domain.project_trash(a domain.actor, project bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone data.project;
BEGIN
    PERFORM domain.require_project(a, $2, 3);
    UPDATE data.project p
       SET deleted_at = now(), updated_at = now()
     WHERE p.id = $2 AND p.deleted_at IS NULL
    RETURNING * INTO gone;
    IF gone.id IS NULL THEN
        PERFORM domain.fail('FV404', 'project', 'Project not found');
    END IF;
    UPDATE data.dataset d SET deleted_at = now(), trash_root = $2 WHERE d.project_id = $2 AND d.deleted_at IS NULL;
    UPDATE data.model m SET deleted_at = now(), trash_root = $2 WHERE m.project_id = $2 AND m.deleted_at IS NULL;
    UPDATE data.training_run r SET deleted_at = now(), trash_root = $2 WHERE r.project_id = $2 AND r.deleted_at IS NULL;
    PERFORM domain.event_add(a, 'trashed', 'project', gone.id, gone.uuid, gone.created_at, gone.name, gone.id);
    RETURN domain.remember(gone.id);
END $$;

CREATE FUNCTION domain.project_trashed(a domain.actor, project bigint) RETURNS SETOF domain.project_trashed
LANGUAGE sql STABLE AS $$
    SELECT t.*
      FROM domain.project_trashed t
     WHERE t.id = $2
       AND ((a).site_admin
            OR EXISTS (SELECT 1 FROM domain.project_role m
                        WHERE m.project_id = t.id AND m.account_id = (a).account_id)
            OR EXISTS (SELECT 1 FROM domain.membership m
                        WHERE m.organization_id = t.organization_id AND m.account_id = (a).account_id)) $$;

-- Back from the trash with what went along; slugs that were taken meanwhile are numbered.
CREATE FUNCTION domain.project_restore(a domain.actor, project bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    back data.project;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM domain.project_trashed(a, $2)) THEN
        PERFORM domain.fail('FV404', 'project', 'Project not found in the trash');
    END IF;
    UPDATE data.project p
       SET deleted_at = NULL, updated_at = now(), slug = domain.slug_free('project', p.organization_id, p.slug)
     WHERE p.id = $2
    RETURNING * INTO back;
    PERFORM domain.require_project(a, $2, 3);
    UPDATE data.dataset d
       SET deleted_at = NULL, trash_root = NULL, slug = domain.slug_free('dataset', d.organization_id, d.slug)
     WHERE d.project_id = $2 AND d.trash_root = $2;
    UPDATE data.model m SET deleted_at = NULL, trash_root = NULL WHERE m.project_id = $2 AND m.trash_root = $2;
    UPDATE data.training_run r SET deleted_at = NULL, trash_root = NULL WHERE r.project_id = $2 AND r.trash_root = $2;
    PERFORM domain.event_add(a, 'restored', 'project', back.id, back.uuid, back.created_at, back.name, back.id);
    RETURN domain.remember(back.id);
END $$;

-- Rows of one project, leaves first (0006 says why); the bytes are the sweeper's. The locks on datasets and models wait for
-- uploads under way, which hold a key share lock on their parent, and make later ones wait until there is no parent.
CREATE FUNCTION domain.project_erase(project bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sets bigint[];
BEGIN
    PERFORM 1 FROM data.project p WHERE p.id = $1 FOR UPDATE;
    PERFORM 1 FROM data.dataset d WHERE d.project_id = $1 ORDER BY d.id FOR UPDATE;
    PERFORM 1 FROM data.model m WHERE m.project_id = $1 ORDER BY m.id FOR UPDATE;
    sets := ARRAY(SELECT p.label_set_id FROM data.project p WHERE p.id = $1
                  UNION SELECT d.label_set_id FROM data.dataset d WHERE d.project_id = $1);
    UPDATE data.job j
       SET state = 'cancelled', cancel_at = now(), finished_at = now(), lease_owner = NULL, lease_until = NULL,
           fence = j.fence + 1
     WHERE j.project_id = $1 AND j.state IN ('queued', 'running');
    DELETE FROM data.training_run r WHERE r.project_id = $1;
    DELETE FROM data.model_file f USING data.model m WHERE m.id = f.model_id AND m.project_id = $1;
    DELETE FROM data.model m WHERE m.project_id = $1;
    DELETE FROM data.annotation n USING data.item i, data.dataset d
     WHERE i.id = n.item_id AND d.id = i.dataset_id AND d.project_id = $1;
    DELETE FROM data.item i USING data.dataset d WHERE d.id = i.dataset_id AND d.project_id = $1;
    DELETE FROM data.dataset d WHERE d.project_id = $1;
    DELETE FROM data.project_member m WHERE m.project_id = $1;
    DELETE FROM data.project p WHERE p.id = $1;
    DELETE FROM data.label_set s
     WHERE s.id = ANY (sets)
       AND NOT EXISTS (SELECT 1 FROM data.project p WHERE p.label_set_id = s.id)
       AND NOT EXISTS (SELECT 1 FROM data.dataset d WHERE d.label_set_id = s.id);
END $$;

-- Permanent, without a stay in the trash.
CREATE FUNCTION domain.project_purge(a domain.actor, project bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone data.project;
BEGIN
    PERFORM domain.require_project(a, $2, 3);
    SELECT p.* INTO gone FROM data.project p WHERE p.id = $2;
    PERFORM domain.event_add(a, 'deleted', 'project', gone.id, gone.uuid, gone.created_at, gone.name, gone.id);
    PERFORM domain.project_erase($2);
    RETURN domain.remember($2);
END $$;
