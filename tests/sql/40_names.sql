-- Slugs, the 24-digit id, and texts that try to be something else.
CALL t.people();

SELECT t.is(domain.slug_of(w.name, 'project'), w.slug, 'slug of ' || quote_literal(w.name))
  FROM (VALUES ('My Project', 'my-project'), ('my_project', 'myproject'), ('  A  --  b ', 'a-b'), ('Ünïcode', 'ncode'),
               ('日本語', 'project'), ('', 'project'), ('---', 'project'), ('A' || chr(9) || 'B', 'a-b'),
               ('Straße 5', 'strae-5'), (repeat('x', 200), repeat('x', 128)),
               (repeat('ab ', 60), rtrim(left(repeat('ab-', 60), 128), '-')), ('İstanbul', 'stanbul')) AS w (name, slug);

SELECT t.is(length(domain.slug_numbered(repeat('y', 128), 12)), 128, 'a numbered slug keeps its limit');

GRANT SELECT ON ALL TABLES IN SCHEMA t TO fovea_api;
SET LOCAL ROLE fovea_api;
CREATE FUNCTION pg_temp.made(name text, slug text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made bigint := domain.project_create(t.actor('mallory'), $1, NULL, $2);
BEGIN
    RETURN (SELECT p.slug FROM domain.project p WHERE p.id = made);
END $$;
SELECT t.is(pg_temp.made('Site'), 'site', 'the first of a name takes the plain slug');
SELECT t.is(pg_temp.made('site'), 'site-2', 'the second gets -2');
SELECT t.is(pg_temp.made('SITE!'), 'site-3', 'the third gets -3');
SELECT t.is(array_agg(pg_temp.made('site') ORDER BY n), (SELECT array_agg('site-' || n ORDER BY n) FROM generate_series(4, 40) n),
            'numbers go on without a gap') FROM generate_series(4, 40) AS n;
SELECT t.is(pg_temp.made('other', 'own-slug'), 'own-slug', 'a slug that was asked for is taken as it is');
SELECT t.refuses('SELECT pg_temp.made(''other'', ''own-slug'')', '23505', 'project_slug_taken', 'a second time it is a conflict');
SELECT t.refuses('SELECT pg_temp.made(''x'', ''Not A Slug'')', '23514', 'project_slug_malformed', 'what is no slug is refused');
SELECT t.refuses('SELECT pg_temp.made(''x'', ''a--b'')', '23514', 'project_slug_malformed', 'two hyphens in a row are no slug');
SELECT t.is(pg_temp.made(repeat('y', 100)), repeat('y', 100), 'a long slug');

-- Restored next to a twin.
SELECT t.is(pg_temp.made('Gone'), 'gone', 'one project');
CREATE TEMP TABLE gone AS SELECT domain.project_trash(t.actor('mallory'), t.row_id()) AS id;
SELECT t.is(pg_temp.made('Gone'), 'gone', 'trashing it frees the slug');
SELECT domain.project_restore(t.actor('mallory'), g.id) FROM gone g \g /dev/null
SELECT t.is((SELECT p.slug FROM domain.project p, gone g WHERE p.id = g.id), 'gone-2', 'the restored one is numbered');

-- Ids.
SELECT t.is(ultralytics.hex_id(1, '2026-11-21 23:33:00.999999+00'), '6b022a2c0000000000000001', 'the id floors the seconds');
SELECT t.is(ultralytics.hex_id(9223372036854775807, 'epoch'), '000000007fffffffffffffff', 'and holds the largest number');
SELECT t.is(p.stamp, ('x' || lpad(left(ultralytics.hex_id(p.id, p.created_at), 8), 16, '0'))::bit(64)::bigint,
            'stamp is what the id says')
  FROM domain.project p WHERE p.id = t.project();
SELECT t.is(t.rows('SELECT 1 FROM domain.' || v || ' x WHERE (x.id, x.uuid, x.created_at, x.stamp) IS NULL'), 0::bigint,
            v || ' can be addressed by id, uuid and stamp')
  FROM unnest(ARRAY['project', 'model', 'dataset', 'api_key', 'event', 'member', 'model_file', 'item', 'label', 'account',
                    'organization', 'training_run', 'project_trashed', 'model_trashed']) AS v;

-- Names come back byte for byte, or are refused.
CREATE TEMP TABLE kept AS
SELECT n.name, domain.project_create(t.actor('mallory'), n.name) AS id
  FROM (VALUES ('  padded  '), ($$'; DROP TABLE data.project; --$$), ('%_\'), ('"quoted" $1 :x'), ('​zero width'),
                       ('𝒯𝑜𝓃𝓰𝓊𝓮 田中さん'), ('<script>alert(1)</script>'), (repeat('字', 100)), ('Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢'),
                       ('{{7*7}}'), ('../../etc/passwd'), ('NULL'), ('-1'), ('1e999'), ('true')) AS n (name);
SELECT t.is((SELECT p.name FROM domain.project p WHERE p.id = m.id), m.name, 'kept as sent: ' || quote_literal(left(m.name, 30))) FROM kept m;
SELECT t.refuses(format('SELECT domain.project_create(t.actor(''mallory''), %L)', n.name), '23514', n.fact, 'refused: ' || quote_literal(translate(left(n.name, 12), E'\n\a', '~~')))
  FROM (VALUES ('', 'project_name_blank'), ('   ', 'project_name_blank'), (chr(8195) || ' ', 'project_name_blank'),
               (repeat('x', 101), 'project_name_long'), ('a' || chr(7) || 'b', 'project_name_control'),
               ('two' || chr(10) || 'lines', 'project_name_control')) AS n (name, fact);
SELECT t.refuses('SELECT domain.project_create(t.actor(''mallory''), ''x'', ' || c.arguments || ')', '23514', c.fact, 'refused: ' || c.fact)
  FROM (VALUES ('repeat(''d'', 1001)', 'project_description_long'),
               ('visibility => ''secret''', 'project_visibility_unknown'),
               ('tags => array_fill(''t''::text, ARRAY[51])', 'project_tags_many'),
               ('tags => ARRAY[''a'', repeat(''t'', 51)]', 'project_tag_long'),
               ('tags => ARRAY[''a'', NULL]', 'project_tag_long'),
               ('metadata => ''[1]''', 'project_metadata_not_object'),
               ('metadata => jsonb_build_object(''k'', repeat(''x'', 500001))', 'project_metadata_large')) AS c (arguments, fact);

-- The search that C appends treats wildcards as text.
SELECT domain.project_create(t.actor('erin'), w) FROM unnest(ARRAY['100% cotton', '100 percent', 'a_b', 'axb', 'back\slash', 'ÄRGER']) AS w \g /dev/null
SELECT t.is((SELECT array_agg(r.name ORDER BY r.name) FROM domain.project_shared(t.actor('erin')) r
              WHERE strpos(lower(r.name), lower(s.term)) > 0 OR strpos(lower(coalesce(r.description, '')), lower(s.term)) > 0),
            s.want, 'search for ' || quote_literal(s.term))
  FROM (VALUES ('%', ARRAY['100% cotton']), ('_', ARRAY['a_b']), ('\', ARRAY['back\slash']), ('A_B', ARRAY['a_b']),
               ('100', ARRAY['100 percent', '100% cotton']), ('ärger', ARRAY['ÄRGER']), ('CRACKS', ARRAY['Bridge']),
               ('nothing', NULL)) AS s (term, want);
