-- The accuracy gate of cheaper precisions: what is to be tried, on which pictures, and what was found.

-- What automatic precision is on each kind of processor that has a verdict: "cpu release precision". The fastest that passed
-- and is faster than float32; int8 with the calibration that it passed with. Each was timed in turn with float32, at another
-- hour than the others: shares of float32's time compare, milliseconds don't.
CREATE FUNCTION domain.precision_choices(file bigint) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT DISTINCT ON (v.cpu, v.release) v.cpu || ' ' || v.release || ' ' || v.precision
                   FROM domain.precision_verdict v
                   LEFT JOIN domain.calibration c ON c.model_file_id = v.model_file_id
                  WHERE v.model_file_id = $1 AND v.verdict = 'passed' AND v.candidate_ms < v.f32_ms
                    AND (v.precision <> 'int8' OR v.calibration = c.digest)
                  ORDER BY v.cpu, v.release, v.candidate_ms / v.f32_ms) $$;

-- What plans avoid on each kind of processor where the check found something: "cpu release list".
CREATE FUNCTION domain.plan_avoided(file bigint) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT concat_ws(' ', p.cpu, p.release, p.avoided)
                   FROM domain.plan_check p
                  WHERE p.model_file_id = $1 AND p.avoided <> ''
                  ORDER BY p.cpu) $$;

-- Pictures of the model's dataset, or of those of its project, validation first; at most so many a dataset and split.
CREATE FUNCTION domain.precision_pictures(file bigint, at_most integer)
RETURNS TABLE (digest bytea) LANGUAGE sql STABLE AS $$
    SELECT i.digest
      FROM domain.model_file f
      JOIN domain.model m ON m.id = f.model_id
      JOIN domain.dataset d ON CASE WHEN m.dataset_id IS NULL THEN d.project_id = m.project_id ELSE d.id = m.dataset_id END
     CROSS JOIN unnest(ARRAY['val', 'test', 'unassigned', 'train']) WITH ORDINALITY AS s (split, rank)
     CROSS JOIN LATERAL (SELECT n.digest, n.id
                           FROM domain.item n
                          WHERE n.dataset_id = d.id AND n.split = s.split AND n.kind = 'image' AND n.digest IS NOT NULL
                          ORDER BY n.created_at, n.id
                          LIMIT $2) AS i
     WHERE f.id = $1
     ORDER BY s.rank, i.id
     LIMIT $2 $$;

-- How many items those datasets hold.
CREATE FUNCTION domain.precision_pictures_held(file bigint) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT least(coalesce(sum(c.n), 0), 2000000000)::integer
      FROM domain.model_file f
      JOIN domain.model m ON m.id = f.model_id
      JOIN domain.dataset d ON CASE WHEN m.dataset_id IS NULL THEN d.project_id = m.project_id ELSE d.id = m.dataset_id END
      JOIN domain.counter c ON c.scope_kind = 'dataset' AND c.scope_id = d.id AND c.noun = 'item'
     WHERE f.id = $1 $$;

-- What the gate needs to know of a file; no row: it is gone, or was never to be run.
CREATE FUNCTION domain.precision_subject(file bigint)
RETURNS TABLE (digest bytea, name text, held integer) LANGUAGE sql STABLE AS $$
    SELECT f.digest, m.name, domain.precision_pictures_held(f.id)
      FROM domain.model_file f
      JOIN domain.model m ON m.id = f.model_id
     WHERE f.id = $1 AND f.purpose = 'weights' AND m.runnable
       AND NOT EXISTS (SELECT 1 FROM domain.condemned_weights c WHERE c.digest = f.digest) $$;

-- The last word on a file, processor and precision. False: the file is gone.
CREATE FUNCTION domain.precision_verdict_set(file bigint, cpu text, precision_name text, release text, verdict text, reason text,
                                             evidence text, pictures integer, findings integer, agreeing integer,
                                             worst_likeness double precision, worst_difference double precision,
                                             f32_ms double precision, candidate_ms double precision, held integer,
                                             calibration bytea DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.precision_verdict AS v
           (model_file_id, cpu, precision, release, verdict, reason, evidence, pictures, findings, agreeing, worst_likeness,
            worst_difference, f32_ms, candidate_ms, pictures_held, calibration)
    SELECT f.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
      FROM data.model_file f
     WHERE f.id = $1
       FOR KEY SHARE
        ON CONFLICT ON CONSTRAINT precision_verdict_taken
        DO UPDATE SET release = excluded.release, verdict = excluded.verdict, reason = excluded.reason,
                      evidence = excluded.evidence, pictures = excluded.pictures, findings = excluded.findings,
                      agreeing = excluded.agreeing, worst_likeness = excluded.worst_likeness,
                      worst_difference = excluded.worst_difference, f32_ms = excluded.f32_ms,
                      candidate_ms = excluded.candidate_ms, pictures_held = excluded.pictures_held,
                      calibration = excluded.calibration, checked_at = now();
    RETURN FOUND;
END $$;

-- The last check of a file's plan on a kind of processor. False: the file is gone.
CREATE FUNCTION domain.plan_check_set(file bigint, cpu text, release text, layers integer, wrong integer, worst_layer text,
                                      worst_difference double precision, slow_work double precision, avoided text, reason text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.plan_check AS p
           (model_file_id, cpu, release, layers, wrong, worst_layer, worst_difference, slow_work, avoided, reason)
    SELECT f.id, $2, $3, $4, $5, $6, $7, $8, $9, $10
      FROM data.model_file f
     WHERE f.id = $1
       FOR KEY SHARE
        ON CONFLICT ON CONSTRAINT plan_check_taken
        DO UPDATE SET release = excluded.release, layers = excluded.layers, wrong = excluded.wrong,
                      worst_layer = excluded.worst_layer, worst_difference = excluded.worst_difference,
                      slow_work = excluded.slow_work, avoided = excluded.avoided, reason = excluded.reason, checked_at = now();
    RETURN FOUND;
END $$;

-- The calibration of a file from now on; its bytes are published. False: the file is gone.
CREATE FUNCTION domain.calibration_set(file bigint, digest bytea, size bigint, pictures integer, source text, release text,
                                       held integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM data.model_file f WHERE f.id = $1 FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM domain.blob_put($2, $3, 'text/plain');
    INSERT INTO data.calibration AS c (model_file_id, digest, pictures, source, release, pictures_held)
    VALUES ($1, $2, $4, $5, $6, $7)
        ON CONFLICT ON CONSTRAINT calibration_taken
        DO UPDATE SET digest = excluded.digest, pictures = excluded.pictures, source = excluded.source,
                      release = excluded.release, pictures_held = excluded.pictures_held, made_at = now();
    RETURN true;
END $$;

-- Asks for a trial of what has just got another calibration, by hand; whichever processor comes first. Once for each.
CREATE FUNCTION domain.calibration_queue(file bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.job (kind, key, parameters, priority)
    SELECT 'gate_model', concat_ws(' ', $1, 'calibration', encode(c.digest, 'hex')), jsonb_build_object('file', $1), -1
      FROM domain.calibration c
     WHERE c.model_file_id = $1
        ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Queues what no check or no verdict holds for on this kind of processor: another processor or release, datasets that have reached the
-- least number of pictures or twice as many as then, for int8 enough for a calibration where there is none, or another
-- calibration. The key is the state of things, so that what fails is not tried again until something changes or the job is
-- forgotten. Returns how many are due.
CREATE FUNCTION domain.precision_queue(cpu text, release text, precisions text[], least_pictures integer, at_most integer,
                                       calibration_pictures integer DEFAULT 64)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    WITH due AS (
        SELECT DISTINCT f.id, h.held, c.digest
          FROM domain.model_file f
          JOIN domain.model m ON m.id = f.model_id
         CROSS JOIN LATERAL domain.precision_pictures_held(f.id) AS h (held)
          LEFT JOIN unnest($3) AS p (name) ON true
          LEFT JOIN data.calibration c ON c.model_file_id = f.id
          LEFT JOIN data.precision_verdict v
            ON v.model_file_id = f.id AND v.cpu = $1 AND v.precision = p.name AND v.release = $2
           AND (p.name <> 'int8' OR v.calibration IS NOT DISTINCT FROM c.digest)
         WHERE f.purpose = 'weights' AND m.runnable
           AND (NOT EXISTS (SELECT 1 FROM data.plan_check k
                             WHERE k.model_file_id = f.id AND k.cpu = $1 AND k.release = $2)
                OR p.name IS NOT NULL AND v.model_file_id IS NULL
                OR h.held >= $4 AND (v.pictures_held < $4 OR h.held >= 2 * v.pictures_held)
                OR p.name = 'int8' AND c.digest IS NULL AND h.held >= $6 AND v.pictures_held < $6)
         ORDER BY f.id
         LIMIT $5)
    INSERT INTO data.job (kind, key, parameters, priority)
    SELECT 'gate_model',
           concat_ws(' ', d.id, $1, $2, array_to_string($3, ','), d.held, left(encode(d.digest, 'hex'), 16)),
           jsonb_build_object('file', d.id, 'cpu', $1), -1
      FROM due d
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
