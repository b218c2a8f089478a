-- What int8 needs to know of a network: the ranges of its activations on pictures, counted once and kept as a file. It belongs
-- to one file of weights; weights that are sent again begin without.

-- source: pictures of the model's own datasets, or those that somebody gave. pictures_held: how many the datasets had at the
-- time. release: tensors are named by what the optimiser of one release leaves of a network.
CREATE TABLE data.calibration (
    model_file_id bigint NOT NULL CONSTRAINT calibration_taken PRIMARY KEY
                  CONSTRAINT calibration_file_missing REFERENCES data.model_file ON DELETE CASCADE,
    digest        bytea NOT NULL CONSTRAINT calibration_blob_missing REFERENCES data.blob,
    pictures      integer NOT NULL CONSTRAINT calibration_pictures_few CHECK (pictures >= 64),
    source        text NOT NULL
                  CONSTRAINT calibration_source_unknown CHECK (source IN ('dataset', 'given')),
    release       text NOT NULL
                  CONSTRAINT calibration_release_malformed CHECK (release ~ '^[A-Za-z0-9.+~-]{1,32}$'),
    pictures_held integer NOT NULL DEFAULT 0,
    made_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX calibration_by_digest ON data.calibration (digest);

-- The calibration that a verdict of int8 was found with: it says nothing of another.
ALTER TABLE data.precision_verdict
    ADD COLUMN calibration bytea
        CONSTRAINT precision_verdict_calibration_malformed CHECK (octet_length(calibration) = 32),
    ADD CONSTRAINT precision_verdict_uncalibrated
        CHECK (precision <> 'int8' OR verdict <> 'passed' OR calibration IS NOT NULL);
