-- The unit of work: label sets, projects with their members, and the media store's index.

CREATE TABLE data.label_set (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid       uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT label_set_uuid_taken UNIQUE,
    name       text NOT NULL DEFAULT 'label'
               CONSTRAINT label_set_name_blank CHECK (name ~ '[^[:space:]]')
               CONSTRAINT label_set_name_long CHECK (char_length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- ordinal: the dense class index of exports and models. parent_id: a key point of a skeleton.
CREATE TABLE data.label (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid         uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT label_uuid_taken UNIQUE,
    label_set_id bigint NOT NULL CONSTRAINT label_set_missing REFERENCES data.label_set ON DELETE CASCADE,
    parent_id    bigint CONSTRAINT label_parent_missing REFERENCES data.label ON DELETE CASCADE,
    ordinal      integer NOT NULL CONSTRAINT label_ordinal_negative CHECK (ordinal >= 0),
    name         text NOT NULL
                 CONSTRAINT label_name_blank CHECK (name ~ '[^[:space:]]')
                 CONSTRAINT label_name_long CHECK (char_length(name) <= 50),
    kind         text NOT NULL DEFAULT 'any'
                 CONSTRAINT label_kind_unknown
                 CHECK (kind IN ('any', 'tag', 'box', 'rotated_box', 'polygon', 'polyline', 'points', 'ellipse', 'cuboid',
                                 'mask', 'skeleton')),
    color        text CONSTRAINT label_color_malformed CHECK (color ~ '^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$'),
    hotkey       text CONSTRAINT label_hotkey_long CHECK (char_length(hotkey) <= 10),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT label_name_taken UNIQUE NULLS NOT DISTINCT (label_set_id, parent_id, name) DEFERRABLE,
    CONSTRAINT label_hotkey_taken UNIQUE (label_set_id, hotkey) DEFERRABLE,
    CONSTRAINT label_ordinal_taken UNIQUE NULLS NOT DISTINCT (label_set_id, parent_id, ordinal) DEFERRABLE
);
CREATE INDEX label_by_parent ON data.label (parent_id) WHERE parent_id IS NOT NULL;

-- The *_count columns are kept by triggers (0006) and are what lists sort by.
CREATE TABLE data.project (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid             uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT project_uuid_taken UNIQUE,
    organization_id  bigint NOT NULL CONSTRAINT project_organization_missing REFERENCES data.organization,
    label_set_id     bigint NOT NULL CONSTRAINT project_label_set_missing REFERENCES data.label_set,
    name             text NOT NULL
                     CONSTRAINT project_name_blank CHECK (name ~ '[^[:space:]]')
                     CONSTRAINT project_name_long CHECK (char_length(name) <= 100)
                     CONSTRAINT project_name_control CHECK (name !~ '[\x01-\x1f\x7f]'),
    slug             text COLLATE "C" NOT NULL
                     CONSTRAINT project_slug_malformed
                     CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 128),
    description      text CONSTRAINT project_description_long CHECK (char_length(description) <= 1000),
    visibility       text NOT NULL DEFAULT 'private'
                     CONSTRAINT project_visibility_unknown CHECK (visibility IN ('private', 'public')),
    status           text NOT NULL DEFAULT 'active'
                     CONSTRAINT project_status_unknown CHECK (status IN ('active')),
    tags             text[] NOT NULL DEFAULT '{}'
                     CONSTRAINT project_tags_many CHECK (cardinality(tags) <= 50)
                     CONSTRAINT project_tag_long CHECK (array_to_string(tags, E'\n') !~ '[^\n]{51}' AND array_position(tags, NULL) IS NULL),
    license          text CONSTRAINT project_license_long CHECK (char_length(license) <= 100),
    metadata         jsonb NOT NULL DEFAULT '{}'
                     CONSTRAINT project_metadata_not_object CHECK (jsonb_typeof(metadata) = 'object')
                     CONSTRAINT project_metadata_large CHECK (octet_length(metadata::text) <= 500000),
    dataset_count    integer NOT NULL DEFAULT 0,
    model_count      integer NOT NULL DEFAULT 0,
    experiment_count integer NOT NULL DEFAULT 0,
    created_by       bigint CONSTRAINT project_creator_missing REFERENCES data.account,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    deleted_at       timestamptz,
    CONSTRAINT project_organization_taken UNIQUE (id, organization_id)
);
CREATE UNIQUE INDEX project_slug_taken ON data.project (organization_id, slug) WHERE deleted_at IS NULL;
-- One index per documented sort order, so that a page never sorts a tenant's whole list.
CREATE INDEX project_by_age ON data.project (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX project_by_name ON data.project (organization_id, lower(name), id) WHERE deleted_at IS NULL;
CREATE INDEX project_by_datasets ON data.project (organization_id, dataset_count, id) WHERE deleted_at IS NULL;
CREATE INDEX project_by_models ON data.project (organization_id, model_count, id) WHERE deleted_at IS NULL;
CREATE INDEX project_by_experiments ON data.project (organization_id, experiment_count, id) WHERE deleted_at IS NULL;
CREATE INDEX project_in_trash ON data.project (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX project_by_label_set ON data.project (label_set_id);

-- guest: the project is not in the account's personal organization. Kept by triggers, so that what is shared with an
-- account can be found without walking through all that it owns.
CREATE TABLE data.project_member (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid       uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT project_member_uuid_taken UNIQUE,
    project_id bigint NOT NULL CONSTRAINT project_member_project_missing REFERENCES data.project,
    account_id bigint NOT NULL CONSTRAINT project_member_account_missing REFERENCES data.account,
    guest      boolean NOT NULL DEFAULT true,
    role       text NOT NULL
               CONSTRAINT project_member_role_unknown CHECK (role IN ('owner', 'editor', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT project_member_taken UNIQUE (project_id, account_id)
);
CREATE INDEX project_member_by_account ON data.project_member (account_id, project_id);
CREATE INDEX project_member_guest ON data.project_member (account_id, project_id) WHERE guest;

CREATE FUNCTION data.project_member_placed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.guest := NOT EXISTS (SELECT 1
                               FROM data.project p
                               JOIN data.organization o ON o.id = p.organization_id
                              WHERE p.id = NEW.project_id AND o.account_id = NEW.account_id);
    RETURN NEW;
END $$;
CREATE TRIGGER project_member_placed BEFORE INSERT OR UPDATE ON data.project_member
    FOR EACH ROW EXECUTE FUNCTION data.project_member_placed();

CREATE FUNCTION data.project_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE data.project_member m SET updated_at = now() WHERE m.project_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER project_moved AFTER UPDATE ON data.project
    FOR EACH ROW WHEN (OLD.organization_id <> NEW.organization_id) EXECUTE FUNCTION data.project_moved();

-- One row per content. width, height: as stored; orientation: EXIF 1..8. A row with gc_marked_at may vanish at any
-- time; who adds a reference clears the mark and publishes the file again.
CREATE TABLE data.blob (
    digest       bytea PRIMARY KEY
                 CONSTRAINT blob_digest_malformed CHECK (octet_length(digest) = 32),
    size         bigint NOT NULL CONSTRAINT blob_size_negative CHECK (size >= 0),
    media_type   text NOT NULL,
    width        integer CONSTRAINT blob_width_not_positive CHECK (width > 0),
    height       integer CONSTRAINT blob_height_not_positive CHECK (height > 0),
    orientation  smallint NOT NULL DEFAULT 1 CONSTRAINT blob_orientation_unknown CHECK (orientation BETWEEN 1 AND 8),
    created_at   timestamptz NOT NULL DEFAULT now(),
    gc_marked_at timestamptz
);
CREATE INDEX blob_by_age ON data.blob (created_at);
CREATE INDEX blob_marked ON data.blob (gc_marked_at) WHERE gc_marked_at IS NOT NULL;
