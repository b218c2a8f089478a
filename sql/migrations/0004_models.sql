-- Weights and how they came to be.

CREATE TABLE data.model (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT model_uuid_taken UNIQUE,
    project_id      bigint NOT NULL,
    organization_id bigint NOT NULL,
    parent_id       bigint CONSTRAINT model_parent_missing REFERENCES data.model ON DELETE SET NULL,
    dataset_id      bigint CONSTRAINT model_dataset_missing REFERENCES data.dataset ON DELETE SET NULL,
    name            text NOT NULL
                    CONSTRAINT model_name_blank CHECK (name ~ '[^[:space:]]')
                    CONSTRAINT model_name_long CHECK (char_length(name) <= 100)
                    CONSTRAINT model_name_control CHECK (name !~ '[\x01-\x1f\x7f]'),
    slug            text COLLATE "C" NOT NULL
                    CONSTRAINT model_slug_malformed
                    CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 128),
    description     text CONSTRAINT model_description_long CHECK (char_length(description) <= 1000),
    task            text CONSTRAINT model_task_unknown
                    CHECK (task IN ('detect', 'segment', 'semantic', 'classify', 'pose', 'obb')),
    status          text NOT NULL DEFAULT 'untrained'
                    CONSTRAINT model_status_unknown
                    CHECK (status IN ('pending', 'untrained', 'starting', 'running', 'completed', 'failed', 'cancelled')),
    architecture    text CONSTRAINT model_architecture_long CHECK (char_length(architecture) <= 200),
    class_names     text[] NOT NULL DEFAULT '{}'
                    CONSTRAINT model_classes_many CHECK (cardinality(class_names) <= 25000),
    parameters      bigint CONSTRAINT model_parameters_negative CHECK (parameters >= 0),
    gflops          double precision,
    speed_ms        double precision,
    input_height    integer CONSTRAINT model_input_height_not_positive CHECK (input_height > 0),
    input_width     integer CONSTRAINT model_input_width_not_positive CHECK (input_width > 0),
    package_version text CONSTRAINT model_package_version_long CHECK (char_length(package_version) <= 100),
    runnable        boolean NOT NULL DEFAULT false,
    why_not         text CONSTRAINT model_why_not_long CHECK (char_length(why_not) <= 1000),
    metrics         jsonb NOT NULL DEFAULT '{}'
                    CONSTRAINT model_metrics_not_object CHECK (jsonb_typeof(metrics) = 'object'),
    license         text CONSTRAINT model_license_long CHECK (char_length(license) <= 100),
    created_by      bigint CONSTRAINT model_creator_missing REFERENCES data.account,
    started_at      timestamptz,
    completed_at    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    trash_root      bigint,
    CONSTRAINT model_project_missing FOREIGN KEY (project_id, organization_id)
        REFERENCES data.project (id, organization_id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX model_slug_taken ON data.model (project_id, slug) WHERE deleted_at IS NULL;
CREATE INDEX model_by_age ON data.model (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX model_by_project ON data.model (project_id, created_at, id);
CREATE INDEX model_by_dataset ON data.model (dataset_id) WHERE dataset_id IS NOT NULL;
CREATE INDEX model_by_parent ON data.model (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX model_in_trash ON data.model (deleted_at) WHERE deleted_at IS NOT NULL;

-- purpose weights: what predict runs; checkpoint and export files come beside it.
CREATE TABLE data.model_file (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid       uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT model_file_uuid_taken UNIQUE,
    model_id   bigint NOT NULL CONSTRAINT model_file_model_missing REFERENCES data.model,
    purpose    text NOT NULL
               CONSTRAINT model_file_purpose_unknown CHECK (purpose IN ('weights', 'checkpoint', 'export')),
    format     text NOT NULL
               CONSTRAINT model_file_format_malformed CHECK (format ~ '^[a-z0-9_]{1,16}$'),
    name       text NOT NULL
               CONSTRAINT model_file_name_malformed CHECK (name ~ '^[A-Za-z0-9._-]{1,160}$'),
    digest     bytea NOT NULL CONSTRAINT model_file_blob_missing REFERENCES data.blob,
    bytes      bigint NOT NULL CONSTRAINT model_file_bytes_negative CHECK (bytes >= 0),
    media_type text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX model_file_weights_taken ON data.model_file (model_id) WHERE purpose = 'weights';
CREATE INDEX model_file_by_model ON data.model_file (model_id, id);
CREATE INDEX model_file_by_digest ON data.model_file (digest);

-- One attempt to train: an AutoML experiment, the trainResults of an Ultralytics model, a Geti training.
CREATE TABLE data.training_run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid         uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT training_run_uuid_taken UNIQUE,
    project_id   bigint NOT NULL CONSTRAINT training_run_project_missing REFERENCES data.project,
    model_id     bigint CONSTRAINT training_run_model_missing REFERENCES data.model,
    dataset_id   bigint CONSTRAINT training_run_dataset_missing REFERENCES data.dataset ON DELETE SET NULL,
    name         text NOT NULL
                 CONSTRAINT training_run_name_blank CHECK (name ~ '[^[:space:]]')
                 CONSTRAINT training_run_name_long CHECK (char_length(name) <= 100),
    status       text NOT NULL DEFAULT 'pending'
                 CONSTRAINT training_run_status_unknown
                 CHECK (status IN ('pending', 'starting', 'running', 'completed', 'failed', 'cancelled')),
    arguments    jsonb NOT NULL DEFAULT '{}',
    environment  jsonb NOT NULL DEFAULT '{}',
    plots        jsonb NOT NULL DEFAULT '[]',
    epochs       integer CONSTRAINT training_run_epochs_not_positive CHECK (epochs > 0),
    best_epoch   integer,
    best_fitness double precision,
    metrics      jsonb NOT NULL DEFAULT '{}',
    error        jsonb,
    started_at   timestamptz,
    finished_at  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz,
    trash_root   bigint
);
CREATE INDEX training_run_by_project ON data.training_run (project_id, created_at, id);
CREATE INDEX training_run_by_model ON data.training_run (model_id, id) WHERE model_id IS NOT NULL;
CREATE INDEX training_run_by_dataset ON data.training_run (dataset_id) WHERE dataset_id IS NOT NULL;

-- Reports come in any order and twice: the key is the epoch and the last report wins.
CREATE TABLE data.training_epoch (
    training_run_id bigint NOT NULL CONSTRAINT training_epoch_run_missing REFERENCES data.training_run ON DELETE CASCADE,
    epoch           integer NOT NULL CONSTRAINT training_epoch_negative CHECK (epoch >= 0),
    metrics         jsonb NOT NULL DEFAULT '{}',
    fitness         double precision,
    system          jsonb,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT training_epoch_taken PRIMARY KEY (training_run_id, epoch)
);
