-- What clients see: keys in the order of each API's own pages, and values that follow the rows. Run as fovea_api, which
-- has no right on data.
CALL t.people();
INSERT INTO data.training_run (project_id, model_id, name, status, epochs, best_epoch, best_fitness, arguments, metrics, started_at, finished_at)
VALUES (t.project(), t.model(), 'run 1', 'completed', 3, 1, 0.5, '{"epochs": 3}', '{"mAP50": 0.5}', '2026-01-01 10:00:00+00', '2026-01-01 10:01:30.9+00'),
       (t.project(), NULL, 'run 2', 'starting', 3, NULL, NULL, '{}', '{}', '2026-01-02 10:00:00.25+00', NULL);
INSERT INTO data.training_epoch (training_run_id, epoch, metrics, fitness, created_at)
SELECT r.id, e, jsonb_build_object('train/box_loss', e), 0.25 * e, '2026-01-01 10:00:30.1239+00'
  FROM data.training_run r, generate_series(0, 2) e WHERE r.name = 'run 1';
INSERT INTO data.label (label_set_id, ordinal, name) SELECT p.label_set_id, n, 'label ' || n FROM data.project p, generate_series(0, 1) n WHERE p.id = t.project();
INSERT INTO data.blob (digest, size, media_type) VALUES (sha256('picture'), 77, 'image/jpeg');
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height)
SELECT domain.dataset_default(t.actor('alice'), t.project()), sha256('picture'), 77, 'a.jpg', 4, 3;
UPDATE data.dataset SET created_at = '2025-12-31 00:00:00+00' WHERE project_id = t.project();
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
SET LOCAL ROLE fovea_api;

CREATE TEMP TABLE shape (name text, o json);
INSERT INTO shape
SELECT 'project', row_to_json(s) FROM domain.project_get(t.actor('alice'), t.project()) r, ultralytics.project(r, t.asker('alice')) s
UNION ALL
SELECT 'beside', row_to_json(b) FROM domain.project_get(t.actor('alice'), t.project()) r, ultralytics.project_beside(r, t.asker('alice')) b
UNION ALL
SELECT 'model', row_to_json(s) FROM domain.model_get(t.actor('alice'), t.model()) r, ultralytics.model(r, t.asker('alice')) s
UNION ALL
SELECT 'file', row_to_json(s) FROM domain.model_file_list(t.actor('alice'), t.model()) r, ultralytics.model_file(r, t.asker('alice')) s
UNION ALL
SELECT 'storage', row_to_json(s) FROM domain.storage_get(t.actor('alice')) r, ultralytics.storage(r, t.asker('alice')) s
UNION ALL
(SELECT 'event', row_to_json(s) FROM domain.event_list(t.actor('alice')) r, ultralytics.event(r, t.asker('alice')) s ORDER BY r.id LIMIT 1)
UNION ALL
SELECT 'listed', row_to_json(s) FROM domain.project_list(t.actor('alice')) r, automl.project(r, t.asker('alice')) s
UNION ALL
SELECT 'brief', row_to_json(s) FROM domain.project_get(t.actor('alice'), t.project()) r, automl.project_brief(r, t.asker('alice')) s
UNION ALL
SELECT 'renamed', row_to_json(s) FROM domain.project_get(t.actor('alice'), t.project()) r, automl.project_renamed(r, t.asker('alice')) s
UNION ALL
(SELECT 'member', row_to_json(s) FROM domain.member_list(t.actor('alice'), t.project()) r, automl.member(r, t.asker('alice')) s LIMIT 1)
UNION ALL
(SELECT 'member brief', row_to_json(s) FROM domain.member_list(t.actor('alice'), t.project()) r, automl.member_brief(r, t.asker('alice')) s LIMIT 1)
UNION ALL
SELECT 'timeline ' || r.name, row_to_json(s) FROM domain.timeline(t.actor('alice'), t.project()) r, automl.timeline_entry(r, t.asker('alice')) s;
SELECT domain.api_key_create(t.actor('alice'), 'laptop', ARRAY['read', 'admin'], sha256('k'), 'ul_12345678') \g /dev/null
INSERT INTO shape SELECT 'key', row_to_json(s) FROM domain.api_key_get(t.actor('alice'), t.row_id()) r, ultralytics.api_key(r, t.asker('alice')) s;

SELECT t.is(t.keys(h.o), w.keys, 'keys of ' || w.name)
  FROM (VALUES
    ('project', 'id,_id@createdAt name slug username,owner description visibility modelCount modelNames tags license totalBytes starCount isStarred archived iconColor iconLetter metadata createdAt updatedAt'),
    ('beside', '#isOwner #models'),
    ('model', 'id,_id@createdAt name slug projectId@projectCreatedAt projectSlug username owner description task status visibility epochs bestEpoch bestFitness metrics trainArgs trainResults modelInfo classNames plots environment datasetId datasetVersion baseModel hasWeights file version runnable runnableReason trainingError computeCost consoleChunks starCount isStarred license color downloadCount startedAt completedAt trainedAt createdAt updatedAt #isOwner #projectCreatedAt'),
    ('file', 'name size downloadUrl#weights url#weights contentType expiresAt#expires:weights'),
    ('key', 'id,keyId@createdAt name keyPrefix scopes createdAt lastUsedAt'),
    ('event', 'id,_id@createdAt type,action resourceType resourceId@resourceCreatedAt resourceName message metadata user seen archived createdAt,timestamp #resourceCreatedAt'),
    ('storage', 'used limit percentage tier usage breakdown username updatedAt'),
    ('listed', 'id name description status dataset_count experiment_count model_count created_at role'),
    ('brief', 'id name description created_at'),
    ('renamed', 'id name description'),
    ('member', 'user_id email name role created_at'),
    ('member brief', 'user_id email name role'),
    ('timeline run 1', 'id type name timestamp rows? columns? images? annotations? classes? media_type? status? target_column? problem_type? best_model_type? duration? metrics? model_id? role?')
  ) AS w (name, keys)
  LEFT JOIN shape h ON h.name = w.name;

SELECT t.is(h.o ->> w.key, w.want, h.name || '.' || w.key)
  FROM (VALUES
    ('project', 'name', 'Bridge'), ('project', 'slug', 'bridge'), ('project', 'username,owner', 'alice'), ('project', 'modelCount', '1'),
    ('project', 'modelNames', '["Best net"]'), ('project', 'totalBytes', '1077'), ('beside', '#isOwner', 'true'),
    ('project', 'tags', '[]'), ('project', 'metadata', '{}'),
    ('model', 'projectSlug', 'bridge'), ('model', 'status', 'completed'), ('model', 'bestEpoch', '1'),
    ('model', 'epochs', '3'), ('model', 'bestFitness', '0.5'), ('model', 'metrics', '{"mAP50": 0.5}'),
    ('model', 'trainArgs', '{"epochs": 3}'), ('model', 'hasWeights', 'true'), ('model', 'file', '{"size" : 1000}'),
    ('model', 'classNames', '["crack","rust"]'), ('model', 'visibility', 'private'), ('model', 'trainedAt', '2026-01-01T10:01:30.9+00:00'),
    ('model', 'trainResults', '[{"epoch":0,"metrics":{"train/box_loss": 0},"fitness":0,"timestamp":"2026-01-01T10:00:30.123Z"},{"epoch":1,"metrics":{"train/box_loss": 1},"fitness":0.25,"timestamp":"2026-01-01T10:00:30.123Z"},{"epoch":2,"metrics":{"train/box_loss": 2},"fitness":0.5,"timestamp":"2026-01-01T10:00:30.123Z"}]'),
    ('file', 'name', 'best-net.pt'), ('file', 'size', '1000'), ('file', 'contentType', 'application/zip'),
    ('key', 'keyPrefix', 'ul_12345678'), ('key', 'scopes', '["read","admin"]'), ('key', 'lastUsedAt', NULL),
    ('event', 'type,action', 'created'), ('event', 'resourceType', 'project'), ('event', 'resourceName', 'Bridge'), ('event', 'user', 'alice'),
    ('storage', 'used', '1077'), ('storage', 'tier', 'enterprise'), ('storage', 'limit', NULL), ('storage', 'percentage', NULL),
    ('listed', 'description', 'Cracks in concrete'), ('listed', 'status', 'active'), ('listed', 'dataset_count', '1'),
    ('listed', 'experiment_count', '2'), ('listed', 'model_count', '1'), ('listed', 'role', 'owner'),
    ('timeline Bridge', 'type', 'dataset'), ('timeline Bridge', 'rows?', '1'), ('timeline Bridge', 'columns?', '2'),
    ('timeline Bridge', 'images?', '1'), ('timeline Bridge', 'annotations?', '0'), ('timeline Bridge', 'classes?', '["label 0","label 1"]'),
    ('timeline Bridge', 'status?', NULL), ('timeline Bridge', 'best_model_type?', NULL),
    ('timeline run 1', 'type', 'experiment'), ('timeline run 1', 'status?', 'completed'), ('timeline run 1', 'duration?', '90'),
    ('timeline run 1', 'problem_type?', 'object_detection'), ('timeline run 1', 'target_column?', 'label'), ('timeline run 1', 'rows?', NULL),
    ('timeline run 2', 'status?', 'running'), ('timeline run 2', 'duration?', NULL), ('timeline run 2', 'timestamp', '2026-01-02T10:00:00.25+00:00')
  ) AS w (name, key, want)
  LEFT JOIN shape h ON h.name = w.name;
SELECT t.is((h.o -> 'duration?')::text || (h.o -> 'best_model_type?')::text, 'nullnull', 'an unfinished run shows null, it does not leave keys out')
  FROM shape h WHERE h.name = 'timeline run 2';
SELECT t.is(array_agg(r.name), ARRAY['Bridge', 'run 1', 'run 2'], 'the timeline ascends')
  FROM domain.timeline(t.actor('vera'), t.project()) r;
SELECT t.is((SELECT x.* FROM domain.timeline_total(t.actor('vera'), t.project()) x), 3::bigint, 'and has its total');
SELECT t.is(h.o ->> 'downloadUrl#weights', f.id || '/' || (t.actor('alice')).organization_id || '/best-net.pt', 'a link is id, tenant, file name')
  FROM shape h, domain.model_file_list(t.actor('alice'), t.model()) f WHERE h.name = 'file';
SELECT t.is(h.o -> 'beside' -> '#models' -> 0 ->> 'id', ultralytics.hex_id(m.id, m.created_at), 'a model inside of a project has its id')
  FROM (SELECT json_object_agg(h.name, h.o) AS o FROM shape h WHERE h.name = 'beside') h, domain.model m WHERE m.id = t.model();
-- Every id that the writer makes of two columns finds the second.
SELECT t.is((SELECT string_agg(k, ' ') FROM json_object_keys(h.o) k
              WHERE k LIKE '%@%' AND NOT EXISTS (SELECT 1 FROM json_object_keys(h.o) o
                                                  WHERE split_part(o, ',', 1) IN (split_part(k, '@', 2), '#' || split_part(k, '@', 2)))),
            NULL, h.name || ': the time of each id is there')
  FROM shape h WHERE h.name IN ('project', 'model', 'key', 'event');
SELECT t.is((SELECT b."#isOwner" FROM domain.project_get(t.actor('erin'), t.project()) r, ultralytics.project_beside(r, t.asker('erin')) b), false,
            'a guest is not the owner');
SELECT t.is(array_agg(s.role ORDER BY s.role), ARRAY['editor'], 'the list shows the caller''s own role')
  FROM domain.project_shared(t.actor('erin')) r, automl.project(r, t.asker('erin')) s;

-- Without a limit of the plan, the file system's size, where the caller says so.
SELECT set_config('fovea.storage_bytes', '10770', true) \g /dev/null
SELECT t.is(s."limit" || ' ' || s.percentage, '10770 10.0', 'storage of an unlimited plan')
  FROM domain.storage_get(t.actor('alice')) r, ultralytics.storage(r, t.asker('alice')) s;
SELECT domain.media_downloaded('weights', (SELECT f.id FROM domain.model_file_list(t.actor('alice'), t.model()) f), 3) \g /dev/null
SELECT domain.media_downloaded('weights', (SELECT f.id FROM domain.model_file_list(t.actor('alice'), t.model()) f)) \g /dev/null
SELECT t.is((SELECT s."downloadCount" FROM domain.model_get(t.actor('alice'), t.model()) r, ultralytics.model(r, t.asker('alice')) s), 4::bigint,
            'downloads are counted');

-- A delete answers with what went.
SELECT domain.project_trash(t.actor('alice'), t.project()) \g /dev/null
SELECT t.is(t.keys(row_to_json(s)) || ' ' || s."cascadedModels" || ' ' || (s."expiresAt" - s."trashedAt"), 'id@createdAt trashedAt expiresAt cascadedModels #createdAt 1 30 days',
            'project_gone')
  FROM domain.project_trashed(t.actor('alice'), t.row_id()) r, ultralytics.project_gone(r, t.asker('alice')) s;
SELECT t.is(t.rows('SELECT 1 FROM domain.project_trashed(t.actor(''mallory''), t.project())'), 0::bigint, 'is the owner''s alone');
SELECT t.is(t.rows('SELECT 1 FROM domain.project_get(t.actor(''alice''), t.project())')
          + t.rows('SELECT 1 FROM domain.model_get(t.actor(''alice''), t.model())')
          + t.rows('SELECT 1 FROM domain.model_file_list(t.actor(''alice''), t.model())')
          + t.rows('SELECT 1 FROM domain.timeline(t.actor(''alice''), t.project())')
          + t.rows('SELECT 1 FROM domain.media_object(''weights'', 1)'), 0::bigint, 'what is in the trash is gone from every read');
