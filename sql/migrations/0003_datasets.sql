-- Images and video frames, and what is known about them.

-- is_default: where things go that name a project only; made when first used (domain.dataset_default).
CREATE TABLE data.dataset (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid            uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT dataset_uuid_taken UNIQUE,
    project_id      bigint NOT NULL,
    organization_id bigint NOT NULL,
    label_set_id    bigint NOT NULL CONSTRAINT dataset_label_set_missing REFERENCES data.label_set,
    name            text NOT NULL
                    CONSTRAINT dataset_name_blank CHECK (name ~ '[^[:space:]]')
                    CONSTRAINT dataset_name_long CHECK (char_length(name) <= 100)
                    CONSTRAINT dataset_name_control CHECK (name !~ '[\x01-\x1f\x7f]'),
    slug            text COLLATE "C" NOT NULL
                    CONSTRAINT dataset_slug_malformed
                    CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 128),
    description     text CONSTRAINT dataset_description_long CHECK (char_length(description) <= 1000),
    task            text CONSTRAINT dataset_task_unknown
                    CHECK (task IN ('detect', 'segment', 'semantic', 'classify', 'pose', 'obb')),
    visibility      text NOT NULL DEFAULT 'private'
                    CONSTRAINT dataset_visibility_unknown CHECK (visibility IN ('private', 'public')),
    status          text NOT NULL DEFAULT 'ready'
                    CONSTRAINT dataset_status_unknown CHECK (status IN ('processing', 'ready', 'failed')),
    tags            text[] NOT NULL DEFAULT '{}',
    license         text CONSTRAINT dataset_license_long CHECK (char_length(license) <= 100),
    metadata        jsonb NOT NULL DEFAULT '{}'
                    CONSTRAINT dataset_metadata_not_object CHECK (jsonb_typeof(metadata) = 'object'),
    is_default      boolean NOT NULL DEFAULT false,
    created_by      bigint CONSTRAINT dataset_creator_missing REFERENCES data.account,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    trash_root      bigint,
    CONSTRAINT dataset_project_missing FOREIGN KEY (project_id, organization_id)
        REFERENCES data.project (id, organization_id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX dataset_slug_taken ON data.dataset (organization_id, slug) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX dataset_default_taken ON data.dataset (project_id) WHERE is_default AND deleted_at IS NULL;
CREATE INDEX dataset_by_age ON data.dataset (organization_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX dataset_by_project ON data.dataset (project_id, created_at, id);
CREATE INDEX dataset_in_trash ON data.dataset (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX dataset_by_label_set ON data.dataset (label_set_id);

-- kind image: one picture. kind video: a film, its frames are rows of kind frame, made when something is said about
-- them. width, height: of the picture as shown, after EXIF orientation. annotated_at NULL: nobody looked yet, which
-- differs from "looked and found nothing".
CREATE TABLE data.item (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid             uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT item_uuid_taken UNIQUE,
    dataset_id       bigint NOT NULL CONSTRAINT item_dataset_missing REFERENCES data.dataset,
    kind             text NOT NULL DEFAULT 'image'
                     CONSTRAINT item_kind_unknown CHECK (kind IN ('image', 'video', 'frame')),
    video_id         bigint CONSTRAINT item_video_missing REFERENCES data.item ON DELETE CASCADE,
    frame_index      integer CONSTRAINT item_frame_index_negative CHECK (frame_index >= 0),
    digest           bytea CONSTRAINT item_blob_missing REFERENCES data.blob,
    bytes            bigint NOT NULL DEFAULT 0 CONSTRAINT item_bytes_negative CHECK (bytes >= 0),
    name             text NOT NULL
                     CONSTRAINT item_name_blank CHECK (name ~ '[^[:space:]]')
                     CONSTRAINT item_name_long CHECK (char_length(name) <= 255),
    width            integer NOT NULL CONSTRAINT item_width_not_positive CHECK (width > 0),
    height           integer NOT NULL CONSTRAINT item_height_not_positive CHECK (height > 0),
    split            text NOT NULL DEFAULT 'unassigned'
                     CONSTRAINT item_split_unknown CHECK (split IN ('unassigned', 'train', 'val', 'test')),
    metadata         jsonb,
    annotation_count integer NOT NULL DEFAULT 0,
    annotated_at     timestamptz,
    reviewed_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    deleted_at       timestamptz,
    trash_root       bigint,
    CONSTRAINT item_frame_of_nothing
        CHECK ((kind = 'frame') = (video_id IS NOT NULL) AND (kind = 'frame') = (frame_index IS NOT NULL)),
    CONSTRAINT item_without_media CHECK (kind = 'frame' OR digest IS NOT NULL),
    CONSTRAINT item_frame_taken UNIQUE (video_id, frame_index)
);
CREATE INDEX item_by_age ON data.item (dataset_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX item_by_name ON data.item (dataset_id, name, id) WHERE deleted_at IS NULL;
CREATE INDEX item_by_split ON data.item (dataset_id, split, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX item_by_digest ON data.item (digest) WHERE digest IS NOT NULL;
CREATE INDEX item_in_trash ON data.item (deleted_at) WHERE deleted_at IS NOT NULL;

-- points: absolute pixels, x right, y down, from the top left corner of the picture as shown.
--   tag          {}
--   box          {x0, y0, x1, y1}
--   rotated_box  {cx, cy, w, h} and rotation in degrees, clockwise
--   ellipse      {cx, cy, rx, ry} and rotation
--   polygon, polyline, points   {x, y, ...}
--   mask         {left, top, right, bottom}, inclusive; runs: row-major run lengths inside, the first of zeros
--   cuboid       {x, y, ...}, 8 corners
--   skeleton     {}; its key points are rows of kind points with parent_id
CREATE TABLE data.annotation (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid       uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT annotation_uuid_taken UNIQUE,
    item_id    bigint NOT NULL CONSTRAINT annotation_item_missing REFERENCES data.item ON DELETE CASCADE,
    label_id   bigint CONSTRAINT annotation_label_missing REFERENCES data.label,
    parent_id  bigint CONSTRAINT annotation_parent_missing REFERENCES data.annotation ON DELETE CASCADE,
    kind       text NOT NULL
               CONSTRAINT annotation_kind_unknown
               CHECK (kind IN ('tag', 'box', 'rotated_box', 'polygon', 'polyline', 'points', 'ellipse', 'cuboid', 'mask',
                               'skeleton')),
    points     double precision[] NOT NULL DEFAULT '{}',
    runs       integer[],
    rotation   double precision NOT NULL DEFAULT 0,
    occluded   boolean NOT NULL DEFAULT false,
    outside    boolean NOT NULL DEFAULT false,
    z_order    integer NOT NULL DEFAULT 0,
    group_no   integer NOT NULL DEFAULT 0 CONSTRAINT annotation_group_negative CHECK (group_no >= 0),
    visibility smallint CONSTRAINT annotation_visibility_unknown CHECK (visibility BETWEEN 0 AND 2),
    attributes jsonb NOT NULL DEFAULT '{}',
    source     text NOT NULL DEFAULT 'manual' CONSTRAINT annotation_source_long CHECK (char_length(source) <= 16),
    score      real CONSTRAINT annotation_score_out_of_range CHECK (score BETWEEN 0 AND 1),
    created_by bigint CONSTRAINT annotation_creator_missing REFERENCES data.account,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT annotation_points_count CHECK (
        CASE kind
            WHEN 'tag' THEN cardinality(points) = 0
            WHEN 'skeleton' THEN cardinality(points) = 0
            WHEN 'box' THEN cardinality(points) = 4 AND points[1] <= points[3] AND points[2] <= points[4]
            WHEN 'rotated_box' THEN cardinality(points) = 4
            WHEN 'ellipse' THEN cardinality(points) = 4
            WHEN 'mask' THEN cardinality(points) = 4
            WHEN 'cuboid' THEN cardinality(points) = 16
            WHEN 'polygon' THEN cardinality(points) >= 6 AND cardinality(points) % 2 = 0
            WHEN 'polyline' THEN cardinality(points) >= 4 AND cardinality(points) % 2 = 0
            ELSE cardinality(points) >= 2 AND cardinality(points) % 2 = 0
        END),
    CONSTRAINT annotation_not_finite CHECK (
        array_position(points, 'NaN'::float8) IS NULL AND array_position(points, 'Infinity'::float8) IS NULL
        AND array_position(points, '-Infinity'::float8) IS NULL AND array_position(points, NULL) IS NULL
        AND rotation BETWEEN -360 AND 360),
    CONSTRAINT annotation_runs_without_mask CHECK ((kind = 'mask') = (runs IS NOT NULL))
);
CREATE INDEX annotation_by_item ON data.annotation (item_id, id);
CREATE INDEX annotation_by_label ON data.annotation (label_id);
CREATE INDEX annotation_by_parent ON data.annotation (parent_id) WHERE parent_id IS NOT NULL;

-- A word on an item; a word that no item bears is gone.
CREATE TABLE data.tag (
    item_id    bigint NOT NULL CONSTRAINT tag_item_missing REFERENCES data.item ON DELETE CASCADE,
    name       text NOT NULL
               CONSTRAINT tag_name_blank CHECK (name ~ '[^[:space:]]')
               CONSTRAINT tag_name_long CHECK (char_length(name) <= 50),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tag_taken PRIMARY KEY (item_id, name)
);
CREATE INDEX tag_by_name ON data.tag (name, item_id);
