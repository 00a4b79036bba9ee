-- name: lines
-- Posted attempts, the oldest first, each with what adjustments made of its cost.
SELECT e.reserved_at, e.settled_at, e.reservation_id, e.decision_id, e.attempt, e.provider,
    e.requested_model, e.model, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.output_tokens, e.reasoning_tokens, e.usage_confidence, e.reason, e.reserved_nanousd,
    e.cost_nanousd, e.price_version, e.facts, spendra.cost_center(e.facts) AS cost_center,
    coalesce((
        SELECT sum(a.amount_nanousd) FROM spendra.adjustments a
        WHERE a.org_id = e.org_id AND a.reservation_id = e.reservation_id), 0)::bigint
        AS adjusted_nanousd
FROM spendra.spend_events e
WHERE e.org_id = $1 AND e.outcome = 'posted'
    AND ($2::timestamptz IS NULL OR e.reserved_at >= $2)
    AND ($3::timestamptz IS NULL OR e.reserved_at < $3)
    AND ($4::jsonb = '{}' OR spendra.selects($4, e.facts))
    AND spendra.is_within($5::jsonb, e.facts)
    AND ($6::timestamptz IS NULL OR (e.reserved_at, e.reservation_id) > ($6, $7::uuid))
ORDER BY e.reserved_at, e.reservation_id
LIMIT $8;

-- name: adjustments
-- Those of accounts, by when they were booked: they are of no attempt.
SELECT booked_at AS reserved_at, adjustment_id AS reservation_id, amount_nanousd, reason,
    substr(expense, length('expense:') + 1) AS cost_center,
    substr(payable, length('payable:') + 1) AS provider
FROM spendra.adjustments
WHERE org_id = $1 AND reservation_id IS NULL
    AND ($2::timestamptz IS NULL OR booked_at >= $2)
    AND ($3::timestamptz IS NULL OR booked_at < $3)
    AND ($4::timestamptz IS NULL OR (booked_at, adjustment_id) > ($4, $5::uuid))
ORDER BY booked_at, adjustment_id
LIMIT $6;
