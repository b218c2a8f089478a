-- Whether a cheaper precision sees what float32 sees: what the gate found, for each file of weights, kind of processor and
-- precision. By file and not by digest: the pictures that prove it are those of the file's own project.

-- cpu, release: what computed; another kind of processor or another release rounds otherwise, and is tried anew.
-- agreeing of findings: seen alike by both; worst_*: of pairs, also of those that agree. pictures_held: how many the
-- project's datasets had at the time, so that a dataset that has grown is noticed.
CREATE TABLE data.precision_verdict (
    model_file_id    bigint NOT NULL
                     CONSTRAINT precision_verdict_file_missing REFERENCES data.model_file ON DELETE CASCADE,
    cpu              text NOT NULL
                     CONSTRAINT precision_verdict_cpu_malformed CHECK (cpu ~ '^[A-Za-z0-9_/-]{1,63}$'),
    precision        text NOT NULL
                     CONSTRAINT precision_verdict_precision_unknown CHECK (precision IN ('bf16', 'int8', 'f16')),
    release          text NOT NULL
                     CONSTRAINT precision_verdict_release_malformed CHECK (release ~ '^[A-Za-z0-9.+~-]{1,32}$'),
    verdict          text NOT NULL
                     CONSTRAINT precision_verdict_unknown CHECK (verdict IN ('passed', 'failed', 'unproven')),
    reason           text CONSTRAINT precision_verdict_reason_long CHECK (char_length(reason) <= 200),
    evidence         text NOT NULL
                     CONSTRAINT precision_verdict_evidence_unknown CHECK (evidence IN ('dataset', 'bundled')),
    pictures         integer NOT NULL DEFAULT 0,
    findings         integer NOT NULL DEFAULT 0,
    agreeing         integer NOT NULL DEFAULT 0,
    worst_likeness   double precision,
    worst_difference double precision,
    f32_ms           double precision,
    candidate_ms     double precision,
    pictures_held    integer NOT NULL DEFAULT 0,
    checked_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT precision_verdict_taken PRIMARY KEY (model_file_id, cpu, precision)
);

-- Weights that arrive are to be tried, whichever way they came; sweeping and expiry go first.
CREATE FUNCTION data.weights_arrived() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO data.job (kind, key, parameters, priority)
    VALUES ('gate_model', NEW.id::text, jsonb_build_object('file', NEW.id), -1)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER weights_arrived AFTER INSERT ON data.model_file
    FOR EACH ROW WHEN (NEW.purpose = 'weights')
    EXECUTE FUNCTION data.weights_arrived();
