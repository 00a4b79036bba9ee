-- Each statement returns the rows for which an invariant does not hold: `subject`, then figures.
-- $1 organization, $2 what is older is left out.

-- name: over_limit
-- An account above the highest limit that it has had in its window, and what would explain it.
WITH held AS (
    SELECT named.account_id, sum(r.reserved_nanousd) AS nanousd
    FROM spendra.reservations r CROSS JOIN LATERAL unnest(r.account_ids) AS named(account_id)
    WHERE r.org_id = $1 GROUP BY 1
), taken AS (
    SELECT a.account_id, a.budget_id, a.window_start, a.window_end, a.retired_overrun_nanousd,
           a.opening_nanousd + a.joined_nanousd AS opening_nanousd,
           a.opening_nanousd + a.settled_nanousd + coalesce((
               SELECT sum(m.settled_nanousd) FROM spendra.account_movements m
               WHERE m.org_id = $1 AND m.account_id = a.account_id), 0) AS settled,
           coalesce(h.nanousd, 0) AS held
    FROM spendra.accounts a LEFT JOIN held h USING (account_id)
    WHERE a.org_id = $1 AND a.window_end >= $2
), capped AS (
    SELECT t.*, b.limit_nanousd AS now_nanousd, (
        SELECT max(CASE l.kind WHEN 'hard' THEN l.limit_nanousd ELSE 9223372036854775807 END)
        FROM spendra.budget_limits l
        WHERE l.org_id = $1 AND l.budget_id = t.budget_id AND l.since < t.window_end
          AND l.since >= coalesce((
              SELECT max(e.since) FROM spendra.budget_limits e
              WHERE e.org_id = $1 AND e.budget_id = t.budget_id AND e.since <= t.window_start),
              '-infinity')) AS highest_nanousd
    FROM taken t JOIN spendra.budgets b ON b.org_id = $1 AND b.id = t.budget_id AND b.kind = 'hard'
    WHERE t.settled + t.held > b.limit_nanousd
)
SELECT c.account_id AS subject, c.settled::bigint AS settled_nanousd, c.held::bigint AS held_nanousd,
    c.now_nanousd AS limit_nanousd,
    greatest(c.highest_nanousd, c.now_nanousd, c.opening_nanousd) AS highest_nanousd,
    (c.retired_overrun_nanousd + coalesce((
        SELECT sum(e.overrun_nanousd) FROM spendra.spend_events e
        WHERE e.org_id = $1 AND c.account_id = ANY (e.account_ids)), 0))::bigint AS overrun_nanousd,
    coalesce((
        SELECT sum(greatest(d.amount_nanousd, 0)) FROM spendra.adjustments d
        WHERE d.org_id = $1 AND c.account_id = ANY (d.account_ids)), 0)::bigint AS adjusted_nanousd
FROM capped c;

-- name: two_outcomes
SELECT e.reservation_id::text AS subject, count(*) AS events, sum(e.cost_nanousd)::bigint AS cost_nanousd
FROM spendra.spend_events e WHERE e.org_id = $1 AND e.settled_at >= $2
GROUP BY e.reservation_id HAVING count(*) > 1;

-- name: open_and_ended
SELECT r.reservation_id::text AS subject, r.reserved_nanousd, e.outcome, e.cost_nanousd
FROM spendra.reservations r
JOIN spendra.spend_events e ON e.org_id = $1 AND e.reservation_id = r.reservation_id
WHERE r.org_id = $1;

-- name: voided_at_a_cost
SELECT e.reservation_id::text AS subject, e.cost_nanousd
FROM spendra.spend_events e
WHERE e.org_id = $1 AND e.settled_at >= $2 AND e.outcome = 'voided' AND e.cost_nanousd <> 0;

-- name: unbalanced_batch
SELECT l.batch_id::text AS subject, l.kind AS entries, sum(l.amount_nanousd)::bigint AS sum_nanousd
FROM spendra.ledger_entries l WHERE l.org_id = $1 AND l.booked_at >= $2
GROUP BY l.batch_id, l.kind HAVING sum(l.amount_nanousd) <> 0;

-- name: event_without_its_entries
-- A posted reservation has one expense of its cost against one payable of the same. The entries of
-- the first events that are kept may have gone with the month before: clocks differ a little.
SELECT e.reservation_id::text AS subject, e.cost_nanousd, count(l.entry_id) AS entries,
    coalesce(sum(l.amount_nanousd) FILTER (WHERE l.account LIKE 'expense:%'), 0)::bigint AS expense_nanousd
FROM spendra.spend_events e
LEFT JOIN spendra.ledger_entries l ON l.org_id = $1 AND l.decision_id = e.decision_id
    AND l.reservation_id = e.reservation_id AND l.kind = 'spend'
WHERE e.org_id = $1 AND e.settled_at >= $2 AND e.outcome = 'posted'
    AND e.reserved_at >= spendra.kept_since($1) + interval '1 hour'
GROUP BY e.reservation_id, e.cost_nanousd
HAVING count(l.entry_id) <> 2
    OR sum(l.amount_nanousd) FILTER (WHERE l.account LIKE 'expense:%') IS DISTINCT FROM e.cost_nanousd::numeric;

-- name: entry_without_its_event
SELECT l.reservation_id::text AS subject, l.batch_id::text AS batch, l.account, l.amount_nanousd
FROM spendra.ledger_entries l
WHERE l.org_id = $1 AND l.booked_at >= $2 AND l.kind = 'spend'
    AND l.reserved_at >= spendra.kept_since($1) AND NOT EXISTS (
    SELECT FROM spendra.spend_events e
    WHERE e.org_id = $1 AND e.reservation_id = l.reservation_id AND e.outcome = 'posted');

-- name: charged_after_refusal
SELECT f.decision_id::text AS subject, f.reason, e.cost_nanousd
FROM spendra.refusals f
JOIN spendra.spend_events e ON e.org_id = $1 AND e.decision_id = f.decision_id
WHERE f.org_id = $1 AND f.refused_at >= $2 AND e.outcome = 'posted' AND e.reserved_at > f.refused_at;

-- name: refused_for_no_account
SELECT f.decision_id::text AS subject, f.reason, f.wanted_nanousd
FROM spendra.refusals f
WHERE f.org_id = $1 AND f.refused_at >= $2 AND f.reason = 'budget_exhausted'
    AND cardinality(f.account_ids) = 0;

-- name: still_held
-- What budgets set aside for when a store is away stays held.
SELECT r.reservation_id::text AS subject, r.reserved_nanousd, r.sidecar_id AS sidecar
FROM spendra.reservations r WHERE r.org_id = $1 AND r.state <> 'lost'
    AND (r.provider, r.requested_model) <> ('spendra', 'allowance');

-- name: totals_differ
-- What an account shows as settled, against the events and adjustments that name it. Events carry
-- the sidecar's clock and windows the store's, hence the hour.
WITH booked AS (
    SELECT named.account_id, sum(e.cost_nanousd)::bigint AS nanousd
    FROM spendra.spend_events e CROSS JOIN LATERAL unnest(e.account_ids) AS named(account_id)
    WHERE e.org_id = $1 AND e.reserved_at >= $2::timestamptz - interval '1 hour'
        AND e.outcome = 'posted'
    GROUP BY 1
), adjusted AS (
    SELECT named.account_id, sum(d.amount_nanousd)::bigint AS nanousd
    FROM spendra.adjustments d CROSS JOIN LATERAL unnest(d.account_ids) AS named(account_id)
    WHERE d.org_id = $1 GROUP BY 1
), shown AS (
    SELECT a.account_id, (a.settled_nanousd - a.retired_nanousd + coalesce((
               SELECT sum(m.settled_nanousd) FROM spendra.account_movements m
               WHERE m.org_id = $1 AND m.account_id = a.account_id), 0))::bigint AS nanousd
    FROM spendra.accounts a WHERE a.org_id = $1 AND a.window_start >= $2
)
SELECT s.account_id AS subject, s.nanousd AS settled_nanousd,
    coalesce(b.nanousd, 0) AS events_nanousd, coalesce(d.nanousd, 0) AS adjusted_nanousd
FROM shown s LEFT JOIN booked b USING (account_id) LEFT JOIN adjusted d USING (account_id)
WHERE s.nanousd <> coalesce(b.nanousd, 0) + coalesce(d.nanousd, 0);

-- name: event_on_no_account
SELECT named.account_id AS subject, count(*) AS events, sum(e.cost_nanousd)::bigint AS cost_nanousd
FROM spendra.spend_events e CROSS JOIN LATERAL unnest(e.account_ids) AS named(account_id)
WHERE e.org_id = $1 AND e.settled_at >= $2 AND e.outcome = 'posted' AND NOT EXISTS (
    SELECT FROM spendra.accounts a WHERE a.org_id = $1 AND a.account_id = named.account_id)
GROUP BY named.account_id;

-- name: encumbrance_differs
-- What the books say is held, against the open reservations.
SELECT 'encumbrance:held' AS subject, booked.entries_nanousd, held.open_nanousd
FROM (SELECT coalesce(sum(l.amount_nanousd), 0)::bigint AS entries_nanousd
      FROM (SELECT org_id, account, amount_nanousd FROM spendra.ledger_entries
            UNION ALL SELECT org_id, account, amount_nanousd FROM spendra.retired_entries) l
      WHERE l.org_id = $1 AND l.account = 'encumbrance:held') booked,
     (SELECT coalesce(sum(r.reserved_nanousd), 0)::bigint AS open_nanousd
      FROM spendra.reservations r WHERE r.org_id = $1) held
WHERE booked.entries_nanousd <> held.open_nanousd AND $2::timestamptz <= '1970-01-01';

-- name: expense_differs
-- Everything expensed, against everything that events and adjustments say.
SELECT 'expense' AS subject, booked.entries_nanousd, events.events_nanousd, adjusted.adjusted_nanousd
FROM (SELECT coalesce(sum(l.amount_nanousd), 0)::bigint AS entries_nanousd
      FROM (SELECT org_id, account, amount_nanousd FROM spendra.ledger_entries
            UNION ALL SELECT org_id, account, amount_nanousd FROM spendra.retired_entries) l
      WHERE l.org_id = $1 AND l.account LIKE 'expense:%') booked,
     (SELECT coalesce(sum(e.cost_nanousd), 0)::bigint AS events_nanousd
      FROM (SELECT org_id, outcome, cost_nanousd FROM spendra.spend_events
            UNION ALL SELECT org_id, 'posted', cost_nanousd FROM spendra.retirements) e
      WHERE e.org_id = $1 AND e.outcome = 'posted') events,
     (SELECT coalesce(sum(d.amount_nanousd), 0)::bigint AS adjusted_nanousd
      FROM spendra.adjustments d WHERE d.org_id = $1) adjusted
WHERE booked.entries_nanousd <> events.events_nanousd + adjusted.adjusted_nanousd
    AND $2::timestamptz <= '1970-01-01';

-- name: written_under_a_closed_generation
-- A reservation whose row is younger than the generation that closed its own.
SELECT r.reservation_id::text AS subject, r.generation, g.generation AS current_generation,
    r.reserved_nanousd
FROM spendra.reservations r JOIN spendra.generations g ON g.org_id = $1
WHERE r.org_id = $1 AND r.generation <> g.generation AND r.state = 'reserved' AND r.extensions = 0
    AND age(r.xmin) < age(g.xmin);
