-- name: forget_expired
-- One that nobody decided in time makes room for another of the same asker.
UPDATE spendra.budget_requests
SET decision = 'withdrawn', decided_at = expires_at, note = 'expired'
WHERE org_id = $1 AND budget_id = $2 AND asked_by = $3 AND decision IS NULL
    AND expires_at <= now();

-- name: insert
INSERT INTO spendra.budget_requests
    (org_id, id, budget_id, limit_nanousd, reason, asked_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7));

-- name: get
SELECT * FROM spendra.budget_requests_now WHERE org_id = $1 AND id = $2;

-- name: lock
SELECT id FROM spendra.budget_requests WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- name: decide
UPDATE spendra.budget_requests
SET decision = $3, decided_by = $4, decided_at = now(), note = $5
WHERE org_id = $1 AND id = $2;

-- name: page
SELECT * FROM spendra.budget_requests_now
WHERE org_id = $1 AND id > $3 AND spendra.is_covered($5::jsonb, selector)
    AND ($2::text IS NULL OR state = $2)
ORDER BY id
LIMIT $4;
