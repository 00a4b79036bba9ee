-- What the audit needs to judge what it was told. $1 organization.

-- name: taken
SELECT a.account_id, (a.opening_nanousd + a.settled_nanousd + coalesce((
        SELECT sum(m.settled_nanousd) FROM spendra.account_movements m
        WHERE m.org_id = $1 AND m.account_id = a.account_id), 0))::bigint AS settled_nanousd,
    coalesce((
        SELECT sum(r.reserved_nanousd) FROM spendra.reservations r
        WHERE r.org_id = $1 AND a.account_id = ANY (r.account_ids)), 0)::bigint AS held_nanousd,
    (a.retired_overrun_nanousd + coalesce((
        SELECT sum(e.overrun_nanousd) FROM spendra.spend_events e
        WHERE e.org_id = $1 AND a.account_id = ANY (e.account_ids)), 0))::bigint AS overrun_nanousd
FROM spendra.accounts a WHERE a.org_id = $1 AND a.account_id = ANY ($2::text[]);

-- name: booked
SELECT posted.cost_nanousd, posted.events, open.held_nanousd, open.reservations
FROM (SELECT coalesce(sum(cost_nanousd), 0)::bigint AS cost_nanousd, count(*) AS events
      FROM spendra.spend_events WHERE org_id = $1 AND outcome = 'posted') posted,
     (SELECT coalesce(sum(reserved_nanousd), 0)::bigint AS held_nanousd, count(*) AS reservations
      FROM spendra.reservations WHERE org_id = $1) open;
