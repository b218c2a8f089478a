-- What happened, and what is still to be done.

-- No foreign key to the object: an event outlives it. project_id is kept for the project's own history.
CREATE TABLE data.event (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT event_uuid_taken UNIQUE,
    organization_id bigint NOT NULL CONSTRAINT event_organization_missing REFERENCES data.organization,
    account_id      bigint CONSTRAINT event_account_missing REFERENCES data.account,
    project_id      bigint,
    action          text NOT NULL,
    noun            text NOT NULL,
    noun_id         bigint,
    noun_uuid       uuid,
    noun_created_at timestamptz,
    noun_name       text,
    message         text NOT NULL,
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    seen_at         timestamptz,
    archived_at     timestamptz
);
CREATE INDEX event_by_age ON data.event (organization_id, (archived_at IS NOT NULL), created_at, id);
CREATE INDEX event_unseen ON data.event (organization_id, id) WHERE seen_at IS NULL AND archived_at IS NULL;

-- The queue. A worker owns a job while lease_until is ahead; fence grows with each owner, and every write of an owner
-- names its fence, so that one who was thought dead cannot undo what his successor did. key: the caller's own name
-- for the job, so that asking twice makes one job; the site's own work (sweeping, purging) belongs to no organization,
-- and its key names a slot of time, so that each slot is worked once, however many workers ask.
CREATE TABLE data.job (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT job_uuid_taken UNIQUE,
    organization_id bigint CONSTRAINT job_organization_missing REFERENCES data.organization,
    account_id      bigint CONSTRAINT job_account_missing REFERENCES data.account,
    project_id      bigint CONSTRAINT job_project_missing REFERENCES data.project ON DELETE SET NULL,
    kind            text NOT NULL
                    CONSTRAINT job_kind_malformed CHECK (kind ~ '^[a-z][a-z0-9_]{0,63}$'),
    key             text CONSTRAINT job_key_malformed CHECK (char_length(key) BETWEEN 1 AND 255),
    parameters      jsonb NOT NULL DEFAULT '{}',
    state           text NOT NULL DEFAULT 'queued'
                    CONSTRAINT job_state_unknown CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    priority        smallint NOT NULL DEFAULT 0,
    progress        real NOT NULL DEFAULT 0 CONSTRAINT job_progress_out_of_range CHECK (progress BETWEEN 0 AND 100),
    message         text,
    error           jsonb,
    result          jsonb,
    attempts        integer NOT NULL DEFAULT 0,
    max_attempts    integer NOT NULL DEFAULT 3 CONSTRAINT job_max_attempts_not_positive CHECK (max_attempts > 0),
    run_after       timestamptz NOT NULL DEFAULT now(),
    lease_owner     text,
    lease_until     timestamptz,
    fence           bigint NOT NULL DEFAULT 0,
    cancel_at       timestamptz,
    started_at      timestamptz,
    finished_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT job_lease_without_owner
        CHECK ((state = 'running') = (lease_owner IS NOT NULL) AND (lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT job_end_without_time
        CHECK ((state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX job_key_taken ON data.job (organization_id, kind, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX job_site_key_taken ON data.job (kind, key) WHERE organization_id IS NULL AND key IS NOT NULL;
CREATE INDEX job_by_end ON data.job (finished_at) WHERE organization_id IS NULL AND finished_at IS NOT NULL;
CREATE INDEX job_waiting ON data.job (priority DESC, run_after, id) WHERE state = 'queued';
CREATE INDEX job_leased ON data.job (lease_until) WHERE state = 'running';
CREATE INDEX job_by_age ON data.job (organization_id, created_at, id);
CREATE INDEX job_by_project ON data.job (project_id, created_at, id) WHERE project_id IS NOT NULL;

-- A new job wakes the workers.
CREATE FUNCTION data.job_queued() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('fovea_job', NEW.kind);
    RETURN NULL;
END $$;
CREATE TRIGGER job_queued AFTER INSERT OR UPDATE OF state ON data.job
    FOR EACH ROW WHEN (NEW.state = 'queued')
    EXECUTE FUNCTION data.job_queued();
