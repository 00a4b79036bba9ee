-- name: put
INSERT INTO spendra.issuers (org_id, name, issuer, audience, jwks_url, stands_for, claims)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (org_id, name) DO UPDATE
SET issuer = excluded.issuer, audience = excluded.audience, jwks_url = excluded.jwks_url,
    stands_for = excluded.stands_for, claims = excluded.claims, updated_at = now();

-- name: get
SELECT name, issuer, audience, jwks_url, stands_for AS key_id, claims, created_at, updated_at
FROM spendra.issuers WHERE org_id = $1 AND name = $2;

-- name: page
SELECT name, issuer, audience, jwks_url, stands_for AS key_id, claims, created_at, updated_at
FROM spendra.issuers WHERE org_id = $1 AND name > $2 ORDER BY name LIMIT $3;

-- name: delete
DELETE FROM spendra.issuers WHERE org_id = $1 AND name = $2;

-- name: standing_key
SELECT scope, projects FROM spendra.keys WHERE org_id = $1 AND id = $2 AND state <> 'revoked';
