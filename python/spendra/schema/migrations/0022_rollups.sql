-- Spend summed up by hour and day (UTC), so that reports of a year need not read its events.

-- The combinations of scopes, provider and model that were seen; and, for each label, those with its
-- values. `facts` are those of the events, without `run` and other labels, and with `cost_center`.
CREATE TABLE spendra.spend_facts (
    org_id     text NOT NULL,
    label      text NOT NULL, -- such as `label:feature`; empty without
    facts_key  uuid NOT NULL, -- the MD5 of the facts' text
    facts      jsonb NOT NULL,
    PRIMARY KEY (org_id, label, facts_key)
);

-- What each of them came to in an hour or a day.
CREATE TABLE spendra.spend_rollups (
    org_id               text NOT NULL,
    grain                text NOT NULL CHECK (grain IN ('hour', 'day')),
    label                text NOT NULL,
    starts_at            timestamptz NOT NULL,
    facts_key            uuid NOT NULL,
    requests             bigint NOT NULL,
    cost_nanousd         bigint NOT NULL,
    adjusted_nanousd     bigint NOT NULL,
    overrun_nanousd      bigint NOT NULL,
    input_tokens         bigint NOT NULL,
    cached_input_tokens  bigint NOT NULL,
    cache_write_tokens   bigint NOT NULL,
    output_tokens        bigint NOT NULL,
    reasoning_tokens     bigint NOT NULL,
    PRIMARY KEY (org_id, grain, label, starts_at, facts_key)
);

-- What was spent of a budget's window in an hour (UTC), without adjustments.
CREATE TABLE spendra.account_hours (
    org_id        text NOT NULL,
    account_id    text NOT NULL,
    starts_at     timestamptz NOT NULL,
    cost_nanousd  bigint NOT NULL,
    PRIMARY KEY (org_id, account_id, starts_at)
);

-- Up to which batch an organization's bookings are in, and when nothing was missing.
CREATE TABLE spendra.rollup_marks (
    org_id    text PRIMARY KEY,
    batch_id  bigint NOT NULL,
    whole_at  timestamptz
);

-- What a rollup keeps of an event's facts.
CREATE FUNCTION spendra.rolled_facts(p_facts jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, spendra AS $$
    SELECT (p_facts - ARRAY(
            SELECT key FROM jsonb_object_keys(p_facts) AS key
            WHERE key = 'run' OR starts_with(key, 'label:')))
        || jsonb_build_object('cost_center', jsonb_build_array(cost_center(p_facts)))
$$;

-- What was booked in (p_after, p_upto]: events where they were reserved, and adjustments where what
-- they correct was; those of an account when they were booked.
CREATE FUNCTION spendra.booked_between(p_org text, p_after bigint, p_upto bigint)
RETURNS TABLE (
    hour timestamptz, facts jsonb, requests bigint, cost numeric, adjusted numeric, overrun numeric,
    input numeric, cached numeric, written numeric, output numeric, reasoning numeric)
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    SELECT date_trunc('hour', e.reserved_at, 'UTC'), e.facts, count(*), sum(e.cost_nanousd), 0,
        sum(e.overrun_nanousd), sum(e.input_tokens), sum(e.cached_input_tokens),
        sum(e.cache_write_tokens), sum(e.output_tokens), sum(e.reasoning_tokens)
    FROM spend_events e
    WHERE e.org_id = p_org AND e.batch_id > p_after AND e.batch_id <= p_upto
        AND e.outcome = 'posted'
    GROUP BY 1, 2
    UNION ALL
    SELECT date_trunc('hour', coalesce(e.reserved_at, d.booked_at), 'UTC'),
        coalesce(e.facts, jsonb_build_object(
            'label:cost_center', jsonb_build_array(substr(d.expense, length('expense:') + 1)),
            'provider', jsonb_build_array(substr(d.payable, length('payable:') + 1)))),
        0, 0, sum(d.amount_nanousd), 0, 0, 0, 0, 0, 0
    FROM adjustments d
    LEFT JOIN spend_events e ON e.org_id = d.org_id AND e.reservation_id = d.reservation_id
    WHERE d.org_id = p_org AND d.batch_id > p_after AND d.batch_id <= p_upto
    GROUP BY 1, 2
$$;

-- Adds to the rollups what was booked up to a batch, p_most batches at a time: the batch up to
-- which everything is in afterwards, or null while another worker is at it. p_upto has to be such
-- that nothing can be booked at or below it any more; p_at: when it was so.
CREATE FUNCTION spendra.roll_up(p_org text, p_upto bigint, p_most bigint, p_at timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, spendra AS $$
DECLARE
    mark bigint;
    upto bigint;
BEGIN
    INSERT INTO rollup_marks (org_id, batch_id) VALUES (p_org, 0) ON CONFLICT DO NOTHING;
    SELECT batch_id INTO mark FROM rollup_marks WHERE org_id = p_org FOR UPDATE SKIP LOCKED;
    IF mark IS NULL THEN
        RETURN NULL;
    END IF;
    upto := greatest(mark, least(p_upto, mark + p_most));
    WITH summed AS MATERIALIZED (
        SELECT g.grain, l.label, date_trunc(g.grain, b.hour, 'UTC') AS starts_at,
            md5(f.facts::text)::uuid AS facts_key, f.facts, sum(b.requests) AS requests,
            sum(b.cost) AS cost, sum(b.adjusted) AS adjusted, sum(b.overrun) AS overrun,
            sum(b.input) AS input, sum(b.cached) AS cached, sum(b.written) AS written,
            sum(b.output) AS output, sum(b.reasoning) AS reasoning
        FROM booked_between(p_org, mark, upto) b
        CROSS JOIN (VALUES ('hour'), ('day')) AS g (grain)
        CROSS JOIN LATERAL (
            SELECT '' UNION ALL
            SELECT key FROM jsonb_object_keys(b.facts) AS key WHERE starts_with(key, 'label:')
        ) AS l (label)
        CROSS JOIN LATERAL (
            SELECT rolled_facts(b.facts) || CASE WHEN l.label = '' THEN '{}'::jsonb
                ELSE jsonb_build_object(l.label, b.facts -> l.label) END
        ) AS f (facts)
        GROUP BY 1, 2, 3, f.facts
    ), named AS (
        INSERT INTO spend_facts
        SELECT DISTINCT p_org, label, facts_key, facts FROM summed
        ON CONFLICT DO NOTHING
    )
    INSERT INTO spend_rollups AS r
    SELECT p_org, grain, label, starts_at, facts_key, requests, cost, adjusted, overrun, input,
        cached, written, output, reasoning
    FROM summed
    ON CONFLICT (org_id, grain, label, starts_at, facts_key) DO UPDATE SET
        requests = r.requests + EXCLUDED.requests,
        cost_nanousd = r.cost_nanousd + EXCLUDED.cost_nanousd,
        adjusted_nanousd = r.adjusted_nanousd + EXCLUDED.adjusted_nanousd,
        overrun_nanousd = r.overrun_nanousd + EXCLUDED.overrun_nanousd,
        input_tokens = r.input_tokens + EXCLUDED.input_tokens,
        cached_input_tokens = r.cached_input_tokens + EXCLUDED.cached_input_tokens,
        cache_write_tokens = r.cache_write_tokens + EXCLUDED.cache_write_tokens,
        output_tokens = r.output_tokens + EXCLUDED.output_tokens,
        reasoning_tokens = r.reasoning_tokens + EXCLUDED.reasoning_tokens;
    INSERT INTO account_hours AS h
    SELECT p_org, a.id, date_trunc('hour', e.reserved_at, 'UTC'), sum(e.cost_nanousd)
    FROM spend_events e CROSS JOIN LATERAL unnest(e.account_ids) AS a (id)
    WHERE e.org_id = p_org AND e.batch_id > mark AND e.batch_id <= upto AND e.outcome = 'posted'
    GROUP BY 2, 3
    ON CONFLICT (org_id, account_id, starts_at) DO UPDATE SET
        cost_nanousd = h.cost_nanousd + EXCLUDED.cost_nanousd;
    UPDATE rollup_marks
    SET batch_id = upto, whole_at = CASE WHEN upto >= p_upto THEN p_at ELSE whole_at END
    WHERE org_id = p_org;
    RETURN upto;
END $$;

-- The sums of a span for each combination that a selector and a reach let through. The span: whole
-- days from p_days[1] to p_days[2], and hours before and after them (p_hours[1] to [2], [3] to [4]).
CREATE FUNCTION spendra.spent(
    p_org text, p_label text, p_days timestamptz[], p_hours timestamptz[], p_selector jsonb,
    p_reach jsonb
) RETURNS TABLE (
    facts jsonb, requests numeric, cost numeric, adjusted numeric, overrun numeric, input numeric,
    cached numeric, written numeric, output numeric, reasoning numeric)
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    WITH summed AS (
        SELECT r.facts_key, sum(r.requests) AS requests, sum(r.cost_nanousd) AS cost,
            sum(r.adjusted_nanousd) AS adjusted, sum(r.overrun_nanousd) AS overrun,
            sum(r.input_tokens) AS input, sum(r.cached_input_tokens) AS cached,
            sum(r.cache_write_tokens) AS written, sum(r.output_tokens) AS output,
            sum(r.reasoning_tokens) AS reasoning
        FROM (
            SELECT * FROM spend_rollups
            WHERE org_id = p_org AND label = p_label AND grain = 'day'
                AND starts_at >= p_days[1] AND starts_at < p_days[2]
            UNION ALL
            SELECT * FROM spend_rollups
            WHERE org_id = p_org AND label = p_label AND grain = 'hour'
                AND starts_at >= p_hours[1] AND starts_at < p_hours[2]
            UNION ALL
            SELECT * FROM spend_rollups
            WHERE org_id = p_org AND label = p_label AND grain = 'hour'
                AND starts_at >= p_hours[3] AND starts_at < p_hours[4]
        ) AS r
        GROUP BY r.facts_key
    )
    SELECT f.facts, s.requests, s.cost, s.adjusted, s.overrun, s.input, s.cached, s.written,
        s.output, s.reasoning
    FROM summed s
    JOIN spend_facts f ON f.org_id = p_org AND f.label = p_label AND f.facts_key = s.facts_key
    WHERE (p_selector = '{}' OR selects(p_selector, f.facts)) AND is_within(p_reach, f.facts)
$$;

CREATE INDEX accounts_by_budget ON spendra.accounts (org_id, budget_id, window_start);

REVOKE ALL ON FUNCTION spendra.rolled_facts, spendra.booked_between, spendra.roll_up, spendra.spent
    FROM PUBLIC;
