-- Files that clients send to a signed address before they say what to do with them: an Ultralytics upload session, and
-- later a Roboflow shard. A stored file is referenced here until the session is completed or expires.

CREATE TABLE data.upload (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT upload_uuid_taken UNIQUE,
    organization_id bigint NOT NULL CONSTRAINT upload_organization_missing REFERENCES data.organization,
    account_id      bigint CONSTRAINT upload_account_missing REFERENCES data.account,
    noun            text NOT NULL CONSTRAINT upload_noun_unknown CHECK (noun IN ('model')),
    noun_id         bigint NOT NULL,
    name            text NOT NULL
                    CONSTRAINT upload_name_malformed CHECK (name ~ '^[A-Za-z0-9._-]{1,160}$'),
    media_type      text CONSTRAINT upload_media_type_long CHECK (char_length(media_type) <= 100),
    declared_bytes  bigint NOT NULL CONSTRAINT upload_bytes_not_positive CHECK (declared_bytes > 0),
    digest          bytea CONSTRAINT upload_blob_missing REFERENCES data.blob,
    stored_at       timestamptz,
    completed_at    timestamptz,
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT upload_half_stored CHECK ((digest IS NULL) = (stored_at IS NULL))
);
CREATE INDEX upload_by_digest ON data.upload (digest) WHERE digest IS NOT NULL;
CREATE INDEX upload_by_organization ON data.upload (organization_id, id);
CREATE INDEX upload_by_account ON data.upload (account_id);
CREATE INDEX upload_expired ON data.upload (expires_at) WHERE completed_at IS NULL;
