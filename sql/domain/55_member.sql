-- Who takes part in a project.

CREATE FUNCTION domain.member_list(a domain.actor, project bigint) RETURNS SETOF domain.member LANGUAGE sql STABLE AS $$
    SELECT m.*
      FROM domain.project_joined(a, $2) AS p
      JOIN domain.member m ON m.project_id = p.id $$;

CREATE FUNCTION domain.member_total(a domain.actor, project bigint) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(c.n), 0)::bigint
      FROM domain.counter c
     WHERE c.scope_kind = 'project' AND c.scope_id = $2 AND c.noun = 'member'
       AND EXISTS (SELECT 1 FROM domain.project_joined(a, $2)) $$;

CREATE FUNCTION domain.member_get(a domain.actor, member bigint) RETURNS SETOF domain.member LANGUAGE sql STABLE AS $$
    SELECT m.*
      FROM domain.member m
     CROSS JOIN LATERAL domain.project_joined(a, m.project_id) AS p
     WHERE m.id = $2 $$;

-- Adds, or changes the role of, a registered account. role NULL: viewer.
CREATE FUNCTION domain.member_set(a domain.actor, project bigint, email text, role text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who     data.account;
    made    data.project_member;
    before  text;
    wanted  text := coalesce($4, 'viewer');
BEGIN
    PERFORM domain.require_project(a, $2, 3);
    IF domain.role_rank(wanted) = 0 OR wanted NOT IN ('owner', 'editor', 'viewer') THEN
        PERFORM domain.fail('FV400', 'role', 'must be one of owner, editor, viewer');
    END IF;
    SELECT c.* INTO who
      FROM data.account c
     WHERE lower(c.email) = lower(btrim($3)) AND c.deleted_at IS NULL;
    IF who.id IS NULL THEN
        PERFORM domain.fail('FV404', 'email', 'User not found');
    END IF;
    PERFORM 1 FROM data.project p WHERE p.id = $2 FOR NO KEY UPDATE;
    SELECT m.role INTO before FROM data.project_member m WHERE m.project_id = $2 AND m.account_id = who.id;
    IF before = 'owner' AND wanted <> 'owner' THEN
        PERFORM domain.require_other_owner($2, who.id);
    END IF;
    INSERT INTO data.project_member AS m (project_id, account_id, role)
    VALUES ($2, who.id, wanted)
        ON CONFLICT ON CONSTRAINT project_member_taken
        DO UPDATE SET role = excluded.role, updated_at = now()
    RETURNING m.* INTO made;
    PERFORM domain.event_add(a, 'shared', 'project', p.id, p.uuid, p.created_at, p.name, p.id,
                             jsonb_build_object('account', who.uuid, 'role', wanted))
       FROM data.project p
      WHERE p.id = $2;
    RETURN domain.remember(made.id);
END $$;

CREATE FUNCTION domain.require_other_owner(project bigint, account bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM data.project_member m
                    WHERE m.project_id = $1 AND m.role = 'owner' AND m.account_id <> $2) THEN
        PERFORM domain.fail('FV409', 'role', 'A project needs at least one owner');
    END IF;
END $$;

CREATE FUNCTION domain.member_remove(a domain.actor, project bigint, account uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who bigint := (SELECT c.id FROM data.account c WHERE c.uuid = $3);
    was data.project_member;
BEGIN
    PERFORM domain.require_project(a, $2, CASE WHEN who = (a).account_id THEN 1 ELSE 3 END);
    PERFORM 1 FROM data.project p WHERE p.id = $2 FOR NO KEY UPDATE;
    SELECT m.* INTO was FROM data.project_member m WHERE m.project_id = $2 AND m.account_id = who;
    IF was.id IS NULL THEN
        PERFORM domain.fail('FV404', 'account', 'User not found');
    ELSIF was.role = 'owner' THEN
        PERFORM domain.require_other_owner($2, who);
    END IF;
    DELETE FROM data.project_member m WHERE m.id = was.id;
    PERFORM domain.event_add(a, 'unshared', 'project', p.id, p.uuid, p.created_at, p.name, p.id,
                             jsonb_build_object('account', $3))
       FROM data.project p
      WHERE p.id = $2;
    RETURN domain.remember(was.id);
END $$;
