-- name: now
SELECT now();

-- name: roll_up
SELECT spendra.roll_up($1, $2, $3, $4);

-- name: whole_at
SELECT whole_at FROM spendra.rollup_marks WHERE org_id = $1;

-- name: total
SELECT
    coalesce(sum(requests), 0)::bigint AS requests,
    coalesce(sum(cost), 0)::bigint AS cost_nanousd,
    coalesce(sum(adjusted), 0)::bigint AS adjusted_nanousd,
    coalesce(sum(overrun), 0)::bigint AS overrun_nanousd,
    coalesce(sum(input), 0)::bigint AS input_tokens,
    coalesce(sum(cached), 0)::bigint AS cached_input_tokens,
    coalesce(sum(written), 0)::bigint AS cache_write_tokens,
    coalesce(sum(output), 0)::bigint AS output_tokens,
    coalesce(sum(reasoning), 0)::bigint AS reasoning_tokens
FROM spendra.spent($1, $2, $3, $4, $5, $6);

-- name: by_value
-- What names several values counts in each of them.
SELECT v.value,
    coalesce(sum(requests), 0)::bigint AS requests,
    coalesce(sum(cost), 0)::bigint AS cost_nanousd,
    coalesce(sum(adjusted), 0)::bigint AS adjusted_nanousd,
    coalesce(sum(overrun), 0)::bigint AS overrun_nanousd,
    coalesce(sum(input), 0)::bigint AS input_tokens,
    coalesce(sum(cached), 0)::bigint AS cached_input_tokens,
    coalesce(sum(written), 0)::bigint AS cache_write_tokens,
    coalesce(sum(output), 0)::bigint AS output_tokens,
    coalesce(sum(reasoning), 0)::bigint AS reasoning_tokens
FROM spendra.spent($1, $2, $3, $4, $5, $6)
LEFT JOIN LATERAL jsonb_array_elements_text(facts -> $7::text) AS v (value) ON true
GROUP BY v.value
ORDER BY sum(cost + adjusted) DESC, v.value
LIMIT $8;

-- name: by_time
SELECT t.starts_at AS value,
    coalesce(sum(requests), 0)::bigint AS requests,
    coalesce(sum(cost), 0)::bigint AS cost_nanousd,
    coalesce(sum(adjusted), 0)::bigint AS adjusted_nanousd,
    coalesce(sum(overrun), 0)::bigint AS overrun_nanousd,
    coalesce(sum(input), 0)::bigint AS input_tokens,
    coalesce(sum(cached), 0)::bigint AS cached_input_tokens,
    coalesce(sum(written), 0)::bigint AS cache_write_tokens,
    coalesce(sum(output), 0)::bigint AS output_tokens,
    coalesce(sum(reasoning), 0)::bigint AS reasoning_tokens
FROM generate_series(
    date_trunc($5::text, $3::timestamptz, 'UTC'), $4::timestamptz - interval '1 second',
    ('1 ' || $5)::interval) AS t (starts_at)
LEFT JOIN LATERAL spendra.spent($1, $2,
    CASE WHEN $5 = 'day' THEN ARRAY[t.starts_at, t.starts_at + interval '1 day'] END,
    CASE WHEN $5 = 'hour' THEN ARRAY[t.starts_at, t.starts_at + interval '1 hour'] END,
    $6, $7) ON true
GROUP BY t.starts_at ORDER BY t.starts_at LIMIT $8;
