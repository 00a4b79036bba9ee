-- name: pepper
SELECT key_pepper_sealed FROM spendra.organizations WHERE id = $1;

-- name: insert
INSERT INTO spendra.keys
    (org_id, id, name, environment, scope, projects, models, providers, tools, max_request_nanousd, expires_at,
    delegated_from, shard)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: insert_hash
INSERT INTO spendra.key_hashes (org_id, key_id, hash) VALUES ($1, $2, $3);

-- name: expire_hashes
UPDATE spendra.key_hashes
SET expires_at = least(expires_at, now() + make_interval(secs => $3))
WHERE org_id = $1 AND key_id = $2;

-- name: set_state
UPDATE spendra.keys
SET state = $3,
    revoked_at = CASE WHEN $3 = 'revoked' THEN coalesce(revoked_at, now()) END
WHERE org_id = $1 AND id = $2;

-- name: get
SELECT id, name, state, environment, scope, projects, models, providers, tools, delegated_from,
    max_request_nanousd, expires_at, created_at, revoked_at, spendra.key_last_used(org_id, id) AS last_used_at
FROM spendra.keys
WHERE org_id = $1 AND id = $2;

-- name: page
SELECT id, name, state, environment, scope, projects, models, providers, tools, delegated_from,
    max_request_nanousd, expires_at, created_at, revoked_at, spendra.key_last_used(org_id, id) AS last_used_at
FROM spendra.keys
WHERE org_id = $1 AND ($2::text IS NULL OR state = $2) AND id > $3
    AND spendra.is_within($5::jsonb, scope)
ORDER BY id
LIMIT $4;

-- name: known
-- Those of these ids, each with the hashes that are good now.
SELECT k.id, k.name, k.state, k.environment, k.scope, k.projects, k.models, k.providers, k.tools, k.delegated_from,
    k.max_request_nanousd, k.expires_at, k.created_at, k.revoked_at,
    spendra.key_last_used(k.org_id, k.id) AS last_used_at, ARRAY(
        SELECT h.hash FROM spendra.key_hashes h
        WHERE h.org_id = k.org_id AND h.key_id = k.id
            AND (h.expires_at IS NULL OR h.expires_at > now())) AS hashes
FROM spendra.keys k
WHERE k.org_id = $1 AND k.id = ANY ($2::text[])
ORDER BY k.id;
