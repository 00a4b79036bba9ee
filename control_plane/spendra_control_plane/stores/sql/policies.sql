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

-- name: versions
-- As the audit has them, the newest first; each with what was before it.
SELECT id AS version, happened_at, actor, reason, before, after
FROM spendra.audit
WHERE org_id = $1 AND what = 'policies' AND subject = $2 AND ($3::bigint IS NULL OR id < $3)
ORDER BY id DESC
LIMIT $4;

-- name: version
SELECT after FROM spendra.audit
WHERE org_id = $1 AND what = 'policies' AND subject = $2 AND id = $3;
