-- What is to be told, each with the period in which it is told once: `subject`, `period`,
-- `budget_id`, `facts`. $1: the organization.

-- name: budget_threshold
-- The highest share that each open window reached, unless as much was told of it under this limit.
SELECT DISTINCT ON (a.account_id) b.id AS subject, b.id AS budget_id,
    a.account_id || ':' || b.limit_nanousd || ':' || wanted.percent AS period,
    jsonb_build_object('name', b.name, 'kind', b.kind, 'percent', wanted.percent,
        'limit_nanousd', b.limit_nanousd, 'settled_nanousd', spent.nanousd,
        'window_start', a.window_start,
        'window_end', CASE WHEN b.period <> 'none' THEN a.window_end END) AS facts
FROM spendra.budgets b
JOIN spendra.accounts a ON a.org_id = b.org_id AND a.budget_id = b.id
    AND a.window_start <= now() AND a.window_end > now()
CROSS JOIN LATERAL (
    SELECT a.opening_nanousd + a.settled_nanousd + coalesce(sum(m.settled_nanousd), 0) AS nanousd
    FROM spendra.account_movements m
    WHERE m.org_id = a.org_id AND m.account_id = a.account_id
) AS spent
CROSS JOIN LATERAL unnest(b.alert_at_percent) AS wanted (percent)
WHERE b.org_id = $1 AND b.state = 'active' AND b.limit_nanousd > 0
    AND spent.nanousd * 100 >= b.limit_nanousd::numeric * wanted.percent
    AND NOT EXISTS (
        SELECT FROM spendra.notices n
        WHERE n.org_id = b.org_id AND n.event = 'budget.threshold' AND n.subject = b.id
            AND starts_with(n.period, a.account_id || ':' || b.limit_nanousd || ':')
            AND (n.facts ->> 'percent')::int >= wanted.percent)
ORDER BY a.account_id, wanted.percent DESC;

-- name: budget_burn_rate
-- Windows of which a fifth is spent and whose rest would not last until their end, at the pace of
-- the last six whole hours, or of the window so far.
SELECT b.id AS subject, b.id AS budget_id, a.account_id || ':' || b.limit_nanousd AS period,
    jsonb_build_object('name', b.name, 'kind', b.kind, 'limit_nanousd', b.limit_nanousd,
        'settled_nanousd', spent.nanousd,
        'per_hour_nanousd', round(pace.nanousd / pace.hours)::bigint,
        'used_up_at', date_trunc('second', now() + make_interval(
            secs => ((b.limit_nanousd - spent.nanousd) / pace.nanousd * pace.hours * 3600)::float)),
        'window_end', a.window_end) AS facts
FROM spendra.budgets b
JOIN spendra.accounts a ON a.org_id = b.org_id AND a.budget_id = b.id
    AND a.window_start <= now() AND a.window_end > now()
CROSS JOIN LATERAL (
    SELECT a.opening_nanousd + a.settled_nanousd + coalesce(sum(m.settled_nanousd), 0) AS nanousd
    FROM spendra.account_movements m
    WHERE m.org_id = a.org_id AND m.account_id = a.account_id
) AS spent
CROSS JOIN LATERAL (
    SELECT date_trunc('hour', now(), 'UTC') AS until, greatest(
        date_trunc('hour', a.window_start + interval '59 min 59 s', 'UTC'),
        date_trunc('hour', now(), 'UTC') - interval '6 hours') AS since
) AS past
CROSS JOIN LATERAL (
    SELECT coalesce(sum(h.cost_nanousd), 0)::numeric AS nanousd,
        extract(epoch FROM past.until - past.since)::numeric / 3600 AS hours
    FROM spendra.account_hours h
    WHERE h.org_id = a.org_id AND h.account_id = a.account_id
        AND h.starts_at >= past.since AND h.starts_at < past.until
) AS pace
WHERE b.org_id = $1 AND b.state = 'active' AND b.period <> 'none' AND b.limit_nanousd > 0
    AND pace.hours >= 1 AND pace.nanousd > 0
    AND spent.nanousd * 5 >= b.limit_nanousd AND spent.nanousd < b.limit_nanousd
    AND spent.nanousd + pace.nanousd / pace.hours
        * extract(epoch FROM a.window_end - now())::numeric / 3600 >= b.limit_nanousd;

-- name: budget_anomaly
-- A last whole hour that cost more than a hundredth of the limit, three times what an hour costs,
-- and four standard deviations more; of fourteen days, of which twelve hours cost something.
SELECT b.id AS subject, b.id AS budget_id,
    to_char(latest.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') AS period,
    jsonb_build_object('name', b.name, 'kind', b.kind, 'hour', latest.starts_at,
        'cost_nanousd', latest.nanousd, 'usual_nanousd', round(usual.mean)::bigint) AS facts
FROM spendra.budgets b
CROSS JOIN LATERAL (
    SELECT h.starts_at, sum(h.cost_nanousd) AS nanousd
    FROM spendra.accounts a
    JOIN spendra.account_hours h ON h.org_id = a.org_id AND h.account_id = a.account_id
    WHERE a.org_id = b.org_id AND a.budget_id = b.id
        AND h.starts_at = date_trunc('hour', now(), 'UTC') - interval '1 hour'
    GROUP BY h.starts_at
) AS latest
CROSS JOIN LATERAL (
    SELECT count(*) AS spending, sum(h.cost_nanousd) / span.hours AS mean,
        sqrt(greatest(sum(h.cost_nanousd::numeric ^ 2) / span.hours
            - (sum(h.cost_nanousd) / span.hours) ^ 2, 0)) AS deviation
    FROM spendra.accounts a
    JOIN spendra.account_hours h ON h.org_id = a.org_id AND h.account_id = a.account_id
    CROSS JOIN (VALUES (336::numeric)) AS span (hours)
    WHERE a.org_id = b.org_id AND a.budget_id = b.id
        AND h.starts_at < latest.starts_at AND h.starts_at >= latest.starts_at - interval '14 days'
    GROUP BY span.hours
) AS usual
WHERE b.org_id = $1 AND b.state = 'active' AND usual.spending >= 12
    AND latest.nanousd * 100 > b.limit_nanousd AND latest.nanousd > 3 * usual.mean
    AND latest.nanousd > usual.mean + 4 * usual.deviation;

-- name: spend_overrun
-- By model and hour, of the last two.
SELECT coalesce(f.facts -> 'provider' ->> 0, '') || '/' || coalesce(f.facts -> 'model' ->> 0, '')
        AS subject, NULL AS budget_id,
    to_char(r.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') AS period,
    jsonb_build_object('hour', r.starts_at, 'overrun_nanousd', sum(r.overrun_nanousd)) AS facts
FROM spendra.spend_rollups r
JOIN spendra.spend_facts f
    ON f.org_id = r.org_id AND f.label = r.label AND f.facts_key = r.facts_key
WHERE r.org_id = $1 AND r.grain = 'hour' AND r.label = ''
    AND r.starts_at >= date_trunc('hour', now(), 'UTC') - interval '1 hour'
    AND r.overrun_nanousd > 0
GROUP BY 1, r.starts_at;

-- name: finance_month
-- Of the month before this one (UTC), once nothing of it is missing any more, and six hours later.
SELECT to_char(m.starts_at AT TIME ZONE 'UTC', 'YYYY-MM') AS subject, NULL AS budget_id,
    to_char(m.starts_at AT TIME ZONE 'UTC', 'YYYY-MM') AS period,
    jsonb_build_object('requests', spent.requests, 'total_nanousd', spent.nanousd,
        'adjusted_nanousd', spent.adjusted, 'before_nanousd', before.nanousd,
        'cost_centers', centers.listed) AS facts
FROM spendra.rollup_marks w
CROSS JOIN LATERAL (
    SELECT date_trunc('month', now(), 'UTC') AS ends_at, date_trunc(
        'month', date_trunc('month', now(), 'UTC') - interval '1 day', 'UTC') AS starts_at
) AS m
CROSS JOIN LATERAL (
    SELECT sum(t.requests) AS requests, sum(t.cost_nanousd + t.adjusted_nanousd) AS nanousd,
        sum(t.adjusted_nanousd) AS adjusted
    FROM spendra.spend_totals t
    WHERE t.org_id = $1 AND t.grain = 'day' AND t.dimension = ''
        AND t.starts_at >= m.starts_at AND t.starts_at < m.ends_at
) AS spent
CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.cost_nanousd + t.adjusted_nanousd), 0) AS nanousd
    FROM spendra.spend_totals t
    WHERE t.org_id = $1 AND t.grain = 'day' AND t.dimension = '' AND t.starts_at < m.starts_at
        AND t.starts_at >= date_trunc('month', m.starts_at - interval '1 day', 'UTC')
) AS before
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('cost_center', c.value, 'total_nanousd', c.nanousd)
        ORDER BY c.nanousd DESC, c.value) AS listed
    FROM (
        SELECT t.value, sum(t.cost_nanousd + t.adjusted_nanousd) AS nanousd
        FROM spendra.spend_totals t
        WHERE t.org_id = $1 AND t.grain = 'day' AND t.dimension = 'cost_center'
            AND t.starts_at >= m.starts_at AND t.starts_at < m.ends_at
        GROUP BY t.value ORDER BY 2 DESC, 1 LIMIT 50
    ) AS c
) AS centers
WHERE w.org_id = $1 AND w.whole_at >= m.ends_at + interval '6 hours' AND spent.requests > 0;

-- name: ledger_drift
SELECT 'balances' AS subject, NULL AS budget_id, reconciled_at::text AS period,
    jsonb_build_object('generation', generation, 'findings', jsonb_array_length(findings),
        'drift_nanousd', (SELECT max(abs((found ->> 'drift_nanousd')::bigint))
            FROM jsonb_array_elements(findings) AS found)) AS facts
FROM spendra.reconciliations
WHERE org_id = $1 AND reconciled_at > now() - interval '1 day';

-- name: ledger_lost
-- Once a day for each sidecar that lost some.
SELECT sidecar_id AS subject, NULL AS budget_id,
    to_char(lost_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS period,
    jsonb_build_object('reservations', count(*), 'held_nanousd', sum(reserved_nanousd)) AS facts
FROM spendra.reservations
WHERE org_id = $1 AND state = 'lost'
GROUP BY sidecar_id, 3;

-- name: review_requested
-- Each once.
SELECT r.id AS subject, NULL AS budget_id, r.id AS period,
    jsonb_build_object('key', k.name, 'model', r.model, 'amount_nanousd', r.amount_nanousd,
        'decision_id', r.decision_id) AS facts
FROM spendra.review_requests_now r JOIN spendra.keys k ON k.org_id = r.org_id AND k.id = r.key_id
WHERE r.org_id = $1 AND r.state = 'waiting';
