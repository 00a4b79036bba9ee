-- name: insert
INSERT INTO spendra.channels (org_id, id, name, kind, target, address_sealed, signing_sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: edit
UPDATE spendra.channels
SET name = $3, state = $4, target = $5, address_sealed = $6, updated_at = now()
WHERE org_id = $1 AND id = $2;

-- name: get
SELECT id, name, kind, target, state, created_at, updated_at, address_sealed
FROM spendra.channels WHERE org_id = $1 AND id = $2;

-- name: get_locked
SELECT id, name, kind, target, state, created_at, updated_at, address_sealed
FROM spendra.channels WHERE org_id = $1 AND id = $2
FOR UPDATE;

-- name: page
SELECT id, name, kind, target, state, created_at, updated_at
FROM spendra.channels
WHERE org_id = $1 AND ($2::text IS NULL OR state = $2) AND id > $3
ORDER BY id LIMIT $4;

-- name: subscribe
INSERT INTO spendra.subscriptions (org_id, id, channel_id, events, budget_ids)
VALUES ($1, $2, $3, $4, $5);

-- name: unsubscribe
DELETE FROM spendra.subscriptions WHERE org_id = $1 AND id = $2
RETURNING id, channel_id, events, budget_ids AS budgets, created_at;

-- name: unsubscribe_all
DELETE FROM spendra.subscriptions WHERE org_id = $1 AND channel_id = $2;

-- name: subscription
SELECT id, channel_id, events, budget_ids AS budgets, created_at
FROM spendra.subscriptions WHERE org_id = $1 AND id = $2;

-- name: subscriptions
SELECT id, channel_id, events, budget_ids AS budgets, created_at
FROM spendra.subscriptions
WHERE org_id = $1 AND ($2::text IS NULL OR channel_id = $2) AND id > $3
ORDER BY id LIMIT $4;

-- name: missing_budgets
SELECT wanted FROM unnest($2::text[]) AS wanted
WHERE NOT EXISTS (SELECT FROM spendra.budgets WHERE org_id = $1 AND id = wanted)
ORDER BY wanted;
