-- What happened. Writes call event_add; people read, mark and archive.

CREATE FUNCTION domain.event_add(a domain.actor, action text, noun text, id bigint, uuid uuid, made timestamptz, name text,
                                 project bigint, metadata jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.event (organization_id, account_id, project_id, action, noun, noun_id, noun_uuid, noun_created_at,
                            noun_name, message, metadata)
    VALUES (coalesce((SELECT p.organization_id FROM data.project p WHERE p.id = $8), (a).organization_id),
            (a).account_id, $8, $2, $3, $4, $5, $6, $7,
            initcap(replace($3, '_', ' ')) || ' "' || coalesce($7, '') || '" ' || $2, $9);
END $$;

-- Archived ones too: filter by r.archived.
CREATE FUNCTION domain.event_list(a domain.actor) RETURNS SETOF domain.event LANGUAGE sql STABLE AS $$
    SELECT e.*
      FROM domain.event e
     WHERE e.organization_id = (a).organization_id AND EXISTS (SELECT 1 FROM domain.context(a)) $$;

CREATE FUNCTION domain.event_total(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT t.* FROM domain.context_total(a, 'event') AS t $$;

CREATE FUNCTION domain.event_unseen(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT t.* FROM domain.context_total(a, 'event_unseen') AS t $$;

CREATE FUNCTION domain.events_mark_seen(a domain.actor, events bigint[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    UPDATE data.event e
       SET seen_at = now()
     WHERE e.organization_id = (SELECT c.* FROM domain.context(a) AS c)
       AND e.seen_at IS NULL AND ($2 IS NULL OR e.id = ANY ($2));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

CREATE FUNCTION domain.events_archive(a domain.actor, events bigint[], archive boolean) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    UPDATE data.event e
       SET archived_at = CASE WHEN coalesce($3, true) THEN now() END
     WHERE e.organization_id = (SELECT c.* FROM domain.context(a) AS c)
       AND (e.archived_at IS NULL) = coalesce($3, true) AND ($2 IS NULL OR e.id = ANY ($2));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
