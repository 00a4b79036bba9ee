-- name: put
INSERT INTO spendra.provider_routes (org_id, provider, base_url, credential_sealed, models)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, provider) DO UPDATE
SET base_url = excluded.base_url,
    credential_sealed = excluded.credential_sealed,
    models = excluded.models,
    updated_at = now();

-- name: remove
DELETE FROM spendra.provider_routes WHERE org_id = $1 AND provider = $2;

-- name: get
SELECT provider, base_url, models, credential_sealed, created_at, updated_at
FROM spendra.provider_routes
WHERE org_id = $1 AND provider = $2;

-- name: page
SELECT provider, base_url, models, credential_sealed, created_at, updated_at
FROM spendra.provider_routes
WHERE org_id = $1 AND provider > $2
ORDER BY provider
LIMIT $3;
