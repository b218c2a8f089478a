-- People, machines and what they may spend: plans, accounts, organizations, keys; counters, usage, replayed requests.
-- Every noun has id (integer spelling) and uuid (text spelling); times are timestamptz; deleted_at is the trash.

CREATE TABLE data.plan (
    name                  text PRIMARY KEY,
    ordinal               integer NOT NULL CONSTRAINT plan_ordinal_taken UNIQUE,
    per_minute            integer CONSTRAINT plan_per_minute_not_positive CHECK (per_minute > 0),
    per_day               integer CONSTRAINT plan_per_day_not_positive CHECK (per_day > 0),
    predict_per_minute    integer CONSTRAINT plan_predict_per_minute_not_positive CHECK (predict_per_minute > 0),
    predict_per_day       integer CONSTRAINT plan_predict_per_day_not_positive CHECK (predict_per_day > 0),
    storage_bytes         bigint CONSTRAINT plan_storage_negative CHECK (storage_bytes >= 0),
    model_limit           integer CONSTRAINT plan_model_limit_negative CHECK (model_limit >= 0),
    deployment_limit      integer CONSTRAINT plan_deployment_limit_negative CHECK (deployment_limit >= 0),
    training_limit        integer CONSTRAINT plan_training_limit_negative CHECK (training_limit >= 0),
    upload_bytes          bigint CONSTRAINT plan_upload_bytes_negative CHECK (upload_bytes >= 0)
);
COMMENT ON TABLE data.plan IS 'Limits of an organization and of its account''s requests; NULL means no limit.';

INSERT INTO data.plan VALUES
    ('free',       1,   60,  1000,   10,   100, 100::bigint << 30, 100,  3,    3,    50::bigint << 30),
    ('pro',        2,  300, 50000,   60, 10000, 500::bigint << 30, 500,  10,   10,   50::bigint << 30),
    ('enterprise', 3, NULL,  NULL, NULL,  NULL, NULL,              NULL, NULL, NULL, NULL);

CREATE TABLE data.account (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid         uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT account_uuid_taken UNIQUE,
    username     text NOT NULL
                 CONSTRAINT account_username_malformed CHECK (username ~ '^[A-Za-z0-9_.@+-]{1,150}$'),
    email        text NOT NULL
                 CONSTRAINT account_email_malformed CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' AND char_length(email) <= 254),
    name         text NOT NULL DEFAULT ''
                 CONSTRAINT account_name_long CHECK (char_length(name) <= 150),
    site_admin   boolean NOT NULL DEFAULT false,
    suspended_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);
CREATE UNIQUE INDEX account_username_taken ON data.account (lower(username)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX account_email_taken ON data.account (lower(email)) WHERE deleted_at IS NULL;

-- An organization owns things. The one with account_id is that account's personal one; its plan is the account's.
CREATE TABLE data.organization (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid        uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT organization_uuid_taken UNIQUE,
    account_id  bigint CONSTRAINT organization_account_missing REFERENCES data.account
                CONSTRAINT organization_personal_taken UNIQUE,
    handle      text COLLATE "C" NOT NULL
                CONSTRAINT organization_handle_malformed CHECK (handle ~ '^[a-z0-9-]{4,16}$'),
    name        text NOT NULL DEFAULT ''
                CONSTRAINT organization_name_long CHECK (char_length(name) <= 100),
    description text CONSTRAINT organization_description_long CHECK (char_length(description) <= 1000),
    contact     jsonb NOT NULL DEFAULT '{}',
    plan        text NOT NULL DEFAULT 'enterprise' CONSTRAINT organization_plan_unknown REFERENCES data.plan,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz
);
CREATE UNIQUE INDEX organization_handle_taken ON data.organization (handle) WHERE deleted_at IS NULL;

-- Role inside an organization. On its projects it counts as owner, editor, editor, viewer.
CREATE TABLE data.membership (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT membership_uuid_taken UNIQUE,
    organization_id bigint NOT NULL CONSTRAINT membership_organization_missing REFERENCES data.organization,
    account_id      bigint NOT NULL CONSTRAINT membership_account_missing REFERENCES data.account,
    role            text NOT NULL
                    CONSTRAINT membership_role_unknown CHECK (role IN ('owner', 'maintainer', 'supervisor', 'worker')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT membership_taken UNIQUE (organization_id, account_id)
);
CREATE INDEX membership_by_account ON data.membership (account_id);

-- hash: SHA-256 of the 40 hex digits alone, so that a key works in every dialect's spelling.
CREATE TABLE data.api_key (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT api_key_uuid_taken UNIQUE,
    account_id      bigint NOT NULL CONSTRAINT api_key_account_missing REFERENCES data.account,
    organization_id bigint NOT NULL CONSTRAINT api_key_organization_missing REFERENCES data.organization,
    name            text NOT NULL
                    CONSTRAINT api_key_name_blank CHECK (name ~ '[^[:space:]]')
                    CONSTRAINT api_key_name_long CHECK (char_length(name) <= 100),
    hash            bytea NOT NULL
                    CONSTRAINT api_key_hash_taken UNIQUE
                    CONSTRAINT api_key_hash_malformed CHECK (octet_length(hash) = 32),
    display         text NOT NULL
                    CONSTRAINT api_key_display_long CHECK (char_length(display) <= 16),
    scopes          text[] NOT NULL
                    CONSTRAINT api_key_scope_unknown
                    CHECK (scopes <@ ARRAY['training', 'models', 'datasets', 'read', 'write', 'predict', 'admin']),
    last_used_at    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    revoked_at      timestamptz
);
CREATE INDEX api_key_by_account ON data.api_key (account_id, created_at, id) WHERE revoked_at IS NULL;

-- Exact totals, summed over the shards: each session adds to a shard of its own (0006).
CREATE TABLE data.counter (
    scope_kind text NOT NULL,
    scope_id   bigint NOT NULL,
    noun       text NOT NULL,
    shard      smallint NOT NULL,
    n          bigint NOT NULL,
    CONSTRAINT counter_taken PRIMARY KEY (scope_kind, scope_id, noun, shard)
) WITH (fillfactor = 70);

-- What an account did on a day (UTC): requests and predictions, for the limits of its plan after a restart.
CREATE TABLE data.usage (
    account_id bigint NOT NULL CONSTRAINT usage_account_missing REFERENCES data.account,
    day        date NOT NULL,
    noun       text NOT NULL,
    n          bigint NOT NULL CONSTRAINT usage_negative CHECK (n >= 0),
    CONSTRAINT usage_taken PRIMARY KEY (account_id, day, noun)
) WITH (fillfactor = 70);
CREATE INDEX usage_by_day ON data.usage (day);

-- The row that a request with an Idempotency-Key made; its answer is shaped again on replay.
CREATE TABLE data.idempotency_key (
    account_id bigint NOT NULL CONSTRAINT idempotency_key_account_missing REFERENCES data.account,
    key        text NOT NULL
               CONSTRAINT idempotency_key_malformed CHECK (char_length(key) BETWEEN 1 AND 255),
    route      text NOT NULL,
    digest     bytea NOT NULL,
    row_id     bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_key_taken PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_key_by_age ON data.idempotency_key (created_at);

-- A revoked key, a suspended account or another plan must reach every process that remembers the key.
CREATE FUNCTION data.api_key_changed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('fovea_key', encode(NEW.hash, 'hex'));
    RETURN NULL;
END $$;
CREATE TRIGGER api_key_changed AFTER UPDATE ON data.api_key
    FOR EACH ROW WHEN ((OLD.revoked_at, OLD.scopes) IS DISTINCT FROM (NEW.revoked_at, NEW.scopes))
    EXECUTE FUNCTION data.api_key_changed();

CREATE FUNCTION data.account_changed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('fovea_key', encode(k.hash, 'hex'))
       FROM data.api_key k
      WHERE k.account_id = CASE TG_TABLE_NAME WHEN 'account' THEN NEW.id ELSE (to_jsonb(NEW) ->> 'account_id')::bigint END
        AND k.revoked_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER account_changed AFTER UPDATE ON data.account
    FOR EACH ROW WHEN ((OLD.suspended_at, OLD.site_admin, OLD.deleted_at)
                       IS DISTINCT FROM (NEW.suspended_at, NEW.site_admin, NEW.deleted_at))
    EXECUTE FUNCTION data.account_changed();
CREATE TRIGGER organization_changed AFTER UPDATE ON data.organization
    FOR EACH ROW WHEN (OLD.plan IS DISTINCT FROM NEW.plan)
    EXECUTE FUNCTION data.account_changed();
