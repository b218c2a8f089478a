-- Keys, requests sent twice, quotas, the sweeper's protocol, the purge, the queue.
CALL t.people();
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;

-- Keys.
SET LOCAL ROLE fovea_api;
SELECT domain.api_key_create(t.actor('alice'), 'k', NULL, sha256('secret'), 'ul_00000000') \g /dev/null
SELECT set_config('t.key', t.row_id()::text, true) \g /dev/null
SELECT t.is((SELECT k.scopes || ' ' || k.suspended || ' ' || coalesce(k.per_minute, 0) FROM domain.key_find(sha256('secret')) k), '63 false 0',
            'a key is found by its hash; without scopes it has all but admin');
SELECT t.is(k.account_id, (t.actor('alice')).account_id, 'and says whose it is') FROM domain.key_find(sha256('secret')) k;
SELECT t.is(domain.scope_bits(s.list), s.bits, 'bits of ' || s.list::text)
  FROM (VALUES ('{}'::text[], 0), ('{training}', 1), ('{models}', 2), ('{datasets}', 4), ('{read}', 8), ('{write}', 16), ('{predict}', 32),
               ('{admin}', 64), ('{admin,read,training}', 73)) AS s (list, bits);
SELECT t.is(t.rows('SELECT 1 FROM domain.key_find(sha256(''guess''))'), 0::bigint, 'an unknown key is no row');
SELECT domain.account_set_plan('alice', 'free') \g /dev/null
SELECT t.is((SELECT k.per_minute || ' ' || k.per_day FROM domain.key_find(sha256('secret')) k), '60 1000', 'the plan''s limits follow the account');
SELECT domain.account_set_state('alice', true) \g /dev/null
SELECT t.is((SELECT k.suspended FROM domain.key_find(sha256('secret')) k), true, 'a suspended account is told from an unknown key');
SELECT domain.account_set_state('alice', false) \g /dev/null
SELECT domain.key_used(current_setting('t.key')::bigint) \g /dev/null
SELECT t.ok(k.last_used_at IS NOT NULL, 'use is noted') FROM domain.api_key_get(t.actor('alice'), current_setting('t.key')::bigint) k;
SELECT t.refuses($$SELECT domain.api_key_create(t.actor('alice'), 'k', '{root}', sha256('x'), 'x')$$, '23514', 'api_key_scope_unknown', 'unknown scopes are refused');
SELECT t.refuses($$SELECT domain.api_key_create(t.actor('alice'), ' ', NULL, sha256('x'), 'x')$$, '23514', 'api_key_name_blank', 'so are blank names');
SELECT domain.api_key_revoke(t.actor('alice'), current_setting('t.key')::bigint) \g /dev/null
SELECT t.is(t.rows('SELECT 1 FROM domain.key_find(sha256(''secret''))'), 0::bigint, 'a revoked key is unknown');
SELECT t.refuses($$SELECT domain.api_key_revoke(t.actor('alice'), current_setting('t.key')::bigint)$$, 'FV404', 'api_key', 'and cannot be revoked again');

-- Accounts.
SELECT t.refuses(format('SELECT domain.account_create(%L, %L, ''n'', %L)', a.handle, a.email, a.plan), a.code, a.what, 'account: ' || a.note)
  FROM (VALUES ('alice', 'new@x.org', NULL, '23505', 'account_username_taken', 'a handle is given once'),
               ('alice2', 'ALICE@example.org', NULL, '23505', 'account_email_taken', 'an address too, without case'),
               ('abc', 'new@x.org', NULL, '23514', 'organization_handle_malformed', 'too short'),
               ('Upper', 'new@x.org', NULL, '23514', 'organization_handle_malformed', 'capitals'),
               ('ingest', 'new@x.org', NULL, 'FV400', 'handle', 'a word of the URL space'),
               ('fine', 'no-address', NULL, '23514', 'account_email_malformed', 'no address'),
               ('fine', 'new@x.org', 'gold', '23503', 'organization_plan_unknown', 'an unknown plan')) AS a (handle, email, plan, code, what, note);

-- Quotas: refused on creation only.
SELECT domain.account_set_plan('erin', 'free') \g /dev/null
SELECT domain.project_create(t.actor('erin'), 'Full') \g /dev/null
SELECT set_config('t.full', t.row_id()::text, true) \g /dev/null
SELECT domain.model_create(t.actor('erin'), current_setting('t.full')::bigint, 'm') FROM generate_series(1, 100) \g /dev/null
SELECT t.refuses($$SELECT domain.model_create(t.actor('erin'), current_setting('t.full')::bigint, 'm')$$, 'FV403', '', 'the 101st model of a free plan');
SELECT t.is((SELECT max(m.slug COLLATE "C") FROM domain.model_list(t.actor('erin')) m WHERE m.slug LIKE 'm-1__'), 'm-100', 'slugs of models are numbered too');
SELECT domain.model_trash(t.actor('erin'), (SELECT min(m.id) FROM domain.model_list(t.actor('erin')) m)) \g /dev/null
SELECT t.refuses($$SELECT domain.model_create(t.actor('erin'), current_setting('t.full')::bigint, 'big', file_name => 'b.pt', digest => sha256('b'), size => 200::bigint << 30)$$,
                 'FV403', '', 'more bytes than the plan has');
SELECT t.ok(domain.model_create(t.actor('erin'), current_setting('t.full')::bigint, 'small', file_name => 'b.pt', digest => sha256('b'), size => 5) > 0, 'a small one fits again');

-- Requests sent twice.
SELECT t.is(t.rows($$SELECT 1 FROM domain.idempotency_find(t.actor('erin'), 'key 1', 'POST /projects', sha256('body'))$$), 0::bigint, 'a first request');
SELECT domain.project_create(t.actor('erin'), 'Once') \g /dev/null
SELECT domain.idempotency_store(t.actor('erin'), 'key 1', 'POST /projects', sha256('body')) \g /dev/null
SELECT t.is((SELECT x.* FROM domain.idempotency_find(t.actor('erin'), 'key 1', 'POST /projects', sha256('body')) x), t.row_id(), 'a replay finds the row');
SELECT t.is(t.rows($$SELECT 1 FROM domain.idempotency_find(t.actor('alice'), 'key 1', 'POST /projects', sha256('body'))$$), 0::bigint, 'of the same account only');
SELECT t.refuses($$SELECT * FROM domain.idempotency_find(t.actor('erin'), 'key 1', 'POST /projects', sha256('other'))$$, 'FV409', 'idempotency_key', 'another body under the same key');
SELECT t.refuses($$SELECT domain.idempotency_store(t.actor('erin'), 'key 1', 'POST /projects', sha256('body'))$$, '23505', 'idempotency_key_taken', 'a twin is refused');
RESET ROLE;
UPDATE data.idempotency_key SET created_at = now() - interval '25 hours';
SELECT t.is(domain.idempotency_expire(), 1::bigint, 'keys are forgotten after a day');

-- The sweeper.
INSERT INTO data.blob (digest, size, media_type, created_at)
SELECT sha256('lost'), 9, 'x/y', now() - interval '2 days' UNION ALL SELECT sha256('young'), 9, 'x/y', now();
UPDATE data.blob SET created_at = now() - interval '2 days' WHERE digest = sha256('weights');
INSERT INTO data.blob (digest, size, media_type, created_at) VALUES (sha256('sent'), 9, 'x/y', now() - interval '2 days');
INSERT INTO data.upload (organization_id, noun, noun_id, name, declared_bytes, digest, stored_at, expires_at)
SELECT m.organization_id, 'model', m.id, 'sent.onnx', 9, sha256('sent'), now(), now() + interval '1 hour' FROM data.model m WHERE m.id = t.model();
SELECT t.is(array_agg(x.digest), ARRAY[sha256('lost')], 'what would be marked is what is: a session keeps its file') FROM domain.blob_unreferenced('1 day') x;
SELECT t.is(array_agg(x.digest), ARRAY[sha256('lost')], 'only what is old and unreferenced is marked') FROM domain.blob_mark_unreferenced('1 day') x;
SELECT domain.blob_put(sha256('lost'), 9, 'x/y') \g /dev/null
SELECT t.is(domain.blob_forget(sha256('lost')), false, 'a blob that is wanted again stays');
SELECT t.is(array_agg(x.digest), ARRAY[sha256('lost')], 'until it is marked again') FROM domain.blob_mark_unreferenced('1 day') x;
SELECT t.is(domain.blob_forget(sha256('lost')), true, 'then it is forgotten');
SELECT t.is(domain.blob_forget(sha256('weights')), false, 'what is referenced cannot be forgotten');
SELECT t.is(domain.model_trash(t.actor('alice'), t.model()), t.model(), 'a model in the trash');
SELECT t.is(t.rows($$SELECT 1 FROM domain.blob_mark_unreferenced('1 day')$$), 0::bigint, 'keeps its bytes');

-- Upload sessions: one of each state.
INSERT INTO data.upload (organization_id, noun, noun_id, name, declared_bytes, digest, stored_at, completed_at, expires_at)
SELECT m.organization_id, 'model', m.id, s.name, 9, sha256('sent'), now(), s.completed, now() - s.ago
  FROM data.model m,
       (VALUES ('older', NULL, interval '25 hours'), ('oldest', now(), interval '2 days'), ('late', NULL, interval '23 hours'))
           AS s (name, completed, ago)
 WHERE m.id = t.model();
SELECT t.is(domain.upload_expire(1), 1::bigint, 'sessions are forgotten in lots');
SELECT t.is((SELECT string_agg(u.name, ' ' ORDER BY u.name) FROM data.upload u), 'late older sent.onnx', 'the oldest first, completed or not');
SELECT t.is(domain.upload_expire(10), 1::bigint, 'a day after their end');
SELECT t.is((SELECT string_agg(u.name, ' ' ORDER BY u.name) FROM data.upload u), 'late sent.onnx', 'until then they may be completed');
SELECT t.is(t.rows($$SELECT 1 FROM domain.blob_unreferenced('1 day')$$), 0::bigint, 'and keep their file');
SELECT t.is(domain.upload_expire(10, '-2 hours'), 2::bigint, 'a shorter stay');
SELECT t.is(array_agg(x.digest), ARRAY[sha256('sent')], 'without a session the file is the sweeper''s') FROM domain.blob_mark_unreferenced('1 day') x;
SELECT t.is(domain.blob_forget(sha256('sent')), true, 'and goes');

-- The purge.
UPDATE data.model SET deleted_at = now() - interval '31 days' WHERE id = t.model();
SELECT domain.project_trash(t.actor('erin'), current_setting('t.full')::bigint) \g /dev/null
UPDATE data.project SET deleted_at = now() - interval '29 days' WHERE id = current_setting('t.full')::bigint;
SELECT t.is(domain.purge_due(100), 1::bigint, 'what was in the trash for 30 days goes');
SELECT t.is((SELECT count(*) FROM data.model_file WHERE model_id = t.model()), 0::bigint, 'with its files');
SELECT t.is((SELECT count(*) FROM data.model WHERE project_id = current_setting('t.full')::bigint), 101::bigint, 'what was there for 29 days stays');
SELECT t.is(array_agg(x.digest), ARRAY[sha256('weights')], 'and its bytes are the sweeper''s') FROM domain.blob_mark_unreferenced('1 day') x;
SELECT t.is(domain.purge_due(100, '1 day'), 1::bigint, 'a shorter stay');
SELECT t.is((SELECT count(*) FROM data.model), 0::bigint, 'a project goes with all its models');

-- The queue.
SELECT t.is(domain.job_add(NULL, 'sweep', 'slot 1'), domain.job_add(NULL, 'sweep', 'slot 1'), 'a job that is asked for twice is one job');
CREATE TEMP TABLE taken AS SELECT * FROM domain.job_take('w1', '{sweep}', '1 minute');
SELECT t.is((SELECT kind || ' ' || fence || ' ' || attempt FROM taken), 'sweep 1 1', 'a worker takes it');
SELECT t.is(t.rows($$SELECT 1 FROM domain.job_take('w2', '{sweep}', '1 minute')$$), 0::bigint, 'and no other does');
SELECT t.is(domain.job_beat((SELECT id FROM taken), 1, '1 minute', 10), 'ok', 'it is alive');
UPDATE data.job SET lease_until = now() - interval '1 second' WHERE id = (SELECT id FROM taken);
SELECT t.is((SELECT fence FROM domain.job_take('w2', '{sweep}', '1 minute')), 2::bigint, 'when its lease runs out another takes it');
SELECT t.is(domain.job_beat((SELECT id FROM taken), 1, '1 minute', 20), 'lost', 'the first one learns it');
SELECT t.is(domain.job_end((SELECT id FROM taken), 1, 'done', '{}', NULL), false, 'and cannot end it');
UPDATE data.job SET cancel_at = now() WHERE id = (SELECT id FROM taken);
SELECT t.is(domain.job_beat((SELECT id FROM taken), 2, '1 minute', 30), 'cancel', 'somebody asks to stop');
SELECT t.is(domain.job_end((SELECT id FROM taken), 2, 'cancelled', NULL, NULL), true, 'the owner ends it');
SELECT t.is(domain.job_end((SELECT id FROM taken), 2, 'done', NULL, NULL), false, 'once');

-- Usage.
SELECT domain.usage_add((t.actor('alice')).account_id, '2026-11-21', 'request', n) FROM generate_series(1, 4) n \g /dev/null
SELECT t.is((SELECT u.n FROM domain.usage_list('2026-11-21') u), 10::bigint, 'usage adds up');
SELECT t.is(domain.usage_expire('2026-11-22'), 1::bigint, 'and is forgotten');
SELECT t.is((SELECT string_agg(format('%s %s %s: stored %s, counted %s', scope_kind, scope_id, noun, stored, counted), '; ')
      FROM domain.counter_drift()), NULL, 'no counter has drifted');

-- Weights that broke the process that ran them.
SET LOCAL ROLE fovea_api;
SELECT domain.weights_condemn(sha256('bad'), 'it crashed') \g /dev/null
SELECT domain.weights_condemn(sha256('bad'), 'it hung') \g /dev/null
SELECT t.is((SELECT w.reason FROM domain.condemned_weights w WHERE w.digest = sha256('bad')), 'it crashed', 'the first reason stays');
SELECT t.refuses($$SELECT domain.weights_condemn('\x00', 'x')$$, '23514', 'condemned_weights_digest_malformed', 'a digest has 32 bytes');
RESET ROLE;
SELECT t.ok(domain.weights_pardon(sha256('bad')), 'weights are pardoned');
SELECT t.ok(NOT domain.weights_pardon(sha256('bad')), 'once');
