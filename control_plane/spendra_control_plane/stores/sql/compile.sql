-- name: parents
SELECT kind, name, parent_kind, parent_name
FROM spendra.scope_parents
WHERE org_id = $1
ORDER BY kind, name, parent_kind, parent_name;

-- name: archived
SELECT kind, name FROM spendra.scopes WHERE org_id = $1 AND state = 'archived';

-- name: keys
-- A revoked key keeps its own refusal for a month; then it is as unknown as any other text.
SELECT id, name, environment, state, scope, projects, models, providers, tools, delegated_from,
    max_request_nanousd, expires_at, shard, CASE WHEN delegated_from = '{}' THEN '{}' ELSE ARRAY(
        SELECT above.state FROM spendra.keys above
        WHERE above.org_id = $1 AND above.id = ANY (k.delegated_from)) END AS states_above
FROM spendra.keys k
WHERE org_id = $1 AND shard = ANY ($2::smallint[])
    AND (revoked_at IS NULL OR revoked_at > now() - interval '30 days')
ORDER BY id;

-- name: key_hashes
SELECT key_id, hash, h.expires_at
FROM spendra.keys k JOIN spendra.key_hashes h ON h.org_id = k.org_id AND h.key_id = k.id
WHERE k.org_id = $1 AND k.shard = ANY ($2::smallint[])
    AND (h.expires_at IS NULL OR h.expires_at > now())
ORDER BY key_id, h.created_at, hash;

-- name: budgets
SELECT id, name, selector, period, timezone, limit_nanousd, kind, version, starts_at, ends_at,
    open_up_to_nanousd
FROM spendra.budgets
WHERE org_id = $1 AND state = 'active'
ORDER BY id;

-- name: policies
SELECT id, name, selector, rules
FROM spendra.policies
WHERE org_id = $1 AND state = 'active'
ORDER BY id;

-- name: routes
SELECT provider, kind, base_url, credential_sealed, credential_file, scope, models, fallbacks, parameters, model_names,
    ceilings_nanousd
FROM spendra.provider_routes
WHERE org_id = $1
ORDER BY created_at, provider;

-- name: issuers
SELECT name, issuer, audience, jwks_url, stands_for, claims
FROM spendra.issuers WHERE org_id = $1 ORDER BY name;

-- name: prices
-- The newest first: of two that hold for the same request, it counts. Those that ended stay,
-- because requests are priced as of when they were reserved.
SELECT id, provider, model, service_tier, rates, multiplier, starts_at, ends_at
FROM spendra.prices
WHERE org_id = $1
ORDER BY created_at DESC, id DESC;
