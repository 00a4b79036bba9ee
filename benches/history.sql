-- What settling leaves of events $2 to $3 of $4: one each `seconds` apart, from $5 on, in batches of
-- fifty. Which key, model and size is drawn from the number of the event, so that a repeat is equal.
WITH drawn AS (
    SELECT n, $5::timestamptz + n * ($6::timestamptz - $5) / $4::bigint AS at,
        abs(hashint8extended(n, 1)) AS a, abs(hashint8extended(n, 2)) AS b,
        abs(hashint8extended(n, 3)) AS c
    FROM generate_series($2::bigint, $3::bigint - 1) AS n
), shaped AS (
    SELECT n, at, batch.first + (n - $2) / 50 AS batch_id,
        (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
            || lpad(to_hex(a % 4096), 3, '0') || '8' || lpad(to_hex(b % 4096), 3, '0')
            || lpad(to_hex(n), 12, '0'))::uuid AS id,
        -- Few keys spend most of it, as it is in life.
        floor(($7::integer) * power((a % 1000003)::float8 / 1000003, 2.0))::integer AS key,
        b, c, 200 + b % 4000 AS input, 20 + c % 800 AS output
    FROM drawn, (SELECT setval('spendra.batches', nextval('spendra.batches')
        + ($3::bigint - $2) / 50) - ($3::bigint - $2) / 50 AS first) AS batch
), priced AS (
    SELECT s.*, (input * 500 + output * 2000)::bigint AS cost,
        'project-' || key % 200 AS project, 'team-' || key % 40 AS team,
        -- A key has a model and now and then another; a project three of twelve features.
        (ARRAY['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4-5', 'claude-haiku-4-5', 'gemini-2.5-pro',
               'gemini-2.5-flash'])[1 + (key + (b % 10 = 0)::integer) % 6] AS model,
        (ARRAY['openai', 'openai', 'anthropic', 'anthropic', 'gemini',
               'gemini'])[1 + (key + (b % 10 = 0)::integer) % 6] AS provider,
        'f' || (key % 200 + c % 3) % 12 AS feature
    FROM shaped s
), event AS (
    INSERT INTO spendra.spend_events (
        org_id, reserved_at, reservation_id, decision_id, attempt, sidecar_id, outcome, settled_at,
        reason, reserved_nanousd, estimated_nanousd, cost_nanousd, account_ids, provider,
        requested_model, model, upstream_status, usage_confidence, input_tokens,
        cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, policy_version,
        price_version, facts, batch_id)
    SELECT $1, at, id, id, 0, 'sidecar-1', 'posted', at + interval '2 seconds', 'usage', cost * 2,
        cost, cost, ARRAY[
            'bud_all@' || extract(epoch FROM date_trunc('month', at, 'UTC'))::bigint,
            'bud_' || team || '@' || extract(epoch FROM date_trunc('month', at, 'UTC'))::bigint],
        provider, model, model, 200, 'reported', input, 0, 0, output, 0, 1, 'bench', jsonb_build_object(
            'key', jsonb_build_array('key-' || key), 'project', jsonb_build_array(project),
            'team', jsonb_build_array(team), 'environment', jsonb_build_array('live'),
            'provider', jsonb_build_array(provider), 'model', jsonb_build_array(model),
            'label:feature', jsonb_build_array(feature)), batch_id
    FROM priced
    RETURNING *
), spent AS (
    INSERT INTO spendra.ledger_entries (
        org_id, booked_at, batch_id, kind, account, amount_nanousd, decision_id, reservation_id,
        reserved_at)
    SELECT $1, e.settled_at, e.batch_id, 'spend', side.account, side.amount, e.decision_id,
        e.reservation_id, e.reserved_at
    FROM event e CROSS JOIN LATERAL (VALUES
        ('expense:' || (e.facts #>> '{project,0}'), e.cost_nanousd),
        ('payable:' || e.provider, -e.cost_nanousd)) AS side (account, amount)
), held AS (
    INSERT INTO spendra.ledger_entries (org_id, booked_at, batch_id, kind, account, amount_nanousd)
    SELECT $1, b.at, b.batch_id, side.kind, side.account, side.amount
    FROM (SELECT batch_id, max(settled_at) AS at, sum(reserved_nanousd)::bigint AS held
          FROM event GROUP BY batch_id) AS b
    CROSS JOIN LATERAL (VALUES
        ('hold', 'encumbrance:held', b.held), ('hold', 'encumbrance:control', -b.held),
        ('release', 'encumbrance:held', -b.held), ('release', 'encumbrance:control', b.held))
        AS side (kind, account, amount)
)
INSERT INTO spendra.accounts (
    org_id, account_id, budget_id, window_start, window_end, settled_nanousd)
SELECT $1, a.id, split_part(a.id, '@', 1), to_timestamp(split_part(a.id, '@', 2)::bigint),
    to_timestamp(split_part(a.id, '@', 2)::bigint) AT TIME ZONE 'UTC' + interval '1 month',
    sum(e.cost_nanousd)
FROM event e CROSS JOIN LATERAL unnest(e.account_ids) AS a (id)
GROUP BY a.id
ON CONFLICT (org_id, account_id) DO UPDATE
SET settled_nanousd = spendra.accounts.settled_nanousd + EXCLUDED.settled_nanousd
