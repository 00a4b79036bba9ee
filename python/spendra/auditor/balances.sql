-- Postgres's side of the comparison with the live balances. $1 organization.

-- name: generation
SELECT generation FROM spendra.generations WHERE org_id = $1;

-- name: settled
-- Accounts of windows that have not ended.
SELECT a.account_id, (a.opening_nanousd + a.settled_nanousd + coalesce((
        SELECT sum(m.settled_nanousd) FROM spendra.account_movements m
        WHERE m.org_id = $1 AND m.account_id = a.account_id), 0))::bigint AS settled_nanousd
FROM spendra.accounts a WHERE a.org_id = $1 AND a.window_end > now();

-- name: open
SELECT reservation_id::text AS id, reserved_nanousd, account_ids
FROM spendra.reservations WHERE org_id = $1;

-- name: costs
SELECT reservation_id::text AS id, cost_nanousd
FROM spendra.spend_events WHERE org_id = $1 AND reservation_id = ANY ($2::uuid[]);
