-- name: holder
SELECT org_id, id, kind, sidecar_id, scope, providers FROM spendra.sidecar_tokens
WHERE sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());

-- name: insert
INSERT INTO spendra.sidecar_tokens
    (org_id, id, sha256, name, kind, sidecar_id, expires_at, scope, providers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING id, name, kind, sidecar_id, scope, providers, created_at, expires_at, revoked_at;

-- name: replace
-- Whoever enrols again has lost what it had.
UPDATE spendra.sidecar_tokens SET revoked_at = now()
WHERE org_id = $1 AND sidecar_id = $2 AND revoked_at IS NULL;

-- name: page
SELECT id, name, kind, sidecar_id, scope, providers, created_at, expires_at, revoked_at
FROM spendra.sidecar_tokens WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: revoke
UPDATE spendra.sidecar_tokens SET revoked_at = coalesce(revoked_at, now())
WHERE org_id = $1 AND id = $2
RETURNING id, name, kind, sidecar_id, scope, providers, created_at, expires_at, revoked_at;

-- name: ended
SELECT id FROM spendra.sidecar_tokens
WHERE id = ANY ($1::text[]) AND (revoked_at IS NOT NULL OR expires_at <= now());

-- name: public_key
SELECT snapshot_public_key FROM spendra.organizations WHERE id = $1;
