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
SELECT q.id, q.budget_id, b.name AS budget, b.selector, b.limit_nanousd AS limit_now_nanousd,
    q.limit_nanousd, q.reason, q.asked_by, q.asked_at, q.expires_at, q.decided_by, q.decided_at,
    q.note, coalesce(q.decision, CASE WHEN q.expires_at <= now() THEN 'expired' ELSE 'waiting' END)
        AS state
FROM spendra.budget_requests q
JOIN spendra.budgets b ON b.org_id = q.org_id AND b.id = q.budget_id
WHERE q.org_id = $1 AND q.id = $2;

-- name: lock
SELECT id FROM spendra.budget_requests WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- name: decide
UPDATE spendra.budget_requests
SET decision = $3, decided_by = $4, decided_at = now(), note = $5
WHERE org_id = $1 AND id = $2;

-- name: page
SELECT q.id, q.budget_id, b.name AS budget, b.selector, b.limit_nanousd AS limit_now_nanousd,
    q.limit_nanousd, q.reason, q.asked_by, q.asked_at, q.expires_at, q.decided_by, q.decided_at,
    q.note, coalesce(q.decision, CASE WHEN q.expires_at <= now() THEN 'expired' ELSE 'waiting' END)
        AS state
FROM spendra.budget_requests q
JOIN spendra.budgets b ON b.org_id = q.org_id AND b.id = q.budget_id
WHERE q.org_id = $1 AND q.id > $3 AND spendra.is_covered($5::jsonb, b.selector)
    AND ($2::text IS NULL OR $2 =
        coalesce(q.decision, CASE WHEN q.expires_at <= now() THEN 'expired' ELSE 'waiting' END))
ORDER BY q.id
LIMIT $4;
