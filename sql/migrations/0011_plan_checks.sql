-- Whether a network's kernels compute what its operators mean, layer by layer in float32: what the gate found, for each file of
-- weights and kind of processor. What was wrong is computed another way by who runs the model from then on.

-- layers: compared; 0: it could not be checked, and reason says why. wrong: those that no other way put right. worst_*: of the
-- layers that are right. slow_work: share of the multiplications that are done by plain loops. avoided: the list as
-- inference/plan/avoid.h writes it; reason then names the first layer.
CREATE TABLE data.plan_check (
    model_file_id    bigint NOT NULL CONSTRAINT plan_check_file_missing REFERENCES data.model_file ON DELETE CASCADE,
    cpu              text NOT NULL CONSTRAINT plan_check_cpu_malformed CHECK (cpu ~ '^[A-Za-z0-9_/-]{1,63}$'),
    release          text NOT NULL CONSTRAINT plan_check_release_malformed CHECK (release ~ '^[A-Za-z0-9.+~-]{1,32}$'),
    layers           integer NOT NULL CONSTRAINT plan_check_layers_negative CHECK (layers >= 0),
    wrong            integer NOT NULL CONSTRAINT plan_check_wrong_many CHECK (wrong BETWEEN 0 AND layers),
    worst_layer      text CONSTRAINT plan_check_worst_layer_long CHECK (char_length(worst_layer) <= 200),
    worst_difference double precision,
    slow_work        double precision,
    avoided          text NOT NULL DEFAULT ''
                     CONSTRAINT plan_check_avoided_malformed
                     CHECK (char_length(avoided) <= 6000
                            AND avoided ~ '^([0-9a-f]{16}:(own|fast)( [0-9a-f]{16}:(own|fast))*)?$'),
    reason           text CONSTRAINT plan_check_reason_long CHECK (char_length(reason) <= 200),
    checked_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT plan_check_taken PRIMARY KEY (model_file_id, cpu)
);
