-- Who may do what. Reads go through visible_*; writes call require_*, which raises FV404 for what the actor cannot see
-- and FV403 for what his role does not allow.

CREATE FUNCTION domain.role_rank(role text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE $1 WHEN 'owner' THEN 3
                   WHEN 'editor' THEN 2 WHEN 'maintainer' THEN 2 WHEN 'supervisor' THEN 2
                   WHEN 'viewer' THEN 1 WHEN 'worker' THEN 1
                   ELSE 0 END $$;

-- One row when the actor belongs to his organization context: a gate that the planner runs once.
CREATE FUNCTION domain.context(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT o.id
      FROM domain.organization o
     WHERE o.id = (a).organization_id
       AND ((a).site_admin
            OR EXISTS (SELECT 1 FROM domain.membership m
                        WHERE m.organization_id = (a).organization_id AND m.account_id = (a).account_id)) $$;

-- The actor's rank on a project: 3 owner, 2 editor, 1 viewer, 0 none.
CREATE FUNCTION domain.project_rank(a domain.actor, project bigint) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN (a).site_admin THEN 3
                ELSE greatest((SELECT domain.role_rank(m.role) FROM domain.project_role m
                                WHERE m.project_id = p.id AND m.account_id = (a).account_id),
                              (SELECT domain.role_rank(m.role) FROM domain.membership m
                                WHERE m.organization_id = p.organization_id AND m.account_id = (a).account_id), 0)
           END
      FROM domain.project p
     WHERE p.id = $2 $$;

-- The project for those who have a role in it.
CREATE FUNCTION domain.project_joined(a domain.actor, project bigint) RETURNS SETOF domain.project LANGUAGE sql STABLE AS $$
    SELECT p.*
      FROM domain.project p
     WHERE p.id = $2
       AND ((a).site_admin
            OR EXISTS (SELECT 1 FROM domain.project_role m
                        WHERE m.project_id = p.id AND m.account_id = (a).account_id)
            OR EXISTS (SELECT 1 FROM domain.membership m
                        WHERE m.organization_id = p.organization_id AND m.account_id = (a).account_id)) $$;

CREATE FUNCTION domain.require_project(a domain.actor, project bigint, rank integer) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    visibility text := (SELECT p.visibility FROM domain.project p WHERE p.id = $2);
    has        integer := domain.project_rank(a, $2);
BEGIN
    IF visibility IS NULL OR (has = 0 AND visibility <> 'public') THEN
        PERFORM domain.fail('FV404', 'project', 'Project not found');
    ELSIF has < rank THEN
        PERFORM domain.fail('FV403', '', CASE rank WHEN 3 THEN 'Only an owner of the project may do this'
                                                   ELSE 'Your role in the project does not allow this' END);
    END IF;
END $$;

-- The project of a model, after the check.
CREATE FUNCTION domain.require_model(a domain.actor, model bigint, rank integer) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    project    bigint;
    visibility text;
    has        integer;
BEGIN
    SELECT m.project_id, p.visibility, domain.project_rank(a, m.project_id)
      INTO project, visibility, has
      FROM domain.model m
      JOIN domain.project p ON p.id = m.project_id
     WHERE m.id = $2;
    IF project IS NULL OR (has = 0 AND visibility <> 'public') THEN
        PERFORM domain.fail('FV404', 'model', 'Model not found');
    ELSIF has < rank THEN
        PERFORM domain.fail('FV403', '', 'Your role in the project does not allow this');
    END IF;
    RETURN project;
END $$;

-- The organization context of a creation, after the check that the actor may create there.
CREATE FUNCTION domain.require_context(a domain.actor) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    has integer := CASE WHEN (a).site_admin THEN 3
                        ELSE (SELECT domain.role_rank(m.role) FROM domain.membership m
                               WHERE m.organization_id = (a).organization_id AND m.account_id = (a).account_id) END;
BEGIN
    IF has IS NULL OR NOT EXISTS (SELECT 1 FROM domain.organization o WHERE o.id = (a).organization_id) THEN
        PERFORM domain.fail('FV404', '', 'Organization not found');
    ELSIF has < 2 THEN
        PERFORM domain.fail('FV403', '', 'Your role in the organization does not allow this');
    END IF;
    RETURN (a).organization_id;
END $$;

-- A total of the organization context: one row always, from a few index entries.
CREATE FUNCTION domain.context_total(a domain.actor, noun text) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(c.n), 0)::bigint
      FROM domain.counter c
     WHERE c.scope_kind = 'organization' AND c.scope_id = (a).organization_id AND c.noun = $2
       AND EXISTS (SELECT 1 FROM domain.context(a)) $$;

CREATE FUNCTION domain.slug_numbered(base text, n integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT rtrim(left($1, 127 - length($2::text)), '-') || '-' || $2 $$;

CREATE FUNCTION domain.slug_taken(kind text, scope bigint, slug text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE $1
        WHEN 'project' THEN EXISTS (SELECT 1 FROM data.project p
                                     WHERE p.organization_id = $2 AND p.slug = $3 AND p.deleted_at IS NULL)
        WHEN 'dataset' THEN EXISTS (SELECT 1 FROM data.dataset d
                                     WHERE d.organization_id = $2 AND d.slug = $3 AND d.deleted_at IS NULL)
        WHEN 'model' THEN EXISTS (SELECT 1 FROM data.model m
                                   WHERE m.project_id = $2 AND m.slug = $3 AND m.deleted_at IS NULL)
    END $$;

-- A slug that no live row of the scope bears: base, base-2, base-3 ... found in O(log n) probes. A concurrent twin may
-- still take it, so the caller retries on the unique constraint.
CREATE FUNCTION domain.slug_free(kind text, scope bigint, base text) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken integer := 1;
    free  integer := 2;
    middle integer;
BEGIN
    IF NOT domain.slug_taken(kind, scope, base) THEN
        RETURN base;
    END IF;
    WHILE domain.slug_taken(kind, scope, domain.slug_numbered(base, free)) LOOP
        taken := free;
        free := free * 2;
    END LOOP;
    WHILE free - taken > 1 LOOP
        middle := (taken + free) / 2;
        IF domain.slug_taken(kind, scope, domain.slug_numbered(base, middle)) THEN
            taken := middle;
        ELSE
            free := middle;
        END IF;
    END LOOP;
    RETURN domain.slug_numbered(base, free);
END $$;
