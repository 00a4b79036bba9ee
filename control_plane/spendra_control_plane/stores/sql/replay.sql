-- name: events
-- Attempts that cost something, the oldest first, of the requests that a selector matches.
SELECT reserved_at, settled_at, reservation_id, decision_id, provider, requested_model,
    input_tokens, output_tokens, reserved_nanousd, cost_nanousd, facts
FROM spendra.spend_events
WHERE org_id = $1 AND outcome = 'posted' AND reserved_at >= $2 AND reserved_at < $3
    AND ($4::jsonb = '{}' OR spendra.selects($4, facts))
    AND ($5::timestamptz IS NULL OR (reserved_at, reservation_id) > ($5, $6::uuid))
ORDER BY reserved_at, reservation_id
LIMIT $7;
