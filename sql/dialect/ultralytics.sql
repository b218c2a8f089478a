-- The Ultralytics spelling: ids of 24 hex digits under two names, camel case, a superset of the three generations.
-- Columns named "#x" are not part of the object; envelopes use them as $x.

-- What the writer makes of a column "key@time", for ids inside of JSON and of other rows.
CREATE FUNCTION ultralytics.hex_id(id bigint, created_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(substr(int8send(floor(date_part('epoch', $2))::bigint), 5) || int8send($1), 'hex') $$;

CREATE FUNCTION ultralytics.time(t timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

CREATE FUNCTION ultralytics.model_summary(m domain.model, a domain.asker)
RETURNS TABLE ("id" text, "_id" text, "name" text, "slug" text, "task" text, "status" text, "createdAt" text)
LANGUAGE sql STABLE AS $$
    SELECT ultralytics.hex_id(m.id, m.created_at), ultralytics.hex_id(m.id, m.created_at), m.name, m.slug, m.task,
           m.status, ultralytics.time(m.created_at) $$;

-- No FROM: with a join in it each row of a page would pass through a cache that never hits.
CREATE FUNCTION ultralytics.project(p domain.project, a domain.asker)
RETURNS TABLE ("id,_id@createdAt" bigint, "name" text, "slug" text, "username,owner" text, "description" text, "visibility" text,
               "modelCount" integer, "modelNames" json, "tags" json, "license" text, "totalBytes" bigint,
               "starCount" integer, "isStarred" boolean, "archived" boolean, "iconColor" text, "iconLetter" text,
               "metadata" jsonb, "createdAt" timestamptz, "updatedAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT p.id, p.name, p.slug, p.owner_handle, p.description, p.visibility, p.model_count,
           CASE WHEN p.model_count = 0 THEN '[]'::json
                ELSE to_json(ARRAY(SELECT m.name FROM domain.model m
                                    WHERE m.project_id = p.id ORDER BY m.created_at DESC, m.id DESC LIMIT 100))
           END,
           to_json(p.tags), p.license,
           (SELECT coalesce(sum(c.n), 0)::bigint FROM domain.counter c
             WHERE c.scope_kind = 'project' AND c.scope_id = p.id AND c.noun IN ('dataset_bytes', 'model_bytes')),
           0, false, false, NULL::text, NULL::text, p.metadata, p.created_at, p.updated_at $$;

-- Beside a single project.
CREATE FUNCTION ultralytics.project_beside(p domain.project, a domain.asker)
RETURNS TABLE ("#isOwner" boolean, "#models" json) LANGUAGE sql STABLE AS $$
    SELECT p.organization_id = (a).organization_id,
           to_json(ARRAY(SELECT s FROM domain.model m, LATERAL ultralytics.model_summary(m, a) AS s
                          WHERE m.project_id = p.id ORDER BY m.created_at DESC, m.id DESC LIMIT 100)) $$;

CREATE FUNCTION ultralytics.project_gone(p domain.project_trashed, a domain.asker)
RETURNS TABLE ("id@createdAt" bigint, "trashedAt" timestamptz, "expiresAt" timestamptz, "cascadedModels" bigint,
               "#createdAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT p.id, p.trashed_at, p.expires_at, p.cascaded_models, p.created_at $$;

CREATE FUNCTION ultralytics.train_result(e domain.training_epoch)
RETURNS TABLE ("epoch" integer, "metrics" jsonb, "fitness" double precision, "timestamp" text) LANGUAGE sql STABLE AS $$
    SELECT e.epoch, e.metrics, e.fitness, ultralytics.time(e.created_at) $$;

-- What int8 of a model is computed with.
CREATE FUNCTION ultralytics.calibration(c domain.calibration)
RETURNS TABLE ("pictures" integer, "source" text, "version" text, "madeAt" text) LANGUAGE sql STABLE AS $$
    SELECT c.pictures, c.source, c.release, ultralytics.time(c.made_at) $$;

-- Why predict refuses weights, and since when.
CREATE FUNCTION ultralytics.condemned(c domain.condemned_weights)
RETURNS TABLE ("reason" text, "condemnedAt" text) LANGUAGE sql STABLE AS $$
    SELECT c.reason, ultralytics.time(c.condemned_at) $$;

-- What the accuracy gate found of one precision on one kind of processor; automatic: the one that predict then uses.
-- calibration: of int8, while it is the one that the verdict was found with.
CREATE FUNCTION ultralytics.precision_verdict(v domain.precision_verdict, chosen text[])
RETURNS TABLE ("precision" text, "verdict" text, "automatic" boolean, "reason" text, "cpu" text, "version" text,
               "evidence" text, "pictures" integer, "findings" integer, "agreeing" integer, "worstIou" double precision,
               "worstScoreDifference" double precision, "f32Ms" double precision, "ms" double precision, "calibration" json,
               "checkedAt" text)
LANGUAGE sql STABLE AS $$
    SELECT v.precision, v.verdict, concat_ws(' ', v.cpu, v.release, v.precision) = ANY (chosen), v.reason, v.cpu,
           v.release, v.evidence, v.pictures, v.findings, v.agreeing, v.worst_likeness, v.worst_difference, v.f32_ms,
           v.candidate_ms,
           (SELECT to_json(k)
              FROM domain.calibration c, LATERAL ultralytics.calibration(c) AS k
             WHERE c.model_file_id = v.model_file_id AND c.digest = v.calibration),
           ultralytics.time(v.checked_at) $$;

-- What the check of a plan found on one kind of processor; avoided: so many layers are computed another way.
CREATE FUNCTION ultralytics.plan_check(p domain.plan_check)
RETURNS TABLE ("cpu" text, "version" text, "layers" integer, "wrong" integer, "worstLayer" text, "worstDifference" double precision,
               "plainLoops" double precision, "avoided" integer, "reason" text, "checkedAt" text) LANGUAGE sql STABLE AS $$
    SELECT p.cpu, p.release, p.layers, p.wrong, p.worst_layer, p.worst_difference, p.slow_work,
           cardinality(string_to_array(p.avoided, ' ')), p.reason, ultralytics.time(p.checked_at) $$;

-- The final metrics, or in their absence those of the newest run; train results of that run alone.
CREATE FUNCTION ultralytics.model(m domain.model, a domain.asker)
RETURNS TABLE ("id,_id@createdAt" bigint, "name" text, "slug" text, "projectId@projectCreatedAt" bigint, "projectSlug" text, "username" text,
               "owner" text, "description" text, "task" text, "status" text, "visibility" text, "epochs" integer,
               "bestEpoch" integer, "bestFitness" double precision, "metrics" jsonb, "trainArgs" jsonb,
               "trainResults" json, "modelInfo" json, "classNames" json, "plots" jsonb, "environment" jsonb,
               "datasetId" text, "datasetVersion" integer, "baseModel" text, "hasWeights" boolean, "file" json,
               "version" text, "runnable" boolean, "runnableReason" text, "trainingError" jsonb, "computeCost" integer,
               "consoleChunks" integer, "starCount" integer, "isStarred" boolean, "license" text, "color" text,
               "downloadCount" bigint, "startedAt" timestamptz, "completedAt" timestamptz, "trainedAt" timestamptz,
               "createdAt" timestamptz, "updatedAt" timestamptz, "#isOwner" boolean,
               "#projectCreatedAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT m.id, m.name, m.slug, p.id, p.slug, o.handle, o.handle, m.description, m.task, m.status,
           p.visibility, r.epochs, r.best_epoch, r.best_fitness,
           CASE WHEN m.metrics = '{}' THEN coalesce(r.metrics, '{}') ELSE m.metrics END,
           coalesce(r.arguments, '{}'),
           CASE WHEN r.id IS NULL THEN '[]'::json
                ELSE to_json(ARRAY(SELECT x FROM domain.training_epoch e, LATERAL ultralytics.train_result(e) AS x
                                    WHERE e.training_run_id = r.id ORDER BY e.epoch))
           END,
           json_build_object('parameters', m.parameters, 'gflops', m.gflops, 'speedMs', m.speed_ms, 'precision',
                             to_json(ARRAY(SELECT x
                                             FROM domain.precision_verdict v,
                                                  LATERAL ultralytics.precision_verdict(v, domain.precision_choices(f.id)) AS x
                                            WHERE v.model_file_id = f.id ORDER BY v.cpu, v.precision)),
                             'check', to_json(ARRAY(SELECT x
                                                      FROM domain.plan_check k, LATERAL ultralytics.plan_check(k) AS x
                                                     WHERE k.model_file_id = f.id ORDER BY k.cpu)),
                             'calibration', (SELECT to_json(x)
                                               FROM domain.calibration c, LATERAL ultralytics.calibration(c) AS x
                                              WHERE c.model_file_id = f.id),
                             'condemned', (SELECT to_json(x) FROM ultralytics.condemned(w) AS x WHERE w.digest IS NOT NULL)),
           to_json(m.class_names), coalesce(r.plots, '[]'), coalesce(r.environment, '{}'),
           (SELECT ultralytics.hex_id(d.id, d.created_at) FROM domain.dataset d WHERE d.id = m.dataset_id),
           NULL::integer, m.architecture, f.id IS NOT NULL,
           CASE WHEN f.id IS NOT NULL THEN json_build_object('size', f.size) END, m.package_version,
           m.runnable AND w.digest IS NULL, coalesce(w.reason, m.why_not),
           r.error, NULL::integer, 0, 0, false, m.license, NULL::text,
           CASE WHEN f.id IS NULL THEN 0
                ELSE (SELECT coalesce(sum(c.n), 0)::bigint FROM domain.counter c
                       WHERE c.scope_kind = 'model_file' AND c.scope_id = f.id AND c.noun = 'download')
           END,
           coalesce(r.started_at, m.started_at), coalesce(r.finished_at, m.completed_at),
           coalesce(r.finished_at, m.completed_at, r.started_at, m.started_at), m.created_at, m.updated_at,
           m.organization_id = (a).organization_id, p.created_at
      FROM domain.project p
      JOIN domain.organization o ON o.id = p.organization_id
      LEFT JOIN domain.model_file f ON f.model_id = m.id AND f.purpose = 'weights'
      LEFT JOIN domain.condemned_weights w ON w.digest = f.digest
      LEFT JOIN LATERAL (SELECT t.* FROM domain.training_run t
                          WHERE t.model_id = m.id ORDER BY t.id DESC LIMIT 1) AS r ON true
     WHERE p.id = m.project_id $$;

CREATE FUNCTION ultralytics.model_gone(m domain.model_trashed, a domain.asker)
RETURNS TABLE ("id@createdAt" bigint, "trashedAt" timestamptz, "expiresAt" timestamptz, "#createdAt" timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT m.id, m.trashed_at, m.expires_at, m.created_at $$;

-- The last segment of the link is what clients save the file as.
CREATE FUNCTION ultralytics.model_file(f domain.model_file, a domain.asker)
RETURNS TABLE ("name" text, "size" bigint, "downloadUrl#weights" text, "url#weights" text, "contentType" text,
               "expiresAt#expires:weights" text)
LANGUAGE sql STABLE AS $$
    SELECT f.name, f.size, f.id || '/' || f.organization_id || '/' || f.name,
           f.id || '/' || f.organization_id || '/' || f.name, f.media_type, '' $$;

-- An upload session: the address to PUT the file to. The opaque path is echoed by clients as what they sent.
CREATE FUNCTION ultralytics.upload(u domain.upload, a domain.asker)
RETURNS TABLE ("sessionId@createdAt" bigint, "uploadUrl#upload" text, "url#upload" text, "objectPath" text, "gcsPath" text,
               "contentType" text, "totalBytes" bigint, "expiresAt" timestamptz,
               "#createdAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT u.id, u.id || '/' || u.organization_id || '/' || u.name,
           u.id || '/' || u.organization_id || '/' || u.name, 'uploads/' || u.uuid || '/' || u.name,
           'uploads/' || u.uuid || '/' || u.name, u.media_type, u.declared_bytes, u.expires_at,
           u.created_at $$;

CREATE FUNCTION ultralytics.upload_file(u domain.upload, a domain.asker)
RETURNS TABLE ("name" text, "size" bigint, "contentType" text, "sha256" text, "#modelId" text) LANGUAGE sql STABLE AS $$
    SELECT u.name, b.size, coalesce(u.media_type, b.media_type), encode(u.digest, 'hex'),
           (SELECT ultralytics.hex_id(m.id, m.created_at) FROM domain.model m WHERE m.id = u.noun_id)
      FROM domain.blob b
     WHERE b.digest = u.digest $$;

CREATE FUNCTION ultralytics.api_key(k domain.api_key, a domain.asker)
RETURNS TABLE ("id,keyId@createdAt" bigint, "name" text, "keyPrefix" text, "scopes" json, "createdAt" timestamptz,
               "lastUsedAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT k.id, k.name, k.display,
           to_json(k.scopes), k.created_at, k.last_used_at $$;

CREATE FUNCTION ultralytics.event(e domain.event, a domain.asker)
RETURNS TABLE ("id,_id@createdAt" bigint, "type,action" text, "resourceType" text, "resourceId@resourceCreatedAt" bigint,
               "resourceName" text, "message" text, "metadata" jsonb, "user" text, "seen" boolean, "archived" boolean,
               "createdAt,timestamp" timestamptz, "#resourceCreatedAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT e.id, e.action, e.noun, e.noun_id, e.noun_name, e.message, e.metadata,
           (SELECT c.username FROM domain.account c WHERE c.id = e.account_id), e.seen, e.archived, e.created_at,
           e.noun_created_at $$;

-- Without a limit of the plan, the size of the file system, which the caller may set as fovea.storage_bytes.
CREATE FUNCTION ultralytics.storage(s domain.storage, a domain.asker)
RETURNS TABLE ("used" bigint, "limit" bigint, "percentage" numeric, "tier" text, "usage" json, "breakdown" json,
               "username" text, "updatedAt" timestamptz) LANGUAGE sql STABLE AS $$
    SELECT s.used_bytes, l.bytes, u.percent, s.plan,
           json_build_object('storage', json_build_object('current', s.used_bytes, 'limit', l.bytes,
                                                          'percent', u.percent)),
           json_build_object('byCategory', json_build_object(
                   'datasets', json_build_object('bytes', s.dataset_bytes, 'count', s.dataset_count),
                   'models', json_build_object('bytes', s.model_bytes, 'count', s.model_count),
                   'exports', json_build_object('bytes', 0, 'count', 0)),
               'topItems', '[]'::json),
           s.handle, now()
      FROM (SELECT coalesce(s.limit_bytes, nullif(current_setting('fovea.storage_bytes', true), '')::bigint)) AS l(bytes)
     CROSS JOIN LATERAL (SELECT round(100.0 * s.used_bytes / nullif(l.bytes, 0), 1)) AS u(percent) $$;
