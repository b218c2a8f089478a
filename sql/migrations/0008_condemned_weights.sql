-- Weights that crashed or hung the process that ran them, more than once. By their bytes: whoever has uploaded them, and
-- whatever model they belong to; and for longer than any file is kept.

CREATE TABLE data.condemned_weights (
    digest       bytea NOT NULL CONSTRAINT condemned_weights_pkey PRIMARY KEY
                 CONSTRAINT condemned_weights_digest_malformed CHECK (octet_length(digest) = 32),
    reason       text NOT NULL CONSTRAINT condemned_weights_reason_long CHECK (char_length(reason) <= 500),
    condemned_at timestamptz NOT NULL DEFAULT now()
);
