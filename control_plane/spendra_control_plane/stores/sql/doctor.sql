-- name: postgres
SELECT current_setting('server_version') AS version,
    current_setting('server_version_num')::int AS number,
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS is_durable,
    current_setting('synchronous_commit') AS synchronous_commit,
    clock_timestamp() AS now;

-- name: worker
SELECT whole_at, extract(epoch FROM now() - whole_at)::float AS age_s
FROM spendra.rollup_marks WHERE org_id = $1;

-- name: lost
SELECT count(*) AS reservations, coalesce(sum(reserved_nanousd), 0)::bigint AS held_nanousd
FROM spendra.reservations WHERE org_id = $1 AND state = 'lost';

-- name: repairs
SELECT count(*) AS repairs, max(reconciled_at) AS last
FROM spendra.reconciliations WHERE org_id = $1 AND reconciled_at > now() - interval '1 day';

-- name: dead_deliveries
SELECT count(*) FROM spendra.deliveries WHERE org_id = $1 AND state = 'dead';

-- name: unpriced
-- Models that were asked for in a week and have no price.
SELECT provider, requested_model AS model, count(*) AS requests
FROM spendra.refusals
WHERE org_id = $1 AND reason = 'unpriced_model' AND refused_at > now() - interval '7 days'
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 5;

-- name: guessed
-- How much of a week's spend is booked at a worst case.
SELECT coalesce(sum(cost_nanousd) FILTER (WHERE usage_confidence = 'worst_case'), 0)::bigint
        AS guessed_nanousd,
    coalesce(sum(cost_nanousd), 0)::bigint AS cost_nanousd
FROM spendra.spend_events
WHERE org_id = $1 AND outcome = 'posted' AND reserved_at > now() - interval '7 days';
