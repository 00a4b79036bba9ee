-- name: insert
INSERT INTO spendra.prices
    (org_id, id, name, provider, model, service_tier, rates, multiplier, starts_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, now()), $10);

-- name: end
UPDATE spendra.prices SET ends_at = greatest(starts_at, coalesce($3, now()))
WHERE org_id = $1 AND id = $2;

-- name: get
SELECT id, name, provider, model, service_tier, rates, multiplier, starts_at, ends_at, created_at
FROM spendra.prices
WHERE org_id = $1 AND id = $2;

-- name: page
-- $2: only those in force at that moment.
SELECT id, name, provider, model, service_tier, rates, multiplier, starts_at, ends_at, created_at
FROM spendra.prices
WHERE org_id = $1 AND id > $3 AND ($2::timestamptz IS NULL
    OR (starts_at <= $2 AND (ends_at IS NULL OR ends_at > $2)))
ORDER BY id
LIMIT $4;
