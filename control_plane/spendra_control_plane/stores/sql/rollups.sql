-- name: now
SELECT now();

-- name: roll_up
SELECT spendra.roll_up($1, $2, $3, $4, $5);

-- name: whole_at
SELECT whole_at FROM spendra.rollup_marks WHERE org_id = $1;

-- name: is_rolled_up
SELECT spendra.is_rolled_up($1, $2);

-- name: mark
SELECT coalesce(max(batch_id), 0) FROM spendra.rollup_marks WHERE org_id = $1;

-- name: hours_of
-- In which there may be events with one of some values, newest first: those that have them in their
-- totals, and those of events that are not in any yet, beyond the batch $7. It is a parameter so that
-- the planner sees how few they are.
SELECT starts_at, sum(requests)::bigint AS requests
FROM (
    SELECT starts_at, requests FROM spendra.spend_totals
    WHERE org_id = $1 AND grain = 'hour'
        AND (dimension, value) IN (SELECT * FROM unnest($2::text[], $3::text[]))
    UNION ALL
    SELECT DISTINCT date_trunc('hour', reserved_at, 'UTC'), 0 FROM spendra.spend_events
    WHERE org_id = $1 AND batch_id > $7
) AS hours
WHERE starts_at > coalesce($4::timestamptz, '-infinity') - interval '1 hour'
    AND starts_at < coalesce($5::timestamptz, 'infinity')
    AND starts_at <= coalesce($6::timestamptz, 'infinity')
GROUP BY starts_at ORDER BY starts_at DESC;

-- name: total
SELECT :sums FROM spendra.spent($1, $2, $3, $4, $5, $6);

-- name: by_value
-- What names several values counts in each of them.
SELECT v.value, :sums
FROM spendra.spent($1, $2, $3, $4, $5, $6)
LEFT JOIN LATERAL jsonb_array_elements_text(facts -> $7::text) AS v (value) ON true
GROUP BY v.value
HAVING bool_or(requests <> 0 OR cost_nanousd <> 0 OR adjusted_nanousd <> 0)
ORDER BY sum(cost_nanousd + adjusted_nanousd) DESC, v.value
LIMIT $8;

-- name: by_time
WITH spent AS (
    SELECT date_trunc($8::text, starts_at, 'UTC') AS value, :sums
    FROM spendra.spent($1, $2, $3, $4, $5, $6) GROUP BY 1
)
SELECT t.value, :named
FROM generate_series($7::timestamptz, $9::timestamptz, ('1 ' || $8)::interval) AS t (value)
LEFT JOIN spent s ON s.value = t.value
ORDER BY t.value LIMIT $10;

-- name: total_of_one
SELECT :sums FROM spendra.spent_on($1, $2, $3, $4) WHERE value = $5;

-- name: total_of_all
SELECT :sums FROM spendra.spent_on($1, $2, $3, $4);

-- name: by_value_of_one
SELECT value, :sums
FROM spendra.spent_on($1, $2, $3, $4)
GROUP BY value
HAVING bool_or(requests <> 0 OR cost_nanousd <> 0 OR adjusted_nanousd <> 0)
ORDER BY sum(cost_nanousd + adjusted_nanousd) DESC, value
LIMIT $5;

-- name: by_time_of_one
WITH spent AS (
    SELECT date_trunc($7::text, starts_at, 'UTC') AS value, :sums
    FROM spendra.spent_on($1, $2, $3, $4) WHERE value = $5 GROUP BY 1
)
SELECT t.value, :named
FROM generate_series($6::timestamptz, $8::timestamptz, ('1 ' || $7)::interval) AS t (value)
LEFT JOIN spent s ON s.value = t.value
ORDER BY t.value LIMIT $9;
