-- name: totals
SELECT t.settled_nanousd, t.held_nanousd, coalesce((
        SELECT sum(r.reserved_nanousd) FROM spendra.reservations r
        WHERE r.org_id = $1 AND r.state = 'lost' AND $2 = ANY (r.account_ids)), 0)::bigint
        AS lost_nanousd
FROM spendra.account_totals($1, ARRAY[$2::text]) t;

-- name: windows
-- Those that a budget was spent of, newest first.
SELECT a.account_id, a.window_start, a.window_end, a.opened_at, (
        a.opening_nanousd + a.settled_nanousd + coalesce((
            SELECT sum(m.settled_nanousd) FROM spendra.account_movements m
            WHERE m.org_id = $1 AND m.account_id = a.account_id), 0))::bigint AS settled_nanousd,
    coalesce((
        SELECT l.limit_nanousd FROM spendra.budget_limits l
        WHERE l.org_id = $1 AND l.budget_id = $2 AND l.since < a.window_end
        ORDER BY l.since DESC LIMIT 1), 0) AS limit_nanousd
FROM spendra.accounts a
WHERE a.org_id = $1 AND a.budget_id = $2 AND ($3::timestamptz IS NULL OR a.window_start < $3)
ORDER BY a.window_start DESC LIMIT $4;

-- name: unopened
-- What an account will open with, before the first request opens it.
SELECT coalesce(sum(e.cost_nanousd + coalesce((
        SELECT sum(d.amount_nanousd) FROM spendra.adjustments d
        WHERE d.org_id = $1 AND d.reservation_id = e.reservation_id), 0)), 0)::bigint
FROM spendra.spend_events e
WHERE e.org_id = $1 AND e.outcome = 'posted'
    AND e.reserved_at >= $3 AND e.reserved_at < $4
    AND spendra.selects($2, e.facts);

-- name: attempts
SELECT decision_id, reservation_id, attempt, sidecar_id, outcome AS state, reason, reserved_at,
    settled_at, reserved_nanousd, estimated_nanousd, cost_nanousd, overrun_nanousd, account_ids,
    provider, requested_model, model, upstream_status, usage_confidence, input_tokens,
    cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, policy_version,
    price_version, facts, retry_count, retry_of
FROM spendra.spend_events
WHERE org_id = $1 AND decision_id = $2
UNION ALL
SELECT decision_id, reservation_id, attempt, sidecar_id, state, '', reserved_at,
    NULL, reserved_nanousd, estimated_nanousd, 0, 0, account_ids,
    provider, requested_model, requested_model, NULL, 'none', 0,
    0, 0, 0, 0, policy_version,
    price_version, facts, retry_count, retry_of
FROM spendra.reservations
WHERE org_id = $1 AND decision_id = $2
ORDER BY attempt, reserved_at;

-- name: refusal
SELECT decision_id, refused_at, status, reason, message, provider, requested_model,
    estimated_nanousd, wanted_nanousd, account_ids, policy_version, facts
FROM spendra.refusals
WHERE org_id = $1 AND decision_id = $2;

-- name: budget_names
SELECT id, name FROM spendra.budgets WHERE org_id = $1 AND id = ANY ($2::text[]);

-- name: ledger
SELECT decision_id, reservation_id, attempt, sidecar_id, outcome AS state, reason, reserved_at,
    settled_at, reserved_nanousd, estimated_nanousd, cost_nanousd, overrun_nanousd, account_ids,
    provider, requested_model, model, upstream_status, usage_confidence, input_tokens,
    cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, policy_version,
    price_version, facts, batch_id
FROM spendra.spend_events
WHERE org_id = $1
    AND ($2::timestamptz IS NULL OR reserved_at >= $2)
    AND ($3::timestamptz IS NULL OR reserved_at < $3)
    AND facts @> spendra.exact_part($4)
    AND ($4::jsonb = '{}' OR spendra.selects($4, facts))
    AND ($5::uuid IS NULL OR decision_id = $5)
    AND spendra.is_within($9::jsonb, facts)
    AND ($6::timestamptz IS NULL OR (reserved_at, reservation_id) < ($6, $7::uuid))
ORDER BY reserved_at DESC, reservation_id DESC
LIMIT $8;

-- name: entries
SELECT entry_id, kind, account, amount_nanousd, booked_at, reservation_id
FROM spendra.ledger_entries
WHERE org_id = $1 AND decision_id = ANY ($2::uuid[])
ORDER BY entry_id;

-- name: open
SELECT reservation_id, decision_id, state, sidecar_id, reserved_at, lost_at, provider,
    requested_model, account_ids, facts, reserved_nanousd
FROM spendra.reservations
WHERE org_id = $1 AND ($2::text IS NULL OR state = $2)
    AND ($3::uuid IS NULL OR reservation_id > $3::uuid)
    AND spendra.is_within($5::jsonb, facts)
ORDER BY reservation_id
LIMIT $4;
