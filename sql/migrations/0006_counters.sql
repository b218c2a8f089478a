-- Totals that lists show are exact: kept by statement-level triggers in the transaction that changes the rows.
--
-- data.count_changes(table, values, joins) adds what each changed row r contributes, given as a list of
--   (scope kind, scope id, noun, n)
-- to sharded rows of data.counter: what came in counts +n, what went out -n, so an update, a move to another owner, the
-- trash and the purge need no code of their own. data.count_in_project(table, column, condition) does the same for the
-- few counts that lists sort by, which are columns of data.project. Both write trigger functions; later migrations use them.
--
-- Rows count as "live" outside the trash; bytes count until the purge. Counted rows have no cascading parent: the purge
-- deletes the leaves first, so that a row's owners can still be read when it goes.
--
-- A session writes shards of its own, numbered by its place among the server's sessions, which no two have at once. So
-- sessions never wait for each other's counters, in whatever order they touch them, and a total has at most as many
-- shards as there were ever sessions side by side. Other locks go from the top: project, then its datasets and models,
-- then what they hold.

CREATE FUNCTION data.shard() RETURNS smallint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text := current_setting('fovea.shard', true);
BEGIN
    IF known IS NULL OR known = '' THEN
        SELECT split_part(l.virtualtransaction, '/', 1) INTO known
          FROM pg_locks l
         WHERE l.pid = pg_backend_pid() AND l.locktype = 'virtualxid';
        PERFORM set_config('fovea.shard', known, false);
    END IF;
    RETURN known::smallint;
END $$;

-- Three functions and triggers a table, since PostgreSQL allows transition tables for one event at a time. {rows} in the
-- statement is what came in and went out, with its sign.
CREATE PROCEDURE data.on_change(table_name text, name text, statement text) LANGUAGE plpgsql AS $$
DECLARE
    event record;
BEGIN
    FOR event IN VALUES ('INSERT', 'NEW TABLE AS came', '(SELECT 1 AS sign, t.* FROM came t)'),
                        ('DELETE', 'OLD TABLE AS gone', '(SELECT -1 AS sign, t.* FROM gone t)'),
                        ('UPDATE', 'OLD TABLE AS gone NEW TABLE AS came',
                         '(SELECT 1 AS sign, t.* FROM came t UNION ALL SELECT -1, t.* FROM gone t)') LOOP
        EXECUTE format('CREATE FUNCTION data.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                        SET search_path = pg_catalog, pg_temp AS %L',
                       table_name || '_' || name || '_' || lower(event.column1),
                       format(E'BEGIN\n    %s;\n    RETURN NULL;\nEND',
                              replace(statement, '{rows}', event.column3)));
        EXECUTE format('CREATE TRIGGER %1$I AFTER %2$s ON data.%3$I REFERENCING %4$s
                        FOR EACH STATEMENT EXECUTE FUNCTION data.%1$I()',
                       table_name || '_' || name || '_' || lower(event.column1), event.column1, table_name, event.column2);
    END LOOP;
END $$;

CREATE PROCEDURE data.count_changes(table_name text, contributions text, joins text DEFAULT '') LANGUAGE plpgsql AS $$
BEGIN
    CALL data.on_change(table_name, 'counted', format(
        'INSERT INTO data.counter AS c (scope_kind, scope_id, noun, shard, n)
         SELECT v.kind, v.id, v.noun, data.shard(), sum(r.sign * v.n)
           FROM {rows} r %s CROSS JOIN LATERAL (VALUES %s) AS v (kind, id, noun, n)
          GROUP BY v.kind, v.id, v.noun
         HAVING sum(r.sign * v.n) <> 0
          ORDER BY v.kind, v.id, v.noun
             ON CONFLICT ON CONSTRAINT counter_taken DO UPDATE SET n = c.n + excluded.n', joins, contributions));
END $$;

CREATE PROCEDURE data.count_in_project(table_name text, column_name text, condition text) LANGUAGE plpgsql AS $$
BEGIN
    CALL data.on_change(table_name, 'in_project', format(
        'UPDATE data.project p SET %1$I = p.%1$I + s.n
           FROM (SELECT r.project_id, sum(r.sign * (%2$s)::integer) AS n
                   FROM {rows} r
                  GROUP BY r.project_id
                 HAVING sum(r.sign * (%2$s)::integer) <> 0) s
          WHERE p.id = s.project_id', column_name, condition));
END $$;

CALL data.count_changes('project',
    $$('organization', r.organization_id, 'project', (r.deleted_at IS NULL)::integer)$$);
CALL data.count_changes('dataset',
    $$('organization', r.organization_id, 'dataset', (r.deleted_at IS NULL)::integer)$$);
CALL data.count_changes('model',
    $$('organization', r.organization_id, 'model', (r.deleted_at IS NULL)::integer)$$);
CALL data.count_changes('api_key',
    $$('account', r.account_id, 'api_key', (r.revoked_at IS NULL)::integer)$$);
CALL data.count_changes('project_member',
    $$('project', r.project_id, 'member', 1)$$);
CALL data.count_changes('event',
    $$('organization', r.organization_id, 'event', (r.archived_at IS NULL)::integer),
      ('organization', r.organization_id, 'event_unseen', (r.archived_at IS NULL AND r.seen_at IS NULL)::integer)$$);
CALL data.count_changes('model_file',
    $$('project', m.project_id, 'model_bytes', r.bytes),
      ('organization', m.organization_id, 'model_bytes', r.bytes)$$,
    'JOIN data.model m ON m.id = r.model_id');
CALL data.count_changes('item',
    $$('dataset', r.dataset_id, 'item', (r.deleted_at IS NULL)::integer),
      ('dataset', r.dataset_id, 'item_' || r.split, (r.deleted_at IS NULL)::integer),
      ('dataset', r.dataset_id, 'item_labelled', (r.deleted_at IS NULL AND r.annotation_count > 0)::integer),
      ('dataset', r.dataset_id, 'annotation', CASE WHEN r.deleted_at IS NULL THEN r.annotation_count ELSE 0 END),
      ('dataset', r.dataset_id, 'bytes', r.bytes),
      ('project', d.project_id, 'item', (r.deleted_at IS NULL)::integer),
      ('project', d.project_id, 'dataset_bytes', r.bytes),
      ('organization', d.organization_id, 'dataset_bytes', r.bytes)$$,
    'JOIN data.dataset d ON d.id = r.dataset_id');

CALL data.count_in_project('dataset', 'dataset_count', 'r.deleted_at IS NULL');
CALL data.count_in_project('model', 'model_count', 'r.deleted_at IS NULL');
CALL data.count_in_project('training_run', 'experiment_count', 'r.deleted_at IS NULL');

-- Annotations count on their item, and the item's trigger carries that on to the dataset.
CALL data.on_change('annotation', 'counted', $$
    UPDATE data.item i SET annotation_count = i.annotation_count + s.n
      FROM (SELECT r.item_id, sum(r.sign) AS n
              FROM {rows} r
             WHERE r.parent_id IS NULL
             GROUP BY r.item_id
            HAVING sum(r.sign) <> 0) s
     WHERE i.id = s.item_id$$);

-- A dataset or model that moves takes its bytes and items along. The row lock waits for uploads under way (they hold
-- a key share lock on their parent), so that what they add is moved too.
CREATE FUNCTION data.dataset_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1
       FROM data.dataset d
      WHERE d.id IN (SELECT n.id FROM came n JOIN gone o USING (id)
                      WHERE (n.project_id, n.organization_id) <> (o.project_id, o.organization_id))
      ORDER BY d.id
        FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO data.counter AS c (scope_kind, scope_id, noun, shard, n)
    SELECT v.kind, v.id, v.noun, data.shard(), sum(v.sign * h.n)
      FROM came n
      JOIN gone o USING (id)
      JOIN data.counter h ON h.scope_kind = 'dataset' AND h.scope_id = n.id AND h.noun IN ('item', 'bytes')
     CROSS JOIN LATERAL (VALUES
           ('project', 1, n.project_id, CASE h.noun WHEN 'bytes' THEN 'dataset_bytes' ELSE 'item' END),
           ('project', -1, o.project_id, CASE h.noun WHEN 'bytes' THEN 'dataset_bytes' ELSE 'item' END),
           ('organization', 1, n.organization_id, CASE h.noun WHEN 'bytes' THEN 'dataset_bytes' END),
           ('organization', -1, o.organization_id, CASE h.noun WHEN 'bytes' THEN 'dataset_bytes' END)
           ) AS v (kind, sign, id, noun)
     WHERE (n.project_id, n.organization_id) <> (o.project_id, o.organization_id) AND v.noun IS NOT NULL
     GROUP BY v.kind, v.id, v.noun
    HAVING sum(v.sign * h.n) <> 0
     ORDER BY v.kind, v.id, v.noun
        ON CONFLICT ON CONSTRAINT counter_taken DO UPDATE SET n = c.n + excluded.n;
    RETURN NULL;
END $$;

CREATE FUNCTION data.model_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1
       FROM data.model m
      WHERE m.id IN (SELECT n.id FROM came n JOIN gone o USING (id)
                      WHERE (n.project_id, n.organization_id) <> (o.project_id, o.organization_id))
      ORDER BY m.id
        FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO data.counter AS c (scope_kind, scope_id, noun, shard, n)
    SELECT v.kind, v.id, 'model_bytes', data.shard(), sum(v.sign * f.bytes)
      FROM came n
      JOIN gone o USING (id)
      JOIN data.model_file f ON f.model_id = n.id
     CROSS JOIN LATERAL (VALUES
           ('project', 1, n.project_id), ('project', -1, o.project_id),
           ('organization', 1, n.organization_id), ('organization', -1, o.organization_id)) AS v (kind, sign, id)
     WHERE (n.project_id, n.organization_id) <> (o.project_id, o.organization_id)
     GROUP BY v.kind, v.id
    HAVING sum(v.sign * f.bytes) <> 0
     ORDER BY v.kind, v.id
        ON CONFLICT ON CONSTRAINT counter_taken DO UPDATE SET n = c.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER dataset_moved AFTER UPDATE ON data.dataset REFERENCING OLD TABLE AS gone NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION data.dataset_moved();
CREATE TRIGGER model_moved AFTER UPDATE ON data.model REFERENCING OLD TABLE AS gone NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION data.model_moved();

-- A purged scope leaves no totals behind.
CREATE FUNCTION data.scope_forgotten() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM data.counter c WHERE c.scope_kind = TG_TABLE_NAME AND c.scope_id IN (SELECT g.id FROM gone g);
    RETURN NULL;
END $$;
CREATE TRIGGER zz_project_forgotten AFTER DELETE ON data.project REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION data.scope_forgotten();
CREATE TRIGGER zz_dataset_forgotten AFTER DELETE ON data.dataset REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION data.scope_forgotten();
CREATE TRIGGER zz_model_file_forgotten AFTER DELETE ON data.model_file REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION data.scope_forgotten();
