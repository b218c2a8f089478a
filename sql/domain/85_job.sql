-- The queue, for workers. A job belongs to the worker that took it for as long as its lease lasts; every further call
-- names the fence that the take returned, and changes nothing once somebody else has taken the job over.

CREATE FUNCTION domain.job_add(organization bigint, kind text, key text, parameters jsonb DEFAULT '{}',
                               account bigint DEFAULT NULL, project bigint DEFAULT NULL,
                               run_after timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO data.job AS j (organization_id, account_id, project_id, kind, key, parameters, run_after)
    VALUES ($1, $5, $6, $2, $3, $4, $7)
        ON CONFLICT DO NOTHING
    RETURNING j.id INTO made;
    RETURN coalesce(made, (SELECT j.id FROM data.job j
                            WHERE j.organization_id IS NOT DISTINCT FROM $1 AND j.kind = $2 AND j.key = $3));
END $$;

-- The next job of one of the kinds that is due, or whose worker fell silent; no row: nothing to do. Jobs whose
-- last attempt fell silent fail on the way.
CREATE FUNCTION domain.job_take(owner text, kinds text[], lease interval)
RETURNS TABLE (id bigint, kind text, parameters text, fence bigint, attempt integer, last_attempt boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE data.job j
       SET state = 'failed', finished_at = now(), updated_at = now(), lease_owner = NULL, lease_until = NULL,
           fence = j.fence + 1, error = jsonb_build_object('message', 'The worker fell silent')
     WHERE j.state = 'running' AND j.lease_until < now() AND j.attempts >= j.max_attempts;
    RETURN QUERY
    UPDATE data.job j
       SET state = 'running', lease_owner = $1, lease_until = now() + $3, fence = j.fence + 1,
           attempts = j.attempts + 1, started_at = coalesce(j.started_at, now()), updated_at = now()
     WHERE j.id = (SELECT w.id
                     FROM data.job w
                    WHERE w.kind = ANY ($2)
                      AND (w.state = 'queued' AND w.run_after <= now() OR w.state = 'running' AND w.lease_until < now())
                    ORDER BY w.priority DESC, w.run_after, w.id
                    LIMIT 1
                      FOR UPDATE SKIP LOCKED)
    RETURNING j.id, j.kind, j.parameters::text, j.fence, j.attempts, j.attempts >= j.max_attempts;
END $$;

-- Alive. 'ok', 'cancel' (somebody asked to stop) or 'lost' (the job is another's).
CREATE FUNCTION domain.job_beat(job bigint, fence bigint, lease interval, progress real) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stop boolean;
BEGIN
    UPDATE data.job j
       SET lease_until = now() + $3, progress = greatest(j.progress, $4), updated_at = now()
     WHERE j.id = $1 AND j.fence = $2 AND j.state = 'running'
    RETURNING j.cancel_at IS NOT NULL INTO stop;
    RETURN CASE WHEN stop IS NULL THEN 'lost' WHEN stop THEN 'cancel' ELSE 'ok' END;
END $$;

-- state: done, failed or cancelled. False: the job is another's by now.
CREATE FUNCTION domain.job_end(job bigint, fence bigint, state text, result jsonb, error jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE data.job j
       SET state = $3, result = $4, error = $5, finished_at = now(), updated_at = now(),
           progress = CASE $3 WHEN 'done' THEN 100 ELSE j.progress END, lease_owner = NULL, lease_until = NULL
     WHERE j.id = $1 AND j.fence = $2 AND j.state = 'running';
    RETURN FOUND;
END $$;

-- Back into the queue, to be taken after a while. counts: whether this was an attempt (false: the worker stops).
CREATE FUNCTION domain.job_return(job bigint, fence bigint, wait interval, counts boolean, error jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE data.job j
       SET state = 'queued', run_after = now() + $3, attempts = j.attempts - (NOT $4)::integer, error = $5,
           updated_at = now(), lease_owner = NULL, lease_until = NULL
     WHERE j.id = $1 AND j.fence = $2 AND j.state = 'running';
    RETURN FOUND;
END $$;

-- Ended jobs of the site itself go after a while; those of organizations are their history.
CREATE FUNCTION domain.job_forget(older interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM data.job j WHERE j.organization_id IS NULL AND j.finished_at < now() - $1;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
