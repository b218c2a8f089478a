-- The matrix of roles: who may do what in a project, and that the last owner stays.
CALL t.people();
CREATE TABLE t.deed (call text, rank int, field text);
INSERT INTO t.deed VALUES
    ('project_update(%s, t.project(), ''Bridge'', NULL, ''{name}'')', 2),
    ('model_create(%s, t.project(), ''m'')', 2),
    ('model_trash(%s, t.model())', 2),
    ('member_set(%s, t.project(), ''mallory@example.org'', ''viewer'')', 3),
    ('project_trash(%s, t.project())', 3),
    ('project_purge(%s, t.project())', 3);

-- What is allowed is tried in a transaction of its own and undone.
CREATE FUNCTION t.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
BEGIN
    BEGIN
        EXECUTE statement;
        RAISE EXCEPTION USING ERRCODE = 'T0000';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
    END;
    RETURN CASE state WHEN 'T0000' THEN 'done' ELSE state END;
END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
SET LOCAL ROLE fovea_api;

SELECT t.is(t.outcome(format('SELECT domain.' || d.call, format('t.actor(%L)', w.who))),
            CASE WHEN w.rank = 0 THEN 'FV404' WHEN w.rank < d.rank THEN 'FV403' ELSE 'done' END,
            w.who || ': ' || regexp_replace(d.call, '\(.*', ''))
  FROM t.deed d
 CROSS JOIN (VALUES ('vera', 1), ('erin', 2), ('alice', 3), ('mallory', 0), ('root-admin', 3)) AS w (who, rank);

-- Members.
SELECT t.is(array_agg(m.email || ' ' || m.role ORDER BY m.role <> 'owner', m.created_at, m.id),
            ARRAY['alice@example.org owner', 'erin@example.org editor', 'vera@example.org viewer'],
            'members: the owner first, then by age')
  FROM domain.member_list(t.actor('vera'), t.project()) m;
SELECT t.refuses('SELECT domain.member_set(t.actor(''alice''), t.project(), ''nobody@example.org'', ''viewer'')', 'FV404', 'email',
                 'an address that nobody registered');
SELECT t.refuses('SELECT domain.member_set(t.actor(''alice''), t.project(), ''erin@example.org'', ''king'')', 'FV400', 'role',
                 'a role that does not exist');
SELECT t.refuses('SELECT domain.member_set(t.actor(''alice''), t.project(), ''alice@example.org'', ''viewer'')', 'FV409', 'role',
                 'the sole owner cannot demote himself');
SELECT t.refuses('SELECT domain.member_remove(t.actor(''alice''), t.project(), (SELECT uuid FROM domain.account WHERE username = ''alice''))',
                 'FV409', 'role', 'nor leave');
SELECT t.refuses('SELECT domain.member_remove(t.actor(''erin''), t.project(), (SELECT uuid FROM domain.account WHERE username = ''vera''))',
                 'FV403', '', 'an editor cannot remove another member');
SELECT t.is(domain.member_set(t.actor('alice'), t.project(), '  ERIN@Example.org ', NULL) > 0, true,
            'addresses compare without case and outer blanks');
SELECT t.is((SELECT m.role FROM domain.member_get(t.actor('alice'), t.row_id()) m), 'viewer', 'the default role is viewer');
SELECT t.is((SELECT x.* FROM domain.member_total(t.actor('alice'), t.project()) x), 3::bigint, 'and a second add is a change');
SELECT t.is(domain.member_set(t.actor('alice'), t.project(), 'erin@example.org', 'owner') > 0, true, 'a second owner');
SELECT t.is(domain.member_set(t.actor('alice'), t.project(), 'alice@example.org', 'viewer') > 0, true,
            'lets the first step down');
SELECT t.is(t.rows('SELECT 1 FROM domain.project_get(t.actor(''alice''), t.project())'), 1::bigint,
            'the project still lives in its organization, whose owner sees it');
SELECT t.is((SELECT s.role FROM domain.project_get(t.actor('alice'), t.project()) p, automl.project(p, t.asker('alice')) s), 'owner',
            'and owns it through the organization');
SELECT t.is(domain.member_remove(t.actor('vera'), t.project(), (SELECT uuid FROM domain.account WHERE username = 'vera')) > 0, true,
            'a member may leave');
SELECT t.is(t.rows('SELECT 1 FROM domain.project_get(t.actor(''vera''), t.project())'), 0::bigint, 'and is a stranger then');

-- Roles of an organization count on its projects.
RESET ROLE;
INSERT INTO data.membership (organization_id, account_id, role)
SELECT (t.actor('alice')).organization_id, (t.actor(h)).account_id, r
  FROM (VALUES ('mallory', 'worker'), ('vera', 'supervisor')) AS m (h, r);
SET LOCAL ROLE fovea_api;
SELECT t.is((SELECT s.role FROM domain.project_get(t.actor('mallory'), t.project()) p, automl.project(p, t.asker('mallory')) s),
            'viewer', 'a worker of the organization is a viewer of its projects');
SELECT t.is((SELECT s.role FROM domain.project_get(t.actor('vera'), t.project()) p, automl.project(p, t.asker('vera')) s),
            'editor', 'a supervisor is an editor');
SELECT t.is((SELECT count(*) FROM domain.project_shared(t.actor('vera'))),
            (SELECT x.* FROM domain.project_shared_total(t.actor('vera')) x), 'and the list of shared projects agrees with its total');
SELECT t.is((SELECT count(*) FROM domain.project_shared(t.actor('erin'))),
            (SELECT x.* FROM domain.project_shared_total(t.actor('erin')) x), 'for guests too');
