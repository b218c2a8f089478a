-- Accounts and keys: who a request comes from.

CREATE FUNCTION domain.key_find(hash bytea)
RETURNS TABLE (key_id bigint, account_id bigint, organization_id bigint, scopes integer, site_admin boolean,
               per_minute integer, per_day integer, suspended boolean, plan text) LANGUAGE sql STABLE AS $$
    SELECT k.id, k.account_id, k.organization_id, domain.scope_bits(k.scopes), c.site_admin,
           p.per_minute, p.per_day, c.suspended_at IS NOT NULL, p.name
      FROM domain.api_key_secret k
      JOIN domain.account c ON c.id = k.account_id
      JOIN domain.organization o ON o.account_id = k.account_id
      JOIN domain.plan p ON p.name = o.plan
     WHERE k.hash = $1 $$;

CREATE FUNCTION domain.key_used(key_id bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE data.api_key k
       SET last_used_at = now()
     WHERE k.id = $1 AND (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute');
END $$;

CREATE FUNCTION domain.api_key_list(a domain.actor) RETURNS SETOF domain.api_key LANGUAGE sql STABLE AS $$
    SELECT k.* FROM domain.api_key k WHERE k.account_id = (a).account_id $$;

CREATE FUNCTION domain.api_key_total(a domain.actor) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(c.n), 0)::bigint
      FROM domain.counter c
     WHERE c.scope_kind = 'account' AND c.scope_id = (a).account_id AND c.noun = 'api_key' $$;

CREATE FUNCTION domain.api_key_get(a domain.actor, api_key bigint) RETURNS SETOF domain.api_key LANGUAGE sql STABLE AS $$
    SELECT k.* FROM domain.api_key k WHERE k.id = $2 AND k.account_id = (a).account_id $$;

-- scopes NULL: all but admin.
CREATE FUNCTION domain.api_key_create(a domain.actor, name text, scopes text[], hash bytea, display text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made data.api_key;
BEGIN
    INSERT INTO data.api_key (account_id, organization_id, name, scopes, hash, display)
    VALUES ((a).account_id, (a).organization_id, $2,
            coalesce($3, ARRAY['training', 'models', 'datasets', 'read', 'write', 'predict']), $4, $5)
    RETURNING * INTO made;
    PERFORM domain.event_add(a, 'created', 'api_key', made.id, made.uuid, made.created_at, made.name, NULL);
    RETURN domain.remember(made.id);
END $$;

CREATE FUNCTION domain.api_key_revoke(a domain.actor, api_key bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone data.api_key;
BEGIN
    UPDATE data.api_key k
       SET revoked_at = now(), updated_at = now()
     WHERE k.id = $2 AND k.account_id = (a).account_id AND k.revoked_at IS NULL
    RETURNING * INTO gone;
    IF gone.id IS NULL THEN
        PERFORM domain.fail('FV404', 'api_key', 'API key not found');
    END IF;
    PERFORM domain.event_add(a, 'deleted', 'api_key', gone.id, gone.uuid, gone.created_at, gone.name, NULL);
    RETURN domain.remember(gone.id);
END $$;
