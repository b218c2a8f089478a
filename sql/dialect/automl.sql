-- The AutoML spelling: snake case, uuids, one status.

CREATE FUNCTION automl.project(p domain.project, a domain.asker)
RETURNS TABLE ("id" uuid, "name" text, "description" text, "status" text, "dataset_count" integer,
               "experiment_count" integer, "model_count" integer, "created_at" timestamptz, "role" text)
LANGUAGE sql STABLE AS $$
    SELECT p.uuid, p.name, p.description, p.status, p.dataset_count, p.experiment_count, p.model_count, p.created_at,
           (ARRAY['viewer', 'editor', 'owner'])[coalesce(nullif(greatest(
                   (SELECT domain.role_rank(m.role) FROM domain.project_role m
                     WHERE m.project_id = p.id AND m.account_id = (a).account_id),
                   (SELECT domain.role_rank(m.role) FROM domain.membership m
                     WHERE m.organization_id = p.organization_id AND m.account_id = (a).account_id)), 0),
               CASE p.visibility WHEN 'public' THEN 1 ELSE 3 END)] $$;

CREATE FUNCTION automl.project_brief(p domain.project, a domain.asker)
RETURNS TABLE ("id" uuid, "name" text, "description" text, "created_at" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT p.uuid, p.name, p.description, p.created_at $$;

CREATE FUNCTION automl.project_renamed(p domain.project, a domain.asker)
RETURNS TABLE ("id" uuid, "name" text, "description" text) LANGUAGE sql STABLE AS $$
    SELECT p.uuid, p.name, p.description $$;

CREATE FUNCTION automl.member(m domain.member, a domain.asker)
RETURNS TABLE ("user_id" uuid, "email" text, "name" text, "role" text, "created_at" timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT m.user_id, m.email, m.name, m.role, m.created_at $$;

CREATE FUNCTION automl.member_brief(m domain.member, a domain.asker)
RETURNS TABLE ("user_id" uuid, "email" text, "name" text, "role" text) LANGUAGE sql STABLE AS $$
    SELECT m.user_id, m.email, m.name, m.role $$;

CREATE FUNCTION automl.problem_type(task text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE $1 WHEN 'classify' THEN 'classification' WHEN 'segment' THEN 'instance_segmentation'
                   WHEN 'semantic' THEN 'semantic_segmentation' WHEN 'pose' THEN 'keypoint'
                   ELSE 'object_detection' END $$;

CREATE FUNCTION automl.run_status(status text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE $1 WHEN 'starting' THEN 'running' ELSE $1 END $$;

-- Fields that an entry of one type must show as null are json, since a NULL column marked "?" is left out. The kind of
-- media is that of the first item; an empty dataset has none.
CREATE FUNCTION automl.timeline_entry(t domain.timeline_entry, a domain.asker)
RETURNS TABLE ("id" uuid, "type" text, "name" text, "timestamp" timestamptz, "rows?" bigint, "columns?" integer,
               "images?" bigint, "annotations?" bigint, "classes?" json, "media_type?" text, "status?" text,
               "target_column?" text, "problem_type?" text, "best_model_type?" json, "duration?" json, "metrics?" jsonb,
               "model_id?" json, "role?" text) LANGUAGE sql STABLE AS $$
    SELECT t.uuid, t.kind, t.name, t.created_at,
           CASE WHEN t.kind = 'dataset' THEN t.images END,
           CASE WHEN t.kind = 'dataset' THEN cardinality(t.classes) END,
           CASE WHEN t.kind = 'dataset' THEN t.images END,
           CASE WHEN t.kind = 'dataset' THEN t.annotations END,
           CASE WHEN t.kind = 'dataset' THEN to_json(t.classes) END,
           CASE WHEN t.kind = 'dataset'
                THEN (SELECT CASE i.kind WHEN 'image' THEN 'image' ELSE 'video' END FROM domain.item i
                       WHERE i.dataset_id = t.id ORDER BY i.created_at, i.id LIMIT 1) END,
           CASE WHEN t.kind = 'experiment' THEN automl.run_status(t.status) END,
           CASE WHEN t.kind = 'experiment' THEN t.label_set_name END,
           CASE WHEN t.kind = 'experiment' OR t.task IS NOT NULL AND t.kind = 'model' THEN automl.problem_type(t.task) END,
           CASE WHEN t.kind IN ('experiment', 'model') THEN coalesce(to_json(t.architecture), 'null') END,
           CASE WHEN t.kind = 'experiment' THEN coalesce(to_json(t.duration_s), 'null') END,
           CASE WHEN t.kind IN ('experiment', 'model') THEN t.metrics END,
           CASE WHEN t.kind IN ('experiment', 'model') THEN coalesce(to_json(t.model_uuid), 'null') END,
           t.role $$;

-- What the ZIP export of a project holds. C streams it: entries in order, texts in pieces, files by digest; it adds
-- the list of files to the manifest as it writes them.

CREATE FUNCTION automl.time(t timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;

-- A name that is safe as the last segment of a path, on any file system: at most 255 bytes, shortened in the middle.
CREATE FUNCTION automl.file_name(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN n.safe IN ('', '.', '..') THEN '_'
                WHEN octet_length(n.safe) > 255 THEN left(n.safe, 50) || '~' || right(n.safe, 12)
                ELSE n.safe END
      FROM (SELECT regexp_replace($1, '[/\\:\x01-\x1f\x7f-\x9f]', '_', 'g')) AS n(safe) $$;

-- Where an item's file stands in its data set; a frame's is that of its film.
CREATE FUNCTION automl.item_file(i domain.item) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT f.uuid || '/' || automl.file_name(f.name) FROM domain.item f WHERE f.id = coalesce(i.video_id, i.id) $$;

-- What a training run leaves behind; the manifest and the entries ask the same.
CREATE FUNCTION automl.has_report(r domain.training_run) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM domain.training_epoch e WHERE e.training_run_id = r.id) OR r.plots <> '[]' $$;

-- The manifest without its `files` and `missing`. Members are for the owner; for others the key is absent.
CREATE FUNCTION automl.export_manifest(p domain.project, a domain.asker)
RETURNS TABLE (manifest json, slug text) LANGUAGE sql STABLE AS $$
    SELECT (left(json_build_object(
                'format_version', 1, 'exported_at', automl.time(now()),
                'project', json_build_object('id', p.uuid, 'name', p.name, 'description', p.description,
                                             'created_at', automl.time(p.created_at)))::text, -1)
            || CASE WHEN (SELECT s.role FROM automl.project(p, a) AS s) = 'owner'
                    THEN ',"members":'
                         || to_json(ARRAY(SELECT json_build_object('email', m.email, 'role', m.role)
                                            FROM domain.member m WHERE m.project_id = p.id ORDER BY m.id))
                    ELSE '' END
            || ',' || substr(json_build_object(
                'datasets', to_json(ARRAY(
                    SELECT json_build_object('id', d.uuid, 'name', d.name, 'task', d.task,
                                             'created_at', automl.time(d.created_at))
                      FROM domain.dataset d WHERE d.project_id = p.id ORDER BY d.id)),
                'experiments', to_json(ARRAY(
                    SELECT json_build_object('id', r.uuid, 'name', r.name, 'status', automl.run_status(r.status),
                                             'created_at', automl.time(r.created_at))
                      FROM domain.training_run r WHERE r.project_id = p.id ORDER BY r.id)),
                'models', to_json(ARRAY(
                    SELECT json_build_object('id', m.uuid, 'name', m.name, 'task', m.task, 'architecture', m.architecture,
                                             'created_at', automl.time(m.created_at))
                      FROM domain.model m WHERE m.project_id = p.id ORDER BY m.id)),
                'reports', to_json(ARRAY(
                    SELECT json_build_object('id', r.uuid, 'name', r.name)
                      FROM domain.training_run r WHERE r.project_id = p.id AND automl.has_report(r) ORDER BY r.id)))::text,
                2))::json,
           p.slug $$;

-- One annotation in COCO's words: box as x, y, width, height; polygons as one ring.
CREATE FUNCTION automl.coco_annotation(n domain.annotation) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_strip_nulls(json_build_object(
               'id', n.id, 'image_id', n.item_id, 'category_id', n.label_id, 'iscrowd', 0,
               'bbox', CASE n.kind
                           WHEN 'box' THEN to_json(ARRAY[n.points[1], n.points[2], n.points[3] - n.points[1],
                                                         n.points[4] - n.points[2]])
                           WHEN 'mask' THEN to_json(ARRAY[n.points[1], n.points[2], n.points[3] - n.points[1] + 1,
                                                          n.points[4] - n.points[2] + 1])
                           WHEN 'polygon' THEN (SELECT to_json(ARRAY[min(x.v), min(y.v), max(x.v) - min(x.v),
                                                                     max(y.v) - min(y.v)])
                                                  FROM unnest(n.points) WITH ORDINALITY AS x(v, i)
                                                  JOIN unnest(n.points) WITH ORDINALITY AS y(v, i)
                                                    ON x.i % 2 = 1 AND y.i = x.i + 1)
                       END,
               'segmentation', CASE WHEN n.kind = 'polygon' THEN json_build_array(to_json(n.points)) END,
               'keypoints', CASE WHEN n.kind = 'points' THEN to_json(n.points) END,
               'shape', CASE WHEN n.kind NOT IN ('box', 'polygon', 'points')
                             THEN json_build_object('kind', n.kind, 'points', n.points, 'runs', n.runs,
                                                    'rotation', n.rotation) END,
               'score', n.score, 'source', n.source))::text $$;

-- Rows of one path stand together: pieces of a text (body), or one file (digest and size).
CREATE FUNCTION automl.export_entry(p domain.project, a domain.asker)
RETURNS TABLE (path text, body text, digest bytea, size bigint) LANGUAGE sql STABLE AS $$
    SELECT e.path, e.body, e.digest, e.size
      FROM (SELECT 1 AS part, d.id AS major, 0 AS section, 0::bigint AS minor,
                   'datasets/' || d.uuid || '/annotations.json' AS path,
                   '{"info":' || json_build_object('description', d.name, 'date_created', automl.time(d.created_at))
                   || ',"categories":'
                   || to_json(ARRAY(SELECT json_build_object('id', l.id, 'name', l.name, 'index', l.ordinal)
                                      FROM domain.label l
                                     WHERE l.label_set_id = d.label_set_id AND l.parent_id IS NULL ORDER BY l.ordinal))
                   || ',"images":[' AS body, NULL::bytea AS digest, NULL::bigint AS size
              FROM domain.dataset d WHERE d.project_id = p.id
            UNION ALL
            SELECT 1, d.id, 1, i.id, 'datasets/' || d.uuid || '/annotations.json',
                   CASE WHEN row_number() OVER (PARTITION BY d.id ORDER BY i.id) > 1 THEN ',' ELSE '' END
                   || json_strip_nulls(json_build_object(
                          'id', i.id, 'file_name', automl.item_file(i), 'name', i.name, 'frame_index', i.frame_index,
                          'width', i.width, 'height', i.height, 'split', i.split)),
                   NULL, NULL
              FROM domain.dataset d JOIN domain.item i ON i.dataset_id = d.id
             WHERE d.project_id = p.id
            UNION ALL
            SELECT 1, d.id, 2, 0, 'datasets/' || d.uuid || '/annotations.json', '],"annotations":[', NULL, NULL
              FROM domain.dataset d WHERE d.project_id = p.id
            UNION ALL
            SELECT 1, d.id, 3, n.id, 'datasets/' || d.uuid || '/annotations.json',
                   CASE WHEN row_number() OVER (PARTITION BY d.id ORDER BY n.id) > 1 THEN ',' ELSE '' END
                   || automl.coco_annotation(n), NULL, NULL
              FROM domain.dataset d
              JOIN domain.item i ON i.dataset_id = d.id
              JOIN domain.annotation n ON n.item_id = i.id
             WHERE d.project_id = p.id
            UNION ALL
            SELECT 1, d.id, 4, 0, 'datasets/' || d.uuid || '/annotations.json', ']}', NULL, NULL
              FROM domain.dataset d WHERE d.project_id = p.id
            UNION ALL
            SELECT 1, d.id, 5, i.id, 'datasets/' || d.uuid || '/images/' || automl.item_file(i), NULL,
                   i.digest, i.bytes
              FROM domain.dataset d JOIN domain.item i ON i.dataset_id = d.id
             WHERE d.project_id = p.id AND i.digest IS NOT NULL
            UNION ALL
            SELECT 2, m.id, 0, 0, 'models/' || m.uuid || '/metadata.json',
                   json_build_object('id', m.uuid, 'name', m.name, 'description', m.description, 'task', m.task,
                                     'status', m.status, 'architecture', m.architecture, 'class_names', m.class_names,
                                     'parameters', m.parameters, 'metrics', m.metrics,
                                     'created_at', automl.time(m.created_at))::text, NULL, NULL
              FROM domain.model m WHERE m.project_id = p.id
            UNION ALL
            SELECT 2, m.id, 1, f.id,
                   'models/' || m.uuid || CASE f.purpose WHEN 'weights' THEN '/model.' || f.format
                                                         ELSE '/' || f.uuid || '/' || automl.file_name(f.name) END,
                   NULL, f.digest, f.size
              FROM domain.model m JOIN domain.model_file f ON f.model_id = m.id WHERE m.project_id = p.id
            UNION ALL
            SELECT 3, r.id, 0, 0, 'experiments/' || r.uuid || '/config.json', r.arguments::text, NULL, NULL
              FROM domain.training_run r WHERE r.project_id = p.id
            UNION ALL
            SELECT 3, r.id, 1, 0, 'experiments/' || r.uuid || '/metrics.json', r.metrics::text, NULL, NULL
              FROM domain.training_run r WHERE r.project_id = p.id
            UNION ALL
            SELECT 4, r.id, 0, 0, 'reports/' || r.uuid || '/metrics.json',
                   json_build_object('best_epoch', r.best_epoch, 'best_fitness', r.best_fitness, 'epochs', to_json(ARRAY(
                       SELECT json_build_object('epoch', e.epoch, 'fitness', e.fitness, 'metrics', e.metrics)
                         FROM domain.training_epoch e WHERE e.training_run_id = r.id ORDER BY e.epoch)))::text, NULL, NULL
              FROM domain.training_run r WHERE r.project_id = p.id AND automl.has_report(r)
            UNION ALL
            SELECT 4, r.id, 1, 0, 'reports/' || r.uuid || '/plots.json', r.plots::text, NULL, NULL
              FROM domain.training_run r WHERE r.project_id = p.id AND r.plots <> '[]') AS e
     ORDER BY e.part, e.major, e.section, e.minor $$;
