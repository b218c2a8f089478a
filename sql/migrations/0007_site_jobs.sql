-- Work of the site itself (sweeping, purging) belongs to no organization; a new job wakes the workers.

ALTER TABLE data.job ALTER COLUMN organization_id DROP NOT NULL;

-- A key of the site's jobs names a slot of time, so that each slot is worked once, however many workers ask.
CREATE UNIQUE INDEX job_site_key_taken ON data.job (kind, key) WHERE organization_id IS NULL AND key IS NOT NULL;
CREATE INDEX job_by_end ON data.job (finished_at) WHERE organization_id IS NULL AND finished_at IS NOT NULL;

CREATE FUNCTION data.job_queued() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('fovea_job', NEW.kind);
    RETURN NULL;
END $$;
CREATE TRIGGER job_queued AFTER INSERT OR UPDATE OF state ON data.job
    FOR EACH ROW WHEN (NEW.state = 'queued')
    EXECUTE FUNCTION data.job_queued();
