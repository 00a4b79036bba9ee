-- name: insert
INSERT INTO spendra.budgets
    (org_id, id, name, selector, period, timezone, starts_at, ends_at, limit_nanousd, kind,
     open_up_to_nanousd, alert_at_percent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: edit
UPDATE spendra.budgets
SET version = version + (CASE WHEN (limit_nanousd, kind) = ($4, $5) THEN 0 ELSE 1 END),
    name = $3,
    limit_nanousd = $4,
    kind = $5,
    open_up_to_nanousd = $6,
    alert_at_percent = $7,
    updated_at = now()
WHERE org_id = $1 AND id = $2;

-- name: close
UPDATE spendra.budgets
SET state = 'closed', closed_at = now(), updated_at = now()
WHERE org_id = $1 AND id = $2;

-- name: get
SELECT id, name, selector, period, timezone, starts_at, ends_at, limit_nanousd, kind, version,
    open_up_to_nanousd, alert_at_percent, state, created_at, updated_at, closed_at, (
        SELECT tier FROM spendra.templated_budgets AS t
        WHERE t.org_id = budgets.org_id AND t.budget_id = budgets.id
    ) AS template
FROM spendra.budgets
WHERE org_id = $1 AND id = $2;

-- name: page
SELECT id, name, selector, period, timezone, starts_at, ends_at, limit_nanousd, kind, version,
    open_up_to_nanousd, alert_at_percent, state, created_at, updated_at, closed_at, (
        SELECT tier FROM spendra.templated_budgets AS t
        WHERE t.org_id = budgets.org_id AND t.budget_id = budgets.id
    ) AS template
FROM spendra.budgets
WHERE org_id = $1 AND ($2::text IS NULL OR state = $2) AND id > $3
    AND spendra.is_covered($5::jsonb, selector)
ORDER BY id
LIMIT $4;
