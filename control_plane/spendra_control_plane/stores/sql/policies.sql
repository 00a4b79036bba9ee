-- name: insert
INSERT INTO spendra.policies (org_id, id, name, selector, rules) VALUES ($1, $2, $3, $4, $5);

-- name: edit
UPDATE spendra.policies
SET name = $3, selector = $4, rules = $5, updated_at = now()
WHERE org_id = $1 AND id = $2;

-- name: close
UPDATE spendra.policies
SET state = 'closed', closed_at = now(), updated_at = now()
WHERE org_id = $1 AND id = $2;

-- name: get
SELECT id, name, selector, rules, state, created_at, updated_at, closed_at
FROM spendra.policies
WHERE org_id = $1 AND id = $2;

-- name: page
SELECT id, name, selector, rules, state, created_at, updated_at, closed_at
FROM spendra.policies
WHERE org_id = $1 AND ($2::text IS NULL OR state = $2) AND id > $3
ORDER BY id
LIMIT $4;
