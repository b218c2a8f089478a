-- Rows outside the trash, under the names that shapes and functions use. A view hides the trash and nothing else;
-- tenancy is in the functions. stamp: the seconds in a 24-digit id.

CREATE VIEW domain.plan AS SELECT * FROM data.plan;

CREATE VIEW domain.account AS
SELECT a.*, floor(extract(epoch FROM a.created_at))::bigint AS stamp
  FROM data.account a
 WHERE a.deleted_at IS NULL;

CREATE VIEW domain.organization AS
SELECT o.*, floor(extract(epoch FROM o.created_at))::bigint AS stamp
  FROM data.organization o
 WHERE o.deleted_at IS NULL;

CREATE VIEW domain.membership AS SELECT m.* FROM data.membership m;

CREATE VIEW domain.api_key AS
SELECT k.id, k.uuid, k.created_at, floor(extract(epoch FROM k.created_at))::bigint AS stamp, k.updated_at,
       k.account_id, k.organization_id, k.name, k.display, k.scopes, k.last_used_at
  FROM data.api_key k
 WHERE k.revoked_at IS NULL;

-- What a presented key is compared with; only key_find reads it.
CREATE VIEW domain.api_key_secret AS
SELECT k.id, k.hash, k.account_id, k.organization_id, k.scopes
  FROM data.api_key k
 WHERE k.revoked_at IS NULL;

CREATE VIEW domain.counter AS SELECT c.scope_kind, c.scope_id, c.noun, c.n FROM data.counter c;

CREATE VIEW domain.label_set AS SELECT s.* FROM data.label_set s;

CREATE VIEW domain.label AS
SELECT l.*, floor(extract(epoch FROM l.created_at))::bigint AS stamp FROM data.label l;

-- Trash and all, for project_shared alone: a view with a condition cannot be merged in order with others.
CREATE VIEW domain.project_any AS
SELECT p.id, p.uuid, p.created_at, floor(extract(epoch FROM p.created_at))::bigint AS stamp, p.updated_at,
       p.organization_id, p.label_set_id, p.name, p.slug, p.description, p.visibility, p.status, p.tags, p.license,
       p.metadata, p.dataset_count, p.model_count, p.experiment_count, p.created_by,
       (SELECT o.handle FROM data.organization o WHERE o.id = p.organization_id) AS owner_handle,
       p.deleted_at AS gone_at, p.organization_id AS listed_in
  FROM data.project p;

CREATE VIEW domain.project AS
SELECT p.id, p.uuid, p.created_at, p.stamp, p.updated_at, p.organization_id, p.label_set_id, p.name, p.slug, p.description,
       p.visibility, p.status, p.tags, p.license, p.metadata, p.dataset_count, p.model_count, p.experiment_count,
       p.created_by, p.owner_handle
  FROM domain.project_any p
 WHERE p.gone_at IS NULL;

-- The trash, for the answer to a delete.
CREATE VIEW domain.project_trashed AS
SELECT p.id, p.uuid, p.created_at, floor(extract(epoch FROM p.created_at))::bigint AS stamp, p.organization_id,
       p.deleted_at AS trashed_at, p.deleted_at + interval '30 days' AS expires_at,
       (SELECT count(*) FROM data.model m WHERE m.project_id = p.id AND m.trash_root = p.id) AS cascaded_models
  FROM data.project p
 WHERE p.deleted_at IS NOT NULL;

CREATE VIEW domain.project_role AS SELECT m.project_id, m.account_id, m.role, m.guest FROM data.project_member m;

CREATE VIEW domain.member AS
SELECT m.id, m.uuid, m.created_at, floor(extract(epoch FROM m.created_at))::bigint AS stamp, m.project_id, m.account_id,
       c.uuid AS user_id, c.email, c.name, c.username, m.role
  FROM data.project_member m
  JOIN data.account c ON c.id = m.account_id;

CREATE VIEW domain.dataset AS
SELECT d.*, floor(extract(epoch FROM d.created_at))::bigint AS stamp
  FROM data.dataset d
 WHERE d.deleted_at IS NULL;

CREATE VIEW domain.item AS
SELECT i.*, floor(extract(epoch FROM i.created_at))::bigint AS stamp
  FROM data.item i
 WHERE i.deleted_at IS NULL;

CREATE VIEW domain.annotation AS SELECT n.* FROM data.annotation n;

CREATE VIEW domain.tag AS SELECT t.* FROM data.tag t;

CREATE VIEW domain.blob AS SELECT b.* FROM data.blob b;

-- Everything that keeps a blob, trash included: what the sweeper asks.
CREATE VIEW domain.blob_reference AS
SELECT f.digest FROM data.model_file f
UNION ALL SELECT i.digest FROM data.item i
UNION ALL SELECT u.digest FROM data.upload u
UNION ALL SELECT c.digest FROM data.calibration c;

CREATE VIEW domain.model AS
SELECT m.*, floor(extract(epoch FROM m.created_at))::bigint AS stamp
  FROM data.model m
 WHERE m.deleted_at IS NULL;

CREATE VIEW domain.model_trashed AS
SELECT m.id, m.uuid, m.created_at, floor(extract(epoch FROM m.created_at))::bigint AS stamp, m.organization_id,
       m.project_id, m.deleted_at AS trashed_at, m.deleted_at + interval '30 days' AS expires_at
  FROM data.model m
 WHERE m.deleted_at IS NOT NULL;

CREATE VIEW domain.model_file AS
SELECT f.id, f.uuid, f.created_at, floor(extract(epoch FROM f.created_at))::bigint AS stamp, f.model_id, m.organization_id,
       f.purpose, f.format, f.name, f.digest, f.bytes AS size, f.media_type
  FROM data.model_file f
  JOIN data.model m ON m.id = f.model_id
 WHERE m.deleted_at IS NULL;

-- What crashed or hung its process: refused until an administrator pardons it.
CREATE VIEW domain.condemned_weights AS SELECT c.* FROM data.condemned_weights c;

CREATE VIEW domain.precision_verdict AS SELECT v.* FROM data.precision_verdict v;

CREATE VIEW domain.plan_check AS SELECT p.* FROM data.plan_check p;

CREATE VIEW domain.calibration AS SELECT c.* FROM data.calibration c;

CREATE VIEW domain.training_run AS
SELECT r.*, floor(extract(epoch FROM r.created_at))::bigint AS stamp
  FROM data.training_run r
 WHERE r.deleted_at IS NULL;

CREATE VIEW domain.training_epoch AS SELECT e.* FROM data.training_epoch e;

CREATE VIEW domain.event AS
SELECT e.*, e.seen_at IS NOT NULL AS seen, e.archived_at IS NOT NULL AS archived, e.noun_name AS resource_name,
       floor(extract(epoch FROM e.created_at))::bigint AS stamp
  FROM data.event e;

-- What an organization holds, trash included, against what its plan allows (NULL: no limit).
CREATE VIEW domain.storage AS
SELECT o.id, o.uuid, o.created_at, floor(extract(epoch FROM o.created_at))::bigint AS stamp, o.handle, o.plan,
       s.dataset_bytes + s.model_bytes AS used_bytes, p.storage_bytes AS limit_bytes, s.dataset_bytes, s.model_bytes,
       s.dataset_count, s.model_count
  FROM data.organization o
  JOIN data.plan p ON p.name = o.plan
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(c.n) FILTER (WHERE c.noun = 'dataset_bytes'), 0)::bigint AS dataset_bytes,
              coalesce(sum(c.n) FILTER (WHERE c.noun = 'model_bytes'), 0)::bigint AS model_bytes,
              coalesce(sum(c.n) FILTER (WHERE c.noun = 'dataset'), 0)::bigint AS dataset_count,
              coalesce(sum(c.n) FILTER (WHERE c.noun = 'model'), 0)::bigint AS model_count
         FROM data.counter c
        WHERE c.scope_kind = 'organization' AND c.scope_id = o.id) s
 WHERE o.deleted_at IS NULL;

CREATE VIEW domain.idempotency_key AS SELECT k.* FROM data.idempotency_key k;

CREATE VIEW domain.usage AS SELECT u.* FROM data.usage u;

-- For /readyz: what is applied.
CREATE VIEW domain.migration AS SELECT m.* FROM data.migration m;
CREATE VIEW domain.code_version AS SELECT v.* FROM data.code_version v;
