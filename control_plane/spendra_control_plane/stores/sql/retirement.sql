-- $1: how many whole months before the current one are kept.

-- name: spend_events_before
SELECT month FROM spendra.months_before('spend_events', 'reserved_at',
    date_trunc('month', now(), 'UTC') - make_interval(months => $1)) AS month
UNION SELECT month FROM spendra.months_before('ledger_entries', 'booked_at',
    date_trunc('month', now(), 'UTC') - make_interval(months => $1)) AS month
ORDER BY month;

-- name: refusals_before
SELECT month FROM spendra.months_before('refusals', 'refused_at',
    date_trunc('month', now(), 'UTC') - make_interval(months => $1)) AS month
ORDER BY month;

-- name: retire
SELECT spendra.retire_month($1);

-- name: drop_refusals
SELECT spendra.drop_month('refusals', $1);

-- name: kept_since
SELECT nullif(spendra.kept_since($1), '-infinity');
