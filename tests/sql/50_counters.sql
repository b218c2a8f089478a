-- Counters equal a recount after anything: single steps with the numbers written down, then many random ones.
CALL t.people();

-- What is in a project: the numbers that lists show.
CREATE FUNCTION t.numbers(project bigint) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s datasets %s models %s runs, %s items %s + %s bytes', p.dataset_count, p.model_count, p.experiment_count,
                  c.items, c.datasets, c.models)
      FROM data.project p,
           (SELECT coalesce(sum(n) FILTER (WHERE noun = 'item'), 0) AS items,
                   coalesce(sum(n) FILTER (WHERE noun = 'dataset_bytes'), 0) AS datasets,
                   coalesce(sum(n) FILTER (WHERE noun = 'model_bytes'), 0) AS models
              FROM data.counter WHERE scope_kind = 'project' AND scope_id = $1) c
     WHERE p.id = $1 $$;
CREATE FUNCTION t.drift() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s %s: stored %s, counted %s', scope_kind, scope_id, noun, stored, counted), '; ')
      FROM domain.counter_drift() $$;
CREATE FUNCTION t.dataset() RETURNS bigint LANGUAGE sql AS $$
    SELECT domain.dataset_default(t.actor('alice'), t.project()) $$;

SELECT t.is(t.numbers(t.project()), '0 datasets 1 models 0 runs, 0 items 0 + 1000 bytes', 'a project without datasets');
SELECT set_config('t.dataset', t.dataset()::text, true) \g /dev/null
SELECT t.is(t.dataset(), current_setting('t.dataset')::bigint, 'the default dataset is made once');
INSERT INTO data.blob (digest, size, media_type) SELECT sha256(n::text::bytea), n, 'image/jpeg' FROM generate_series(1, 20) n;
INSERT INTO data.item (dataset_id, digest, bytes, name, width, height, split)
SELECT current_setting('t.dataset')::bigint, sha256(n::text::bytea), n, n || '.jpg', 10, 10, CASE WHEN n <= 7 THEN 'train' ELSE 'val' END
  FROM generate_series(1, 10) n;
SELECT t.is(t.numbers(t.project()), '1 datasets 1 models 0 runs, 10 items 55 + 1000 bytes', 'a dataset with ten items');
INSERT INTO data.annotation (item_id, kind, points)
SELECT i.id, 'box', '{0,0,5,5}' FROM data.item i, generate_series(1, 3) WHERE i.dataset_id = current_setting('t.dataset')::bigint AND i.bytes <= 4;
SELECT t.is((SELECT array_agg(noun || ' ' || s ORDER BY noun) FROM (SELECT noun, sum(n) AS s FROM data.counter
              WHERE scope_kind = 'dataset' AND scope_id = current_setting('t.dataset')::bigint GROUP BY noun) x),
            ARRAY['annotation 12', 'bytes 55', 'item 10', 'item_labelled 4', 'item_train 7', 'item_val 3'], 'a dataset''s numbers');
UPDATE data.item SET deleted_at = now() WHERE dataset_id = current_setting('t.dataset')::bigint AND bytes <= 2;
SELECT t.is((SELECT array_agg(noun || ' ' || s ORDER BY noun) FROM (SELECT noun, sum(n) AS s FROM data.counter
              WHERE scope_kind = 'dataset' AND scope_id = current_setting('t.dataset')::bigint GROUP BY noun) x),
            ARRAY['annotation 6', 'bytes 55', 'item 8', 'item_labelled 2', 'item_train 5', 'item_val 3'],
            'trashed items count no more, their bytes do');
UPDATE data.item SET deleted_at = NULL, split = 'test' WHERE dataset_id = current_setting('t.dataset')::bigint AND bytes <= 2;
DELETE FROM data.annotation WHERE item_id IN (SELECT id FROM data.item WHERE bytes = 3);
DELETE FROM data.item WHERE bytes = 10;
SELECT t.is((SELECT array_agg(noun || ' ' || s ORDER BY noun) FROM (SELECT noun, sum(n) AS s FROM data.counter
              WHERE scope_kind = 'dataset' AND scope_id = current_setting('t.dataset')::bigint GROUP BY noun) x),
            ARRAY['annotation 9', 'bytes 45', 'item 9', 'item_labelled 3', 'item_test 2', 'item_train 5', 'item_val 2'],
            'restored, resplit, cleared, deleted');
SELECT t.is(t.drift(), NULL, 'nothing has drifted so far');

-- Trash, restore, move, purge.
SELECT domain.project_create(t.actor('erin'), 'Elsewhere') \g /dev/null
SELECT set_config('t.other', t.row_id()::text, true) \g /dev/null
UPDATE data.model SET project_id = current_setting('t.other')::bigint, organization_id = (t.actor('erin')).organization_id
 WHERE id = t.model();
UPDATE data.dataset SET project_id = current_setting('t.other')::bigint, organization_id = (t.actor('erin')).organization_id, is_default = false
 WHERE id = current_setting('t.dataset')::bigint;
SELECT t.is(t.numbers(t.project()), '0 datasets 0 models 0 runs, 0 items 0 + 0 bytes', 'a model and a dataset that move leave nothing behind');
SELECT t.is(t.numbers(current_setting('t.other')::bigint), '1 datasets 1 models 0 runs, 9 items 45 + 1000 bytes', 'and take everything along');
SELECT t.is((SELECT s.used_bytes FROM domain.storage_get(t.actor('erin')) s), 1045::bigint, 'also between organizations');
UPDATE data.project SET organization_id = (t.actor('vera')).organization_id WHERE id = current_setting('t.other')::bigint;
SELECT t.is((SELECT s.used_bytes || ' ' || s.model_count FROM domain.storage_get(t.actor('vera')) s), '1045 1', 'a project that moves takes its parts along');
SELECT t.is((SELECT x.* FROM domain.project_total(t.actor('erin')) x), 0::bigint, 'and is counted where it is');
SELECT t.is((SELECT array_agg(m.guest) FROM data.project_member m WHERE m.project_id = current_setting('t.other')::bigint), '{t}',
            'its creator is a guest there');
SELECT t.is(t.drift(), NULL, 'nothing has drifted by moves');
SELECT domain.project_trash(t.actor('erin'), current_setting('t.other')::bigint) \g /dev/null
SELECT t.is(t.numbers(current_setting('t.other')::bigint), '0 datasets 0 models 0 runs, 9 items 45 + 1000 bytes', 'the trash keeps bytes');
SELECT t.is((SELECT s.used_bytes || ' ' || s.model_count FROM domain.storage_get(t.actor('vera')) s), '1045 0', 'which count as used');
SELECT t.is((SELECT cascaded_models FROM domain.project_trashed(t.actor('erin'), current_setting('t.other')::bigint)), 1::bigint,
            'the trash knows how many models went along');
SELECT domain.project_restore(t.actor('erin'), current_setting('t.other')::bigint) \g /dev/null
SELECT t.is(t.numbers(current_setting('t.other')::bigint), '1 datasets 1 models 0 runs, 9 items 45 + 1000 bytes', 'restored with all its parts');
SELECT domain.project_purge(t.actor('erin'), current_setting('t.other')::bigint) \g /dev/null
SELECT t.is((SELECT count(*) FROM data.counter WHERE scope_kind IN ('project', 'dataset')
              AND (scope_id = current_setting('t.other')::bigint AND scope_kind = 'project')), 0::bigint, 'a purge leaves no counters of the project');
SELECT t.is((SELECT s.used_bytes FROM domain.storage_get(t.actor('vera')) s), 0::bigint, 'and no bytes');
SELECT t.is((SELECT count(*) FROM data.item), 0::bigint, 'and no items');
SELECT t.is((SELECT count(*) FROM data.label_set), (SELECT count(*) FROM data.project), 'and no label set of its own');
SELECT t.is(t.drift(), NULL, 'nothing has drifted by trash and purge');

-- Random walks. The seed is printed; PGOPTIONS="-c t.seed=0.25" repeats one.
CREATE PROCEDURE t.walk(steps int) LANGUAGE plpgsql AS $$
DECLARE
    who   domain.actor;
    p     bigint;
    p2    bigint;
    dice  double precision;
BEGIN
    FOR i IN 1 .. steps LOOP
        dice := random();
        who := t.actor((ARRAY['alice', 'erin'])[1 + (random() < 0.5)::int]);
        SELECT x.id INTO p FROM data.project x WHERE x.organization_id = (who).organization_id AND x.deleted_at IS NULL ORDER BY random() LIMIT 1;
        SELECT x.id INTO p2 FROM data.project x WHERE x.deleted_at IS NULL ORDER BY random() LIMIT 1;
        IF p IS NULL OR dice < 0.12 THEN
            PERFORM domain.project_create(who, 'walk');
        ELSIF dice < 0.30 THEN
            PERFORM domain.model_create(who, p, 'm', file_name => 'm.onnx', digest => sha256((i % 5)::text::bytea), size => 100 + i % 5,
                                        media_type => 'x/y');
        ELSIF dice < 0.38 THEN
            PERFORM domain.model_trash(who, m.id) FROM (SELECT m.id FROM data.model m WHERE m.project_id = p AND m.deleted_at IS NULL LIMIT 1) m;
        ELSIF dice < 0.42 THEN
            PERFORM domain.model_restore(who, m.id) FROM (SELECT m.id FROM data.model m WHERE m.project_id = p AND m.deleted_at IS NOT NULL LIMIT 1) m;
        ELSIF dice < 0.62 THEN
            PERFORM domain.dataset_default(who, p);
            INSERT INTO data.item (dataset_id, digest, bytes, name, width, height, deleted_at)
            SELECT d.id, sha256('1'), 1 + i, 'x', 1, 1, CASE WHEN random() < 0.2 THEN now() END
              FROM data.dataset d, generate_series(1, 1 + (random() * 4)::int) WHERE d.project_id = p;
        ELSIF dice < 0.70 THEN
            INSERT INTO data.annotation (item_id, kind) SELECT i.id, 'tag' FROM data.item i ORDER BY random() LIMIT 5;
        ELSIF dice < 0.74 THEN
            DELETE FROM data.annotation WHERE random() < 0.2;
        ELSIF dice < 0.78 THEN
            UPDATE data.item SET deleted_at = CASE WHEN random() < 0.5 THEN now() END,
                   split = (ARRAY['train', 'val', 'test', 'unassigned'])[1 + (random() * 3)::int] WHERE random() < 0.3;
        ELSIF dice < 0.81 THEN
            UPDATE data.item SET dataset_id = (SELECT d.id FROM data.dataset d ORDER BY random() LIMIT 1) WHERE random() < 0.2;
        ELSIF dice < 0.84 THEN
            UPDATE data.model m SET project_id = q.id, organization_id = q.organization_id, slug = 'moved-' || m.id || '-' || i
              FROM data.project q WHERE q.id = p2 AND m.project_id = p;
        ELSIF dice < 0.87 THEN
            INSERT INTO data.training_run (project_id, name, deleted_at) SELECT p, 'r', CASE WHEN random() < 0.3 THEN now() END FROM generate_series(1, 2);
        ELSIF dice < 0.92 THEN
            PERFORM domain.project_trash(who, p);
        ELSIF dice < 0.95 THEN
            PERFORM domain.project_restore(who, x.id) FROM (SELECT x.id FROM data.project x
                WHERE x.organization_id = (who).organization_id AND x.deleted_at IS NOT NULL LIMIT 1) x;
        ELSIF dice < 0.97 THEN
            PERFORM domain.project_purge(who, p);
        ELSE
            PERFORM domain.events_mark_seen(who, ARRAY(SELECT e.id FROM data.event e ORDER BY random() LIMIT 20));
            PERFORM domain.events_archive(who, ARRAY(SELECT e.id FROM data.event e ORDER BY random() LIMIT 10), random() < 0.7);
        END IF;
    END LOOP;
END $$;
SELECT set_config('t.seed', coalesce(nullif(current_setting('t.seed', true), ''), round(random()::numeric, 4)::text), true) AS seed \gset
SELECT setseed(:seed) \g /dev/null
CALL t.walk(250);
SELECT t.is(t.drift(), NULL, '250 random steps, seed ' || :'seed');
CALL t.walk(250);
SELECT t.is(t.drift(), NULL, '500 random steps');
SELECT t.is((SELECT x.* FROM domain.project_total(t.actor('alice')) x), (SELECT count(*) FROM domain.project_list(t.actor('alice'))),
            'the total is the length of the list');
SELECT t.is((SELECT x.* FROM domain.model_total(t.actor('erin')) x), (SELECT count(*) FROM domain.model_list(t.actor('erin'))), 'for models too');
SELECT t.is((SELECT x.* FROM domain.event_total(t.actor('erin')) x), (SELECT count(*) FROM domain.event_list(t.actor('erin')) e WHERE NOT e.archived),
            'for events too');
SELECT t.is((SELECT x.* FROM domain.event_unseen(t.actor('erin')) x), (SELECT count(*) FROM domain.event_list(t.actor('erin')) e WHERE NOT e.archived AND NOT e.seen),
            'and for unseen ones');
SELECT t.ok((SELECT count(*) FROM data.event) > 100 AND (SELECT count(*) FROM data.item) > 10, 'the walk did something');

-- The recount itself must be able to fail.
UPDATE data.counter SET n = n + 1 WHERE (scope_kind, scope_id, noun) = ('organization', (t.actor('alice')).organization_id, 'project');
SELECT t.ok(t.drift() LIKE 'organization%project: stored%', 'a wrong counter is found');
