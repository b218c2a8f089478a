-- Does the database agree with itself and with the files? For `fovea check` and `fovea gc`.

-- A file that no row knows gets a row that is marked for the sweeper, so that its removal takes the same road, with
-- the same lock, as any other; an upload of the same bytes meanwhile finds the row and clears the mark.
CREATE FUNCTION domain.blob_adopt(digest bytea, size bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.blob (digest, size, media_type, gc_marked_at)
    VALUES ($1, $2, 'application/octet-stream', now())
        ON CONFLICT ON CONSTRAINT blob_pkey DO NOTHING;
    RETURN FOUND;
END $$;

-- What the sweeper would mark now or has marked, without marking.
CREATE FUNCTION domain.blob_unreferenced(grace interval) RETURNS TABLE (digest bytea, size bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.digest, b.size
      FROM data.blob b
     WHERE (b.gc_marked_at IS NOT NULL OR b.created_at < now() - $1)
       AND NOT EXISTS (SELECT 1 FROM domain.blob_reference r WHERE r.digest = b.digest);
END $$;

-- Counters that differ from what a recount of the rows gives; written without regard to the triggers that keep them.
CREATE FUNCTION domain.counter_drift()
RETURNS TABLE (scope_kind text, scope_id bigint, noun text, stored bigint, counted bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH counted (kind, id, noun, n) AS (
        SELECT 'organization', p.organization_id, 'project', count(*) FROM data.project p
         WHERE p.deleted_at IS NULL GROUP BY 2
        UNION ALL
        SELECT 'organization', d.organization_id, 'dataset', count(*) FROM data.dataset d
         WHERE d.deleted_at IS NULL GROUP BY 2
        UNION ALL
        SELECT 'organization', m.organization_id, 'model', count(*) FROM data.model m
         WHERE m.deleted_at IS NULL GROUP BY 2
        UNION ALL
        SELECT 'account', k.account_id, 'api_key', count(*) FROM data.api_key k WHERE k.revoked_at IS NULL GROUP BY 2
        UNION ALL
        SELECT 'project', m.project_id, 'member', count(*) FROM data.project_member m GROUP BY 2
        UNION ALL
        SELECT 'organization', e.organization_id, 'event', count(*) FROM data.event e
         WHERE e.archived_at IS NULL GROUP BY 2
        UNION ALL
        SELECT 'organization', e.organization_id, 'event_unseen', count(*) FROM data.event e
         WHERE e.archived_at IS NULL AND e.seen_at IS NULL GROUP BY 2
        UNION ALL
        SELECT 'project', m.project_id, 'model_bytes', sum(f.bytes)::bigint
          FROM data.model_file f JOIN data.model m ON m.id = f.model_id GROUP BY 2
        UNION ALL
        SELECT 'organization', m.organization_id, 'model_bytes', sum(f.bytes)::bigint
          FROM data.model_file f JOIN data.model m ON m.id = f.model_id GROUP BY 2
        UNION ALL
        SELECT 'dataset', i.dataset_id, v.noun, sum(v.n)::bigint
          FROM data.item i
         CROSS JOIN LATERAL (VALUES
               ('item', (i.deleted_at IS NULL)::integer::bigint),
               ('item_' || i.split, (i.deleted_at IS NULL)::integer::bigint),
               ('item_labelled', (i.deleted_at IS NULL AND EXISTS (SELECT 1 FROM data.annotation a
                                   WHERE a.item_id = i.id AND a.parent_id IS NULL))::integer::bigint),
               ('annotation', CASE WHEN i.deleted_at IS NULL THEN (SELECT count(*) FROM data.annotation a
                                   WHERE a.item_id = i.id AND a.parent_id IS NULL) ELSE 0 END),
               ('bytes', i.bytes)) AS v (noun, n)
         GROUP BY 2, 3
        UNION ALL
        SELECT 'project', d.project_id, v.noun, sum(v.n)::bigint
          FROM data.item i
          JOIN data.dataset d ON d.id = i.dataset_id
         CROSS JOIN LATERAL (VALUES ('item', (i.deleted_at IS NULL)::integer::bigint), ('dataset_bytes', i.bytes)) AS v (noun, n)
         GROUP BY 2, 3
        UNION ALL
        SELECT 'organization', d.organization_id, 'dataset_bytes', sum(i.bytes)::bigint
          FROM data.item i JOIN data.dataset d ON d.id = i.dataset_id GROUP BY 2
        UNION ALL
        SELECT 'column of project', p.id, v.noun, v.n
          FROM data.project p
         CROSS JOIN LATERAL (VALUES
               ('dataset_count', (SELECT count(*) FROM data.dataset d
                                   WHERE d.project_id = p.id AND d.deleted_at IS NULL)),
               ('model_count', (SELECT count(*) FROM data.model m WHERE m.project_id = p.id AND m.deleted_at IS NULL)),
               ('experiment_count', (SELECT count(*) FROM data.training_run r
                                      WHERE r.project_id = p.id AND r.deleted_at IS NULL))) AS v (noun, n)
    ), stored (kind, id, noun, n) AS (
        SELECT c.scope_kind, c.scope_id, c.noun, sum(c.n)::bigint FROM data.counter c
         WHERE c.noun <> 'download' GROUP BY 1, 2, 3
        UNION ALL
        SELECT 'column of project', p.id, v.noun, v.n
          FROM data.project p
         CROSS JOIN LATERAL (VALUES ('dataset_count', p.dataset_count), ('model_count', p.model_count),
                                    ('experiment_count', p.experiment_count)) AS v (noun, n)
    )
    SELECT coalesce(s.kind, c.kind), coalesce(s.id, c.id), coalesce(s.noun, c.noun), coalesce(s.n, 0), coalesce(c.n, 0)
      FROM stored s
      FULL JOIN counted c ON c.kind = s.kind AND c.id = s.id AND c.noun = s.noun
     WHERE coalesce(s.n, 0) <> coalesce(c.n, 0)
     ORDER BY 1, 2, 3;
END $$;
