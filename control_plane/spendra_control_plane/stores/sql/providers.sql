-- name: put
INSERT INTO spendra.provider_routes (
    org_id, provider, kind, base_url, credential_sealed, models, fallbacks, parameters, model_names,
    ceilings_nanousd, credential_file, scope
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (org_id, provider) DO UPDATE
SET kind = excluded.kind,
    base_url = excluded.base_url,
    credential_sealed = excluded.credential_sealed,
    credential_file = excluded.credential_file,
    scope = excluded.scope,
    models = excluded.models,
    fallbacks = excluded.fallbacks,
    parameters = excluded.parameters,
    model_names = excluded.model_names,
    ceilings_nanousd = excluded.ceilings_nanousd,
    updated_at = now();

-- name: remove
DELETE FROM spendra.provider_routes WHERE org_id = $1 AND provider = $2;

-- name: get
SELECT provider, kind, base_url, models, fallbacks, parameters, model_names, ceilings_nanousd,
    credential_sealed, credential_file, scope, created_at, updated_at
FROM spendra.provider_routes
WHERE org_id = $1 AND provider = $2;

-- name: page
SELECT provider, kind, base_url, models, fallbacks, parameters, model_names, ceilings_nanousd,
    credential_sealed, credential_file, scope, created_at, updated_at
FROM spendra.provider_routes
WHERE org_id = $1 AND provider > $2
ORDER BY provider
LIMIT $3;

-- name: names
SELECT provider FROM spendra.provider_routes WHERE org_id = $1;
