-- name: lock
SELECT id, config_version, default_output_tokens, key_pepper_sealed, signing_key_sealed
FROM spendra.organizations
WHERE id = $1
FOR UPDATE;

-- name: reread
SELECT id, default_output_tokens, key_pepper_sealed, signing_key_sealed
FROM spendra.organizations
WHERE id = $1;

-- name: advance
-- $2: whether this change takes something away, so that older snapshots may not decide any more.
UPDATE spendra.organizations
SET config_version = config_version + 1,
    min_version = CASE WHEN $2 THEN config_version + 1 ELSE min_version END
WHERE id = $1
RETURNING config_version;

-- name: take_stale
-- What changed since the newest snapshot.
DELETE FROM spendra.stale_segments WHERE org_id = $1 RETURNING name;

-- name: version
SELECT segments, catalog, manifest FROM spendra.snapshots WHERE org_id = $1 AND version = $2;

-- name: stored_hashes
SELECT hash FROM spendra.segments WHERE org_id = $1 AND hash = ANY ($2::text[]);

-- name: insert_segment
INSERT INTO spendra.segments (org_id, hash, bytes, sealed)
VALUES ($1, $2, $3, $4);

-- name: insert_snapshot
INSERT INTO spendra.snapshots (org_id, version, manifest, signature, segments, catalog)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: prune_segments
DELETE FROM spendra.segments
WHERE org_id = $1 AND hash NOT IN (
    SELECT segment.value
    FROM spendra.snapshots, jsonb_each_text(segments) AS segment
    WHERE org_id = $1 AND version > $2
);

-- name: prune_snapshots
DELETE FROM spendra.snapshots WHERE org_id = $1 AND version <= $2;

-- name: notify
SELECT pg_notify('spendra_snapshots', $1);

-- name: newest
-- One row per segment; bytes are left out where the reader has them already.
SELECT version, manifest, signature, segment.key AS name, segment.value AS hash, bytes, sealed
FROM (
    SELECT org_id, version, manifest, signature, segments
    FROM spendra.snapshots
    WHERE org_id = $1
    ORDER BY version DESC
    LIMIT 1
) AS newest
CROSS JOIN jsonb_each_text(segments) AS segment
LEFT JOIN spendra.segments AS stored
    ON stored.org_id = newest.org_id
    AND stored.hash = segment.value
    AND segment.value <> ALL ($2::text[]);

-- name: versions
SELECT id, config_version FROM spendra.organizations WHERE id = ANY ($1::text[]);

-- name: floors
SELECT id, min_version FROM spendra.organizations WHERE min_version > 0;

-- name: other_prices
-- Organizations whose newest snapshot holds another catalog than this.
SELECT organizations.id
FROM spendra.organizations
JOIN spendra.snapshots
    ON snapshots.org_id = organizations.id AND snapshots.version = organizations.config_version
WHERE snapshots.catalog <> $1;
