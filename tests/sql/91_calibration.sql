-- Calibrations: whose they are, what keeps their bytes, which verdicts of int8 hold, when they are due; and what a model shows.
CALL t.people();
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
DELETE FROM data.job;
SELECT domain.model_create(t.actor('alice'), t.project(), 'Tried', file_name => 'm.onnx', digest => sha256('tried'), size => 5,
                           runnable => true) \g /dev/null
SELECT set_config('t.tried', t.row_id()::text, true), set_config('t.file', f.id::text, true)
  FROM data.model_file f WHERE f.model_id = t.row_id() \g /dev/null
CREATE FUNCTION t.file() RETURNS bigint LANGUAGE sql AS $$ SELECT current_setting('t.file')::bigint $$;
SELECT domain.plan_check_set(t.file(), 'a/avx', '1.0', 6, 0, 'x', 0, 0, '', NULL) \g /dev/null
CREATE FUNCTION t.calibrated(bytes text, pictures int DEFAULT 64, source text DEFAULT 'dataset', release text DEFAULT '1.0', held int DEFAULT 64)
RETURNS boolean LANGUAGE sql AS $$ SELECT domain.calibration_set(t.file(), sha256($1::bytea), 9, $2, $3, $4, $5) $$;
CREATE FUNCTION t.found(name text, verdict text, ms float8, held int, calibration text DEFAULT NULL)
RETURNS boolean LANGUAGE sql AS $$
    SELECT domain.precision_verdict_set(t.file(), 'a/avx', $1, '1.0', $2, NULL, 'dataset', 20, 50, 50, 0.98, 0.01, 10, $3, $4,
                                        sha256($5::bytea)) $$;
CREATE FUNCTION t.shown(key text) RETURNS json LANGUAGE sql AS $$
    SELECT s."modelInfo" -> $1
      FROM domain.model_get(t.actor('alice'), current_setting('t.tried')::bigint) r, LATERAL ultralytics.model(r, t.asker('alice')) s $$;

-- One for each file, the newest.
SELECT t.ok(t.shown('calibration') IS NULL OR t.shown('calibration')::text = 'null', 'a model begins without');
SELECT t.ok(t.calibrated('one'), 'a calibration is kept');
SELECT t.ok(t.calibrated('two', 70, 'given', '1.1'), 'another one');
SELECT t.is((SELECT string_agg(format('%s %s %s %s', c.digest = sha256('two'), c.pictures, c.source, c.release), ', ') FROM domain.calibration c),
            't 70 given 1.1', 'takes its place');
SELECT t.is((SELECT b.size || ' ' || b.media_type FROM data.blob b WHERE b.digest = sha256('two')), '9 text/plain', 'its bytes have their row');
SELECT t.ok(NOT domain.calibration_set(0, sha256('x'), 9, 64, 'dataset', '1.0', 64), 'a file that is gone gets none');
SELECT t.is((SELECT count(*) FROM data.blob WHERE digest = sha256('x')), 0::bigint, 'and no row of bytes');
SELECT t.refuses(v.call, '23514', v.broken, v.broken)
  FROM (VALUES ('SELECT t.calibrated(''a'', 63)', 'calibration_pictures_few'),
               ('SELECT t.calibrated(''a'', 64, ''heard of'')', 'calibration_source_unknown'),
               ('SELECT t.calibrated(''a'', 64, ''given'', ''one two'')', 'calibration_release_malformed'),
               ('SELECT t.found(''int8'', ''passed'', 3, 64)', 'precision_verdict_uncalibrated')) AS v (call, broken);
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT w.calibration FROM domain.model_weights(t.actor('alice'), current_setting('t.tried')::bigint) w), sha256('two'), 'predict is told which');
SELECT t.is(t.rows(format('SELECT 1 FROM domain.model_weights(t.actor(''bob''), %s)', current_setting('t.tried'))), 0::bigint, 'no other tenant is');
RESET ROLE;

-- The sweeper: the one that holds stays, the one before goes.
UPDATE data.blob SET created_at = now() - interval '2 days' WHERE digest IN (sha256('one'), sha256('two'));
SELECT t.is(array_agg(x.digest), ARRAY[sha256('one')], 'what was replaced is the sweeper''s') FROM domain.blob_mark_unreferenced('1 day') x;
SELECT t.ok(domain.blob_forget(sha256('one')) AND NOT domain.blob_forget(sha256('two')), 'and goes, and no other');

-- Verdicts of int8 hold with the calibration that they were found with.
SELECT t.found('f16', 'passed', 6, 64) \g /dev/null
SELECT t.found('int8', 'passed', 3, 64, 'one') \g /dev/null
SELECT t.is(domain.precision_choices(t.file()), ARRAY['a/avx 1.0 f16'], 'what another calibration passed with chooses nothing');
SELECT t.is(t.shown('precision') -> 1 ->> 'calibration', NULL, 'and is shown without one');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8,f16}', 16, 100), 1::bigint, 'it is to be tried again');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16}', 16, 100), 0::bigint, 'but not the others');
SELECT t.found('int8', 'passed', 3, 64, 'two') \g /dev/null
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8,f16}', 16, 100), 0::bigint, 'with this one nothing is due');
SELECT t.is(domain.precision_choices(t.file()), ARRAY['a/avx 1.0 int8'], 'the fastest is int8');
SELECT t.is((SELECT v ->> 'precision' || ' ' || (v ->> 'automatic') || ' ' || (v -> 'calibration' ->> 'pictures') || ' ' || (v -> 'calibration' ->> 'source')
               FROM json_array_elements(t.shown('precision')) v WHERE v ->> 'precision' = 'int8'), 'int8 true 70 given', 'shown with its calibration');
SELECT t.is((SELECT string_agg(k, ' ') FROM json_object_keys(t.shown('calibration')) k), 'pictures source version madeAt', 'which the model shows too');
SELECT t.calibrated('three', 64, 'dataset', '1.0', 64) \g /dev/null
SELECT t.is(domain.precision_choices(t.file()), ARRAY['a/avx 1.0 f16'], 'a new calibration has to pass first');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8,f16}', 16, 100), 1::bigint, 'and is tried, though the pictures are the same');
SELECT t.ok(domain.calibration_queue(t.file()), 'by hand it is asked for at once');
SELECT t.ok(NOT domain.calibration_queue(t.file()), 'and once');

-- Unproven for want of pictures: due again when there are enough of them for a calibration.
DELETE FROM data.calibration;
DELETE FROM data.job;
SELECT t.ok(NOT domain.calibration_queue(t.file()), 'without a calibration there is nothing to ask');
SELECT t.found('int8', 'unproven', NULL, 40) \g /dev/null
SELECT t.found('f16', 'passed', 6, 40) \g /dev/null
INSERT INTO data.blob (digest, size, media_type) VALUES (sha256('picture'), 4, 'image/png');
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height)
SELECT domain.dataset_default(t.actor('alice'), t.project()), sha256('picture'), 4, 'x', 1, 1 FROM generate_series(1, 63);
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8,f16}', 16, 100), 0::bigint, '63 pictures are none more than before');
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height)
SELECT domain.dataset_default(t.actor('alice'), t.project()), sha256('picture'), 4, 'x', 1, 1;
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{f16}', 16, 100), 0::bigint, '64 change nothing for others');
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8,f16}', 16, 100), 1::bigint, 'but are enough to calibrate');
SELECT t.found('int8', 'unproven', NULL, 64) \g /dev/null
SELECT t.is(domain.precision_queue('a/avx', '1.0', '{int8,f16}', 16, 100), 0::bigint, 'a calibration that could not be made is not tried again and again');

-- Weights that are refused say so.
SELECT t.is(t.shown('condemned')::text, 'null', 'nothing is held against a model');
SELECT domain.weights_condemn(sha256('tried'), 'it crashed') \g /dev/null
SELECT t.is(t.shown('condemned') ->> 'reason', 'it crashed', 'until it is condemned');
SELECT t.ok((t.shown('condemned') ->> 'condemnedAt') LIKE to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') || 'T%Z', 'with the time');
SELECT t.is((SELECT s."runnable" || ' ' || s."runnableReason" FROM domain.model_get(t.actor('alice'), current_setting('t.tried')::bigint) r,
                    LATERAL ultralytics.model(r, t.asker('alice')) s), 'false it crashed', 'and is not to be run');
SELECT domain.weights_pardon(sha256('tried')) \g /dev/null
SELECT t.is(t.shown('condemned')::text, 'null', 'a pardon clears it');

-- With the weights it goes: when the trash is emptied, and not while the model is in there.
SELECT t.calibrated('four') \g /dev/null
UPDATE data.blob SET created_at = now() - CASE WHEN digest = sha256('four') THEN interval '2 days' ELSE '0' END;
UPDATE data.model SET deleted_at = now() WHERE id = current_setting('t.tried')::bigint;
SELECT t.is(t.rows('SELECT 1 FROM domain.blob_mark_unreferenced(''1 day'')'), 0::bigint, 'in the trash it is kept');
UPDATE data.model SET deleted_at = now() - interval '31 days' WHERE id = current_setting('t.tried')::bigint;
SELECT t.is(domain.purge_due(100), 1::bigint, 'the trash is emptied');
SELECT t.is((SELECT count(*) FROM data.calibration), 0::bigint, 'and the calibration with it');
SELECT t.is(array_agg(x.digest), ARRAY[sha256('four')], 'whose bytes are the sweeper''s') FROM domain.blob_mark_unreferenced('1 day') x;
