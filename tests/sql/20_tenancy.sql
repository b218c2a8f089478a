-- Another tenant's row is "no row" for reads and FV404 for writes, in every function that takes an actor.
CALL t.people();

CREATE TABLE t.key_row AS
SELECT domain.api_key_create(t.actor('alice'), 'laptop', NULL, sha256('alice key'), 'ul_00000000') AS id;
CREATE TABLE t.member_row AS SELECT m.id FROM data.project_member m WHERE m.project_id = t.project() LIMIT 1;

-- Reads of one object: rows for the owner, an editor, a viewer, a stranger, the site's administrator.
CREATE TABLE t.read (call text, owner int, editor int, viewer int, stranger int, admin int);
INSERT INTO t.read VALUES
    ('domain.project_get(%s, t.project())', 1, 1, 1, 0, 1),
    ('domain.project_joined(%s, t.project())', 1, 1, 1, 0, 1),
    ('domain.member_list(%s, t.project())', 3, 3, 3, 0, 3),
    ('domain.member_get(%s, (SELECT id FROM t.member_row))', 1, 1, 1, 0, 1),
    ('domain.model_get(%s, t.model())', 1, 1, 1, 0, 1),
    ('domain.model_file_list(%s, t.model())', 1, 1, 1, 0, 1),
    ('domain.model_weights(%s, t.model())', 1, 1, 1, 0, 1),
    ('domain.api_key_get(%s, (SELECT id FROM t.key_row))', 1, 0, 0, 0, 0),
    ('domain.api_key_list(%s)', 1, 0, 0, 0, 0),
    ('domain.project_list(%s)', 1, 0, 0, 0, 0),
    ('domain.project_of(%s, ''Alice'')', 1, 1, 1, 0, 1),
    ('domain.project_of(%s, ''nobody'')', 0, 0, 0, 0, 0),
    ('domain.project_shared(%s)', 1, 1, 1, 0, 0),
    ('domain.model_list(%s)', 1, 0, 0, 0, 0),
    ('domain.event_list(%s)', 5, 0, 0, 0, 0),
    ('domain.storage_get(%s)', 1, 1, 1, 1, 1),
    ('domain.context(%s)', 1, 1, 1, 1, 1);
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
SET LOCAL ROLE fovea_api;

SELECT t.is(t.rows('SELECT 1 FROM ' || format(r.call, 't.actor(' || quote_literal(w.who) || ')')), w.want::bigint,
            regexp_replace(r.call, '^domain\.(\w+).*', '\1') || ' shows ' || w.who || ' ' || w.want || ' rows')
  FROM t.read r
 CROSS JOIN LATERAL (VALUES ('alice', r.owner), ('erin', r.editor), ('vera', r.viewer), ('mallory', r.stranger),
                            ('root-admin', r.admin)) AS w (who, want);

-- Totals agree with the lists.
SELECT t.is((SELECT x.* FROM domain.project_total(t.actor('alice')) x), 1::bigint, 'project_total counts the owner''s');
SELECT t.is((SELECT x.* FROM domain.project_total(t.actor('erin')) x), 0::bigint, 'project_total leaves out what is shared');
SELECT t.is((SELECT x.* FROM domain.project_shared_total(t.actor('erin')) x), 1::bigint, 'project_shared_total counts it');
SELECT t.is((SELECT x.* FROM domain.project_shared_total(t.actor('alice')) x), 1::bigint,
            'project_shared_total counts an own project once');
SELECT t.is((SELECT x.* FROM domain.member_total(t.actor('vera'), t.project()) x), 3::bigint, 'member_total for a viewer');
SELECT t.is((SELECT x.* FROM domain.member_total(t.actor('mallory'), t.project()) x), 0::bigint,
            'member_total tells a stranger nothing');
SELECT t.is((SELECT x.* FROM domain.model_total(t.actor('mallory')) x), 0::bigint, 'model_total of another tenant');
SELECT t.is((SELECT x.* FROM domain.event_total(t.actor('mallory')) x), 0::bigint, 'event_total of another tenant');

-- An actor who claims a context that he does not belong to sees nothing of it.
CREATE FUNCTION pg_temp.intruder() RETURNS domain.actor LANGUAGE sql AS $$
    SELECT ((t.actor('mallory')).account_id, (t.actor('alice')).organization_id, NULL, 127, false)::domain.actor $$;
SELECT t.is(t.rows('SELECT 1 FROM domain.' || f || '(pg_temp.intruder())'), 0::bigint, f || ' checks the context')
  FROM unnest(ARRAY['project_list', 'project_shared', 'model_list', 'event_list', 'storage_get', 'context']) AS f;
SELECT t.is((SELECT x.* FROM domain.project_total(pg_temp.intruder()) x), 0::bigint, 'project_total checks the context');
SELECT t.is((SELECT x.* FROM domain.event_total(pg_temp.intruder()) x), 0::bigint, 'event_total checks the context');
SELECT t.is(domain.events_mark_seen(pg_temp.intruder(), NULL), 0::bigint, 'events_mark_seen checks the context');
SELECT t.is(domain.events_archive(pg_temp.intruder(), NULL, true), 0::bigint, 'events_archive checks the context');
SELECT t.refuses('SELECT domain.project_create(pg_temp.intruder(), ''x'')', 'FV404', '', 'project_create checks the context');

-- Writes by a stranger, and of what is unknown.
SELECT t.refuses(format('SELECT domain.' || w.call, 't.actor(''mallory'')'), 'FV404', w.field,
                 regexp_replace(w.call, '\(.*', '') || ' does not find another tenant''s object')
  FROM (VALUES ('project_update(%s, t.project(), ''x'', NULL, ''{name}'')', 'project'),
               ('project_trash(%s, t.project())', 'project'),
               ('project_purge(%s, t.project())', 'project'),
               ('project_restore(%s, t.project())', 'project'),
               ('member_set(%s, t.project(), ''mallory@example.org'', ''owner'')', 'project'),
               ('member_remove(%s, t.project(), gen_random_uuid())', 'project'),
               ('model_create(%s, t.project(), ''x'')', 'project'),
               ('model_trash(%s, t.model())', 'model'),
               ('model_restore(%s, t.model())', 'model'),
               ('api_key_revoke(%s, (SELECT id FROM t.key_row))', 'api_key')) AS w (call, field);
SELECT t.refuses(format('SELECT domain.' || w.call, 't.actor(''alice'')'), 'FV404', w.field,
                 regexp_replace(w.call, '\(.*', '') || ' takes a NULL id for unknown')
  FROM (VALUES ('project_update(%s, NULL, ''x'', NULL, ''{name}'')', 'project'), ('project_trash(%s, NULL)', 'project'),
               ('project_purge(%s, NULL)', 'project'), ('member_set(%s, NULL, ''e@x.org'', NULL)', 'project'),
               ('model_create(%s, NULL, ''x'')', 'project'), ('model_trash(%s, NULL)', 'model'),
               ('api_key_revoke(%s, NULL)', 'api_key')) AS w (call, field);

-- Another's keys stay his.
SELECT t.is(domain.events_mark_seen(t.actor('mallory'), (SELECT array_agg(e.id) FROM domain.event e)), 0::bigint,
            'events of another tenant cannot be marked by id');

-- A public project is seen by all, changed by none; its members are not shown.
RESET ROLE;
UPDATE data.project SET visibility = 'public' WHERE id = t.project();
SET LOCAL ROLE fovea_api;
SELECT t.is(t.rows('SELECT 1 FROM domain.project_get(t.actor(''mallory''), t.project())'), 1::bigint, 'a public project can be got');
SELECT t.is(t.rows('SELECT 1 FROM domain.model_get(t.actor(''mallory''), t.model())'), 1::bigint, 'and its models');
SELECT t.is(t.rows('SELECT 1 FROM domain.member_list(t.actor(''mallory''), t.project())'), 0::bigint, 'but not its members');
SELECT t.is(t.rows('SELECT 1 FROM domain.timeline(t.actor(''mallory''), t.project())'), 0::bigint, 'nor its timeline');
SELECT t.refuses('SELECT domain.project_trash(t.actor(''mallory''), t.project())', 'FV403', '', 'and it cannot be changed: it is visible, so FV403');
SELECT t.refuses('SELECT domain.model_trash(t.actor(''mallory''), t.model())', 'FV403', '', 'nor can its models');
SELECT t.is(t.rows('SELECT 1 FROM domain.project_list(t.actor(''mallory''))'), 0::bigint, 'nor does it fill other lists');

-- What project_of lists is what project_get shows, for whoever asks about whomever; and its total counts no more.
RESET ROLE;
SELECT domain.project_create(t.actor('alice'), 'Hidden') \g /dev/null
SELECT domain.project_create(t.actor('mallory'), 'Hers') \g /dev/null
SELECT domain.project_create(t.actor('mallory'), 'Open', visibility => 'public') \g /dev/null
SELECT domain.project_create(t.actor('mallory'), 'Gone', visibility => 'public') \g /dev/null
SELECT domain.project_trash(t.actor('mallory'), t.row_id()) \g /dev/null
INSERT INTO data.membership (organization_id, account_id, role)
SELECT (t.actor('mallory')).organization_id, (t.actor('vera')).account_id, 'worker';
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT array_agg(p.id ORDER BY p.id) FROM domain.project_of(t.actor(w.who), o.owner) p),
            (SELECT array_agg(p.id ORDER BY p.id) FROM domain.project x, LATERAL domain.project_get(t.actor(w.who), x.id) p
              WHERE x.owner_handle = o.owner), w.who || ' is listed of ' || o.owner || ' what he may get')
  FROM unnest(ARRAY['alice', 'erin', 'vera', 'mallory', 'root-admin']) AS w (who), unnest(ARRAY['alice', 'mallory', 'erin']) AS o (owner);
SELECT t.is((SELECT x.* FROM domain.project_of_total(t.actor(w.who), 'alice') x), w.n, 'project_of_total for ' || w.who)
  FROM (VALUES ('alice', 2::bigint), ('mallory', 1), ('root-admin', 2)) AS w (who, n);
SELECT t.is((SELECT string_agg(p.name, ' ' ORDER BY p.name) FROM domain.project_of(pg_temp.intruder(), 'alice') p), 'Bridge',
            'a claimed context shows no more than what is public');
