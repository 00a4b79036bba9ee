-- name: connected
INSERT INTO spendra.sidecars AS known
    (org_id, id, connection_id, token_id, connected_at, last_seen_at)
VALUES ($1, $2, $3, $4, now(), now())
ON CONFLICT (org_id, id) DO UPDATE
SET connection_id = excluded.connection_id, token_id = excluded.token_id, connected_at = now(), last_seen_at = now();

-- name: disconnected
-- Only the stream that is still the newest of its sidecar may say so.
UPDATE spendra.sidecars
SET connection_id = NULL
WHERE org_id = $1 AND id = $2 AND connection_id = $3;

-- name: touch
UPDATE spendra.sidecars
SET last_seen_at = now()
FROM unnest($1::text[], $2::text[], $3::uuid[]) AS open (org_id, id, connection_id)
WHERE sidecars.org_id = open.org_id
    AND sidecars.id = open.id
    AND sidecars.connection_id = open.connection_id;

-- name: applied
-- A refusal is over once that version or a later one was applied.
INSERT INTO spendra.sidecars AS known (org_id, id, snapshot_version)
VALUES ($1, $2, $3)
ON CONFLICT (org_id, id) DO UPDATE
SET snapshot_version = $3,
    last_seen_at = now(),
    refused_version = CASE WHEN $3 < known.refused_version THEN known.refused_version END,
    error = CASE WHEN $3 < known.refused_version THEN known.error END;

-- name: refused
INSERT INTO spendra.sidecars AS known (org_id, id, refused_version, refused_count, error)
VALUES ($1, $2, $3, 1, $4)
ON CONFLICT (org_id, id) DO UPDATE
SET refused_version = $3,
    refused_count = known.refused_count
        + CASE WHEN known.refused_version IS DISTINCT FROM $3 THEN 1 ELSE 0 END,
    error = $4,
    last_seen_at = now();

-- name: page
SELECT
    sidecars.id,
    snapshot_version,
    config_version AS current_version,
    extract(epoch FROM now() - last_seen_at)::float8 AS age_s,
    CASE
        WHEN connection_id IS NULL OR last_seen_at < now() - interval '10 seconds'
            THEN 'disconnected'
        WHEN refused_version IS NOT NULL THEN 'refused'
        WHEN snapshot_version = config_version THEN 'current'
        ELSE 'behind'
    END AS state,
    refused_version,
    refused_count,
    error,
    connected_at,
    last_seen_at,
    token_id,
    tokens.scope,
    tokens.providers
FROM spendra.sidecars
JOIN spendra.organizations ON organizations.id = sidecars.org_id
LEFT JOIN spendra.sidecar_tokens AS tokens
    ON tokens.org_id = sidecars.org_id AND tokens.id = token_id
WHERE sidecars.org_id = $1 AND sidecars.id > $2
ORDER BY sidecars.id
LIMIT $3;
