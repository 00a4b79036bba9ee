-- name: posted
-- Ended attempts of a decision.
SELECT reservation_id FROM spendra.spend_events
WHERE org_id = $1 AND decision_id = $2 AND ($3::uuid IS NULL OR reservation_id = $3)
    AND outcome = 'posted'
ORDER BY attempt;

-- name: account
SELECT account_id FROM spendra.accounts WHERE org_id = $1 AND account_id = $2;

-- name: adjust_event
SELECT spendra.adjust_event($1, $2, $3, $4, $5, $6, $7, $8);

-- name: adjust
SELECT spendra.adjust($1, $2, 'manual', $3, $4, $5, NULL, NULL, ARRAY[$6::text], $7, $8);

-- name: get
SELECT adjustment_id, booked_at, batch_id, kind, amount_nanousd, reason, booked_by, decision_id,
    reservation_id, account_ids, expense, payable
FROM spendra.adjustments WHERE org_id = $1 AND adjustment_id = $2;

-- name: page
SELECT adjustment_id, booked_at, batch_id, kind, amount_nanousd, reason, booked_by, decision_id,
    reservation_id, account_ids, expense, payable
FROM spendra.adjustments
WHERE org_id = $1 AND ($2::timestamptz IS NULL OR (booked_at, adjustment_id) < ($2, $3::uuid))
ORDER BY booked_at DESC, adjustment_id DESC LIMIT $4;

-- name: of_decisions
SELECT adjustment_id, booked_at, batch_id, kind, amount_nanousd, reason, booked_by, decision_id,
    reservation_id, account_ids, expense, payable
FROM spendra.adjustments WHERE org_id = $1 AND decision_id = ANY ($2::uuid[])
ORDER BY booked_at, adjustment_id;

-- name: open_state
SELECT state, spendra.endable_at(org_id, sidecar_id, lost_at) AS endable_at
FROM spendra.reservations WHERE org_id = $1 AND reservation_id = $2;

-- name: end_lost
SELECT spendra.end_lost($1, $2, $3, $4, $5);

-- name: lost_rule
SELECT lost_rule, lost_after_s FROM spendra.organizations WHERE id = $1;

-- name: set_lost_rule
UPDATE spendra.organizations SET lost_rule = $2, lost_after_s = $3 WHERE id = $1
RETURNING lost_rule, lost_after_s;

-- name: lost_endings
SELECT reservation_id, ended_at, ended_by, outcome, cost_nanousd, reason
FROM spendra.lost_endings
WHERE org_id = $1 AND ($2::timestamptz IS NULL OR (ended_at, reservation_id) < ($2, $3::uuid))
ORDER BY ended_at DESC, reservation_id DESC LIMIT $4;

-- name: reconciliations
SELECT reconciled_at, generation, findings FROM spendra.reconciliations
WHERE org_id = $1 AND ($2::timestamptz IS NULL OR reconciled_at < $2)
ORDER BY reconciled_at DESC LIMIT $3;
