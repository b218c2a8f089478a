-- The accuracy gate of cheaper precisions: what is to be tried, on which pictures, and what was found.

-- What automatic precision is on each kind of processor that has a verdict: "cpu release precision". The fastest that passed
-- and is faster than float32.
CREATE FUNCTION domain.precision_choices(file bigint) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT DISTINCT ON (v.cpu, v.release) v.cpu || ' ' || v.release || ' ' || v.precision
                   FROM domain.precision_verdict v
                  WHERE v.model_file_id = $1 AND v.verdict = 'passed' AND v.candidate_ms < v.f32_ms
                  ORDER BY v.cpu, v.release, v.candidate_ms) $$;

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
                                             f32_ms double precision, candidate_ms double precision, held integer)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.precision_verdict AS v
           (model_file_id, cpu, precision, release, verdict, reason, evidence, pictures, findings, agreeing, worst_likeness,
            worst_difference, f32_ms, candidate_ms, pictures_held)
    SELECT f.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
      FROM data.model_file f
     WHERE f.id = $1
       FOR KEY SHARE
        ON CONFLICT ON CONSTRAINT precision_verdict_taken
        DO UPDATE SET release = excluded.release, verdict = excluded.verdict, reason = excluded.reason,
                      evidence = excluded.evidence, pictures = excluded.pictures, findings = excluded.findings,
                      agreeing = excluded.agreeing, worst_likeness = excluded.worst_likeness,
                      worst_difference = excluded.worst_difference, f32_ms = excluded.f32_ms,
                      candidate_ms = excluded.candidate_ms, pictures_held = excluded.pictures_held, checked_at = now();
    RETURN FOUND;
END $$;

-- Queues what no verdict holds for on this kind of processor: another processor or release, or datasets that have reached the
-- least number of pictures or twice as many as then. The key is the state of things, so that what fails is not tried again
-- until something changes or the job is forgotten. Returns how many are due.
CREATE FUNCTION domain.precision_queue(cpu text, release text, precisions text[], least_pictures integer, at_most integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    WITH due AS (
        SELECT DISTINCT f.id, h.held
          FROM domain.model_file f
          JOIN domain.model m ON m.id = f.model_id
         CROSS JOIN LATERAL domain.precision_pictures_held(f.id) AS h (held)
         CROSS JOIN unnest($3) AS p (name)
          LEFT JOIN data.precision_verdict v
            ON v.model_file_id = f.id AND v.cpu = $1 AND v.precision = p.name AND v.release = $2
         WHERE f.purpose = 'weights' AND m.runnable
           AND (v.model_file_id IS NULL
                OR h.held >= $4 AND (v.pictures_held < $4 OR h.held >= 2 * v.pictures_held))
         ORDER BY f.id
         LIMIT $5)
    INSERT INTO data.job (kind, key, parameters, priority)
    SELECT 'gate_model', concat_ws(' ', d.id, $1, $2, array_to_string($3, ','), d.held),
           jsonb_build_object('file', d.id, 'cpu', $1), -1
      FROM due d
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
