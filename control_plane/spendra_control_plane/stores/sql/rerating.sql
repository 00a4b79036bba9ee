-- name: events
-- Posted attempts, the oldest first, each with what price adjustments made of its cost so far.
SELECT e.reserved_at, e.reservation_id, e.decision_id, e.provider, e.requested_model, e.model,
    e.cost_nanousd, e.price_version, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens,
    e.output_tokens, e.reasoning_tokens, priced.times, priced.amount_nanousd AS adjusted_nanousd
FROM spendra.spend_events e
CROSS JOIN LATERAL (
    SELECT count(*) AS times, coalesce(sum(a.amount_nanousd), 0)::bigint AS amount_nanousd
    FROM spendra.adjustments a
    WHERE a.org_id = e.org_id AND a.reservation_id = e.reservation_id AND a.kind = 'price'
) AS priced
WHERE e.org_id = $1 AND e.outcome = 'posted' AND e.reserved_at >= $2 AND e.reserved_at < $3
    AND ($4::timestamptz IS NULL OR (e.reserved_at, e.reservation_id) > ($4, $5::uuid))
ORDER BY e.reserved_at, e.reservation_id
LIMIT $6;

-- name: book
SELECT spendra.adjust_event($1, wanted.id, 'price', wanted.reservation_id, NULL,
    wanted.amount_nanousd, $5, $6)
FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS wanted (id, reservation_id, amount_nanousd);
