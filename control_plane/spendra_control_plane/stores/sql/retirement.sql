-- name: events_beyond
-- $1: how many whole months before the current one are kept.
SELECT month FROM spendra.months_beyond('spend_events', $1) AS month
UNION SELECT month FROM spendra.months_beyond('ledger_entries', $1) AS month
ORDER BY month;

-- name: refusals_beyond
SELECT month FROM spendra.months_beyond('refusals', $1) AS month ORDER BY month;

-- name: retire
SELECT spendra.retire_month($1);

-- name: drop_refusals
SELECT spendra.drop_month('refusals', $1);

-- name: kept_since
-- Null: all of it is kept.
SELECT nullif(spendra.kept_since($1), '-infinity');
