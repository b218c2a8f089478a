-- The history of a project as its objects tell it: datasets and training runs; models and members when asked for.

CREATE TYPE domain.timeline_entry AS (
    kind text, id bigint, uuid uuid, name text, created_at timestamptz,
    images bigint, annotations bigint, label_set_id bigint, label_set_name text, classes text[],
    status text, task text, architecture text, duration_s bigint, finished boolean, metrics jsonb, model_uuid uuid, role text);

CREATE FUNCTION domain.timeline_types(types text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce($1, ARRAY['dataset', 'experiment']) $$;

-- Ascending; the newest 1000 of the types.
CREATE FUNCTION domain.timeline(a domain.actor, project bigint, types text[] DEFAULT NULL) RETURNS SETOF domain.timeline_entry
LANGUAGE sql STABLE AS $$
    SELECT t.kind, t.id, t.uuid, t.name, t.created_at, t.images, t.annotations, t.label_set_id, t.label_set_name, t.classes,
           t.status, t.task, t.architecture, t.duration_s, t.finished, t.metrics, t.model_uuid, t.role
      FROM (SELECT u.*
              FROM (SELECT 'dataset' AS kind, d.id, d.uuid, d.name, d.created_at,
                           (SELECT coalesce(sum(c.n), 0)::bigint FROM domain.counter c
                             WHERE c.scope_kind = 'dataset' AND c.scope_id = d.id AND c.noun = 'item') AS images,
                           (SELECT coalesce(sum(c.n), 0)::bigint FROM domain.counter c
                             WHERE c.scope_kind = 'dataset' AND c.scope_id = d.id AND c.noun = 'annotation')
                               AS annotations,
                           d.label_set_id, s.name AS label_set_name,
                           ARRAY(SELECT l.name FROM domain.label l
                                  WHERE l.label_set_id = d.label_set_id AND l.parent_id IS NULL
                                  ORDER BY l.ordinal) AS classes,
                           d.status, d.task, NULL::text AS architecture, NULL::bigint AS duration_s,
                           true AS finished, '{}'::jsonb AS metrics, NULL::uuid AS model_uuid,
                           NULL::text AS role
                      FROM domain.project_joined(a, $2) AS p
                      JOIN domain.dataset d ON d.project_id = p.id
                      JOIN domain.label_set s ON s.id = d.label_set_id
                     WHERE 'dataset' = ANY (domain.timeline_types($3))
                    UNION ALL
                    SELECT 'experiment', r.id, r.uuid, r.name, coalesce(r.started_at, r.created_at), 0, 0,
                           s.id, s.name, '{}', r.status, coalesce(m.task, d.task), m.architecture,
                           floor(extract(epoch FROM r.finished_at - r.started_at))::bigint,
                           r.finished_at IS NOT NULL, r.metrics, m.uuid, NULL
                      FROM domain.project_joined(a, $2) AS p
                      JOIN domain.training_run r ON r.project_id = p.id
                      LEFT JOIN domain.model m ON m.id = r.model_id
                      LEFT JOIN domain.dataset d ON d.id = r.dataset_id
                      JOIN domain.label_set s ON s.id = coalesce(d.label_set_id, p.label_set_id)
                     WHERE 'experiment' = ANY (domain.timeline_types($3))
                    UNION ALL
                    SELECT 'model', m.id, m.uuid, m.name, m.created_at, 0, 0, NULL, NULL, '{}', NULL, m.task,
                           m.architecture, NULL, true, m.metrics, m.uuid, NULL
                      FROM domain.project_joined(a, $2) AS p
                      JOIN domain.model m ON m.project_id = p.id
                     WHERE 'model' = ANY (domain.timeline_types($3))
                    UNION ALL
                    SELECT 'member', m.id, m.user_id, m.name, m.created_at, 0, 0, NULL, NULL, '{}', NULL, NULL,
                           NULL, NULL, true, '{}', NULL, m.role
                      FROM domain.project_joined(a, $2) AS p
                      JOIN domain.member m ON m.project_id = p.id
                     WHERE 'member' = ANY (domain.timeline_types($3))) AS u
             ORDER BY u.created_at DESC, u.kind DESC, u.id DESC
             LIMIT 1000) AS t
     ORDER BY t.created_at, t.kind, t.id $$;

CREATE FUNCTION domain.timeline_total(a domain.actor, project bigint, types text[] DEFAULT NULL) RETURNS SETOF bigint
LANGUAGE sql STABLE AS $$
    SELECT least(1000, sum(n.n))::bigint
      FROM domain.project_joined(a, $2) AS p,
           LATERAL (VALUES ('dataset', p.dataset_count::bigint), ('experiment', p.experiment_count), ('model', p.model_count),
                           ('member', (SELECT m.* FROM domain.member_total(a, $2) AS m))) AS n (kind, n)
     WHERE n.kind = ANY (domain.timeline_types($3))
     GROUP BY p.id $$;
