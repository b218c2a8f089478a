-- The accuracy gate: what is queued, on which pictures a model is tried, what verdicts come to.
CALL t.people();
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
CREATE FUNCTION t.found(file bigint, cpu text, name text, release text, verdict text, f32 float8, ms float8, held int DEFAULT 0)
RETURNS boolean LANGUAGE sql AS $$
    SELECT domain.precision_verdict_set($1, $2, $3, $4, $5, CASE $5 WHEN 'passed' THEN NULL ELSE 'why' END, 'bundled', 20, 50, 50,
                                        0.98, 0.01, $6, $7, $8) $$;

-- Weights that arrive are queued once, by the database itself; other files are not.
DELETE FROM data.job;
SELECT domain.model_create(t.actor('alice'), t.project(), 'Tried', file_name => 'm.onnx', digest => sha256('tried'), size => 5,
                           runnable => true) \g /dev/null
SELECT set_config('t.tried', t.row_id()::text, true), set_config('t.file', f.id::text, true)
  FROM data.model_file f WHERE f.model_id = t.row_id() \g /dev/null
SELECT t.is((SELECT string_agg(format('%s %s %s', j.kind, j.key, j.parameters), '; ') FROM data.job j),
            format('gate_model %s {"file": %s}', current_setting('t.file'), current_setting('t.file')), 'new weights are to be tried');
INSERT INTO data.model_file (model_id, purpose, format, name, digest, bytes, media_type)
VALUES (current_setting('t.tried')::bigint, 'export', 'onnx', 'e.onnx', sha256('tried'), 5, 'x/y');
SELECT t.is((SELECT count(*) FROM data.job), 1::bigint, 'an export is not');
SELECT domain.model_create(t.actor('alice'), t.project(), 'Empty') \g /dev/null
SELECT t.is((SELECT count(*) FROM data.job), 1::bigint, 'nor is a model without weights');

-- What is to be tried.
SELECT t.is((SELECT s.digest FROM domain.precision_subject(current_setting('t.file')::bigint) s), sha256('tried'), 'the weights of a model that runs');
SELECT domain.weights_condemn(sha256('tried'), 'it crashed') \g /dev/null
SELECT t.is(t.rows('SELECT 1 FROM domain.precision_subject(current_setting(''t.file'')::bigint)'), 0::bigint, 'but not what crashes');
SELECT domain.weights_pardon(sha256('tried')) \g /dev/null
UPDATE data.model SET runnable = false WHERE id = current_setting('t.tried')::bigint;
SELECT t.is(t.rows('SELECT 1 FROM domain.precision_subject(current_setting(''t.file'')::bigint)'), 0::bigint, 'nor what cannot be run');
UPDATE data.model SET runnable = true WHERE id = current_setting('t.tried')::bigint;

-- Verdicts, as predict reads them.
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT w.precisions FROM domain.model_weights(t.actor('alice'), current_setting('t.tried')::bigint) w), '{}'::text[], 'without a verdict nothing is chosen');
RESET ROLE;
SELECT t.ok(t.found(current_setting('t.file')::bigint, 'a/avx', 'f16', '1.0', 'failed', 10, 5), 'a verdict is written');
SELECT t.is(domain.precision_choices(current_setting('t.file')::bigint), '{}'::text[], 'one that failed chooses nothing');
SELECT t.found(current_setting('t.file')::bigint, 'a/avx', 'f16', '1.0', 'unproven', 10, 5) \g /dev/null
SELECT t.is(domain.precision_choices(current_setting('t.file')::bigint), '{}'::text[], 'nor does one without evidence');
SELECT t.found(current_setting('t.file')::bigint, 'a/avx', 'f16', '1.0', 'passed', 10, 10) \g /dev/null
SELECT t.is(domain.precision_choices(current_setting('t.file')::bigint), '{}'::text[], 'nor what is no faster than float32');
SELECT t.found(current_setting('t.file')::bigint, 'a/avx', 'f16', '1.0', 'passed', 10, 5) \g /dev/null
SELECT t.is((SELECT count(*) FROM data.precision_verdict), 1::bigint, 'the last word replaces the one before');
SELECT t.found(current_setting('t.file')::bigint, 'a/avx', 'bf16', '1.0', 'passed', 10, 7) \g /dev/null
SELECT t.found(current_setting('t.file')::bigint, 'b/avx', 'bf16', '1.0', 'passed', 10, 3) \g /dev/null
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT w.precisions FROM domain.model_weights(t.actor('alice'), current_setting('t.tried')::bigint) w),
            ARRAY['a/avx 1.0 f16', 'b/avx 1.0 bf16'], 'the fastest that passed, for each processor');
SELECT t.is(t.rows(format('SELECT 1 FROM domain.model_weights(t.actor(''bob''), %s)', current_setting('t.tried'))), 0::bigint, 'no other tenant sees it');
SELECT t.is((SELECT string_agg(format('%s %s %s', v ->> 'cpu', v ->> 'precision', v ->> 'automatic'), ', ')
               FROM domain.model_get(t.actor('alice'), current_setting('t.tried')::bigint) r,
                    LATERAL ultralytics.model(r, t.asker('alice')) s, json_array_elements(s."modelInfo" -> 'precision') v),
            'a/avx bf16 false, a/avx f16 true, b/avx bf16 true', 'what is shown says which one is automatic');
RESET ROLE;
SELECT t.found(current_setting('t.file')::bigint, 'c/avx', 'f16', '1.0', 'passed', 10, 5) \g /dev/null
SELECT t.found(current_setting('t.file')::bigint, 'c/avx', 'bf16', '1.0', 'passed', 20, 8) \g /dev/null
SELECT t.is((SELECT c FROM unnest(domain.precision_choices(current_setting('t.file')::bigint)) c WHERE c LIKE 'c/%'),
            'c/avx 1.0 bf16', 'of trials at a slow hour and a quick one the larger gain counts');
SELECT t.ok(NOT t.found(0, 'a/avx', 'f16', '1.0', 'passed', 10, 5), 'a file that is gone gets no verdict');
SELECT t.refuses(format('SELECT t.found(%s, %L, %L, %L, %L, 1, 1)', current_setting('t.file'), v.cpu, v.name, v.release, v.verdict), '23514', v.broken, v.broken)
  FROM (VALUES ('a cpu', 'f16', '1', 'passed', 'precision_verdict_cpu_malformed'),
               ('a', 'f64', '1', 'passed', 'precision_verdict_precision_unknown'),
               ('a', 'f16', 'one two', 'passed', 'precision_verdict_release_malformed'),
               ('a', 'f16', '1', 'fine', 'precision_verdict_unknown')) AS v (cpu, name, release, verdict, broken);

-- The pictures: of the model's dataset or its project's, validation first, no frames, nothing from the trash.
SELECT set_config('t.dataset', domain.dataset_default(t.actor('alice'), t.project())::text, true) \g /dev/null
INSERT INTO data.blob (digest, size, media_type) SELECT sha256(n::text::bytea), 4, 'image/png' FROM generate_series(1, 40) n;
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height, split, deleted_at)
SELECT current_setting('t.dataset')::bigint, sha256(n::text::bytea), 4, 'x', 1, 1,
       CASE WHEN n <= 5 THEN 'train' WHEN n <= 8 THEN 'test' ELSE 'val' END, CASE WHEN n = 12 THEN now() END
  FROM generate_series(1, 12) n;
SELECT t.is((SELECT array_agg(p.digest) FROM domain.precision_pictures(current_setting('t.file')::bigint, 4) p),
            ARRAY(SELECT sha256(n::text::bytea) FROM unnest(ARRAY[9, 10, 11, 6]) n), 'validation first, then test');
SELECT t.is(t.rows('SELECT 1 FROM domain.precision_pictures(current_setting(''t.file'')::bigint, 100)'), 11::bigint, 'all that are not in the trash');
SELECT t.is(domain.precision_pictures_held(current_setting('t.file')::bigint), 11, 'which are counted');
INSERT INTO data.item (dataset_id, kind, video_id, frame_index, name, width, height)
SELECT current_setting('t.dataset')::bigint, 'frame', v.id, 1, 'f', 1, 1
  FROM (SELECT max(i.id) AS id FROM data.item i) v;
SELECT t.is(t.rows('SELECT 1 FROM domain.precision_pictures(current_setting(''t.file'')::bigint, 100)'), 11::bigint, 'frames have no file');
DELETE FROM data.item WHERE kind = 'frame';

-- What is due.
DELETE FROM data.job;
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{}', 16, 100), 1::bigint, 'what was never checked is, where nothing is to be tried too');
SELECT domain.plan_check_set(current_setting('t.file')::bigint, 'a/avx', '1.0', 6, 0, 'x', 0, 0, '', NULL) \g /dev/null
DELETE FROM data.job;
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16,bf16}', 16, 100), 0::bigint, 'where verdicts hold nothing is due');
SELECT t.is(domain.precision_queue('c/avx', '1.0', '{f16}', 16, 100), 1::bigint, 'another processor tries again');
SELECT t.is(domain.precision_queue('c/avx', '1.0', '{f16}', 16, 100), 0::bigint, 'but asks once');
SELECT t.is((SELECT j.parameters ->> 'cpu' FROM data.job j), 'c/avx', 'and names itself');
SELECT t.is(domain.precision_queue('a/avx', '1.1', '{f16}', 16, 100), 1::bigint, 'so does another release');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8}', 16, 100), 1::bigint, 'and a precision that is new');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{}', 16, 100), 0::bigint, 'a processor without any has nothing to try');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16}', 11, 100), 1::bigint, 'a dataset that has become large enough');
SELECT t.found(current_setting('t.file')::bigint, 'a/avx', 'f16', '1.0', 'passed', 10, 5, 11) \g /dev/null
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16}', 11, 100), 0::bigint, 'is tried');
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height)
SELECT current_setting('t.dataset')::bigint, sha256(n::text::bytea), 4, 'x', 1, 1 FROM generate_series(13, 22) n;
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16}', 11, 100), 0::bigint, 'nearly twice as many change nothing');
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height)
SELECT current_setting('t.dataset')::bigint, sha256(n::text::bytea), 4, 'x', 1, 1 FROM generate_series(23, 23) n;
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16}', 11, 100), 1::bigint, 'twice as many do');

-- Verdicts go with the file.
UPDATE data.model SET deleted_at = now() WHERE id = current_setting('t.tried')::bigint;
SELECT t.is(domain.precision_queue('d/avx', '1.0', '{f16}', 16, 100), 0::bigint, 'what is in the trash is not tried');
DELETE FROM data.model_file WHERE id = current_setting('t.file')::bigint;
SELECT t.is((SELECT count(*) FROM data.precision_verdict), 0::bigint, 'verdicts go with the file');
