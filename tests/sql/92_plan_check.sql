-- Checks of plans: the last one of a processor holds, predict is told what to avoid, a model shows them.
CALL t.people();
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
SELECT domain.model_create(t.actor('alice'), t.project(), 'Tried', file_name => 'm.onnx', digest => sha256('tried'), size => 5,
                           runnable => true) \g /dev/null
SELECT set_config('t.tried', t.row_id()::text, true), set_config('t.file', f.id::text, true)
  FROM data.model_file f WHERE f.model_id = t.row_id() \g /dev/null
CREATE FUNCTION t.file() RETURNS bigint LANGUAGE sql AS $$ SELECT current_setting('t.file')::bigint $$;
CREATE FUNCTION t.checked(cpu text, release text, layers int, wrong int, avoided text, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE sql AS $$ SELECT domain.plan_check_set(t.file(), $1, $2, $3, $4, 'model.22/conv', 6e-5, 0.01, $5, $6) $$;
CREATE FUNCTION t.shown() RETURNS json LANGUAGE sql AS $$
    SELECT s."modelInfo" -> 'check'
      FROM domain.model_get(t.actor('alice'), current_setting('t.tried')::bigint) r, LATERAL ultralytics.model(r, t.asker('alice')) s $$;

SELECT t.is(t.shown()::text, '[]', 'a model begins unchecked');
SELECT t.ok(t.checked('a/avx', '1.0', 66, 0, ''), 'a check is written');
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT w.avoided FROM domain.model_weights(t.actor('alice'), current_setting('t.tried')::bigint) w), '{}'::text[], 'where nothing is wrong nothing is avoided');
RESET ROLE;
SELECT t.ok(t.checked('a/avx', '1.1', 66, 1, '00112233445566aa:own ffeeddccbbaa9988:fast', 'Conv x is off by 3'), 'another one');
SELECT t.is((SELECT count(*) FROM data.plan_check), 1::bigint, 'takes its place');
SELECT t.ok(t.checked('b/avx', '1.1', 66, 0, ''), 'another processor has its own');
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT w.avoided FROM domain.model_weights(t.actor('alice'), current_setting('t.tried')::bigint) w),
            ARRAY['a/avx 1.1 00112233445566aa:own ffeeddccbbaa9988:fast'], 'predict is told which layers, and where');
SELECT t.is(t.rows(format('SELECT 1 FROM domain.model_weights(t.actor(''bob''), %s)', current_setting('t.tried'))), 0::bigint, 'no other tenant is');
SELECT t.is((SELECT string_agg(concat_ws(' ', v ->> 'cpu', v ->> 'version', v ->> 'layers', v ->> 'wrong', v ->> 'worstLayer', v ->> 'worstDifference',
                                         v ->> 'avoided', v ->> 'reason'), ', ') FROM json_array_elements(t.shown()) v),
            'a/avx 1.1 66 1 model.22/conv 6e-05 2 Conv x is off by 3, b/avx 1.1 66 0 model.22/conv 6e-05 0', 'the model shows both');
RESET ROLE;
SELECT t.ok(NOT domain.plan_check_set(0, 'a/avx', '1.0', 1, 0, 'x', 0, 0, '', NULL), 'a file that is gone gets none');
SELECT t.refuses(format('SELECT t.checked(%L, %L, %s, %s, %L, %L)', v.cpu, v.release, v.layers, v.wrong, v.avoided, v.reason), '23514', v.broken, v.broken)
  FROM (VALUES ('a cpu', '1', 1, 0, '', 'x', 'plan_check_cpu_malformed'),
               ('a', 'one two', 1, 0, '', 'x', 'plan_check_release_malformed'),
               ('a', '1', -1, -1, '', 'x', 'plan_check_layers_negative'),
               ('a', '1', 1, 2, '', 'x', 'plan_check_wrong_many'),
               ('a', '1', 1, 0, '0011:own', 'x', 'plan_check_avoided_malformed'),
               ('a', '1', 1, 0, '00112233445566aa:own ', 'x', 'plan_check_avoided_malformed'),
               ('a', '1', 1, 0, '', repeat('x', 201), 'plan_check_reason_long')) AS v (cpu, release, layers, wrong, avoided, reason, broken);

-- When it is due, whatever there is to be tried; and once.
DELETE FROM data.job;
SELECT t.is(domain.precision_queue('a/avx', '1.1', '{}', 16, 100), 0::bigint, 'a check holds');
SELECT t.is(domain.precision_queue('a/avx', '1.2', '{}', 16, 100), 1::bigint, 'not for another release');
SELECT t.is(domain.precision_queue('c/avx', '1.1', '{}', 16, 100), 1::bigint, 'nor for another processor');
SELECT t.is(domain.precision_queue('c/avx', '1.1', '{}', 16, 100), 0::bigint, 'which asks once');
SELECT t.is(domain.precision_queue('a/avx', '1.1', '{f16}', 16, 100), 1::bigint, 'a check is no verdict');

DELETE FROM data.model_file WHERE id = t.file();
SELECT t.is((SELECT count(*) FROM data.plan_check), 0::bigint, 'checks go with the file');
