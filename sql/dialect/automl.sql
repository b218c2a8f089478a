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

-- Fields that an entry of one type must show as null are json, since a NULL column marked "?" is left out.
CREATE FUNCTION automl.timeline_entry(t domain.timeline_entry, a domain.asker)
RETURNS TABLE ("id" uuid, "type" text, "name" text, "timestamp" timestamptz, "rows?" bigint, "columns?" integer,
               "images?" bigint, "annotations?" bigint, "classes?" json, "media_type?" text, "status?" text,
               "target_column?" text, "problem_type?" text, "best_model_type?" json, "duration?" json, "metrics?" jsonb,
               "model_id?" json) LANGUAGE sql STABLE AS $$
    SELECT t.uuid, t.kind, t.name, t.created_at,
           CASE WHEN t.kind = 'dataset' THEN t.images END,
           CASE WHEN t.kind = 'dataset' THEN cardinality(t.classes) END,
           CASE WHEN t.kind = 'dataset' THEN t.images END,
           CASE WHEN t.kind = 'dataset' THEN t.annotations END,
           CASE WHEN t.kind = 'dataset' THEN to_json(t.classes) END,
           CASE WHEN t.kind = 'dataset' THEN 'image' END,
           CASE WHEN t.kind = 'experiment' THEN automl.run_status(t.status) END,
           CASE WHEN t.kind = 'experiment' THEN t.label_set_name END,
           CASE WHEN t.kind = 'experiment' THEN automl.problem_type(t.task) END,
           CASE WHEN t.kind = 'experiment' THEN coalesce(to_json(t.architecture), 'null') END,
           CASE WHEN t.kind = 'experiment' THEN coalesce(to_json(t.duration_s), 'null') END,
           CASE WHEN t.kind = 'experiment' THEN t.metrics END,
           CASE WHEN t.kind = 'experiment' THEN coalesce(to_json(t.model_uuid), 'null') END $$;
