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
CREATE INDEX spend_facts_by_fact ON spendra.spend_facts USING gin (facts jsonb_path_ops);

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
    PRIMARY KEY (org_id, grain, label, facts_key, starts_at)
);
CREATE INDEX spend_rollups_overrun ON spendra.spend_rollups (org_id, starts_at)
    WHERE overrun_nanousd > 0;

-- What each value of each dimension came to, and all together (an empty dimension and value): most
-- questions are about one dimension, and there are few values beside the combinations. A null value
-- is what names none; labels have no such row.
CREATE TABLE spendra.spend_totals (
    org_id               text NOT NULL,
    grain                text NOT NULL CHECK (grain IN ('hour', 'day')),
    dimension            text NOT NULL,
    value                text,
    starts_at            timestamptz NOT NULL,
    requests             bigint NOT NULL,
    cost_nanousd         bigint NOT NULL,
    adjusted_nanousd     bigint NOT NULL,
    overrun_nanousd      bigint NOT NULL,
    input_tokens         bigint NOT NULL,
    cached_input_tokens  bigint NOT NULL,
    cache_write_tokens   bigint NOT NULL,
    output_tokens        bigint NOT NULL,
    reasoning_tokens     bigint NOT NULL
);
CREATE UNIQUE INDEX spend_totals_by_value
    ON spendra.spend_totals (org_id, grain, dimension, value, starts_at) NULLS NOT DISTINCT;
CREATE INDEX spend_totals_by_time ON spendra.spend_totals (org_id, grain, dimension, starts_at);

-- What was spent of a budget's window in an hour (UTC), without adjustments.
CREATE TABLE spendra.account_hours (
    org_id        text NOT NULL,
    account_id    text NOT NULL,
    starts_at     timestamptz NOT NULL,
    cost_nanousd  bigint NOT NULL,
    PRIMARY KEY (org_id, account_id, starts_at)
);

-- Labels that are summed up: the first 200 names, until one turns out to name more things than sums
-- are good for (`ended_at`). Of the others nothing is in any rollup.
CREATE TABLE spendra.rolled_labels (
    org_id    text NOT NULL,
    label     text NOT NULL, -- such as `label:feature`
    ended_at  timestamptz,
    PRIMARY KEY (org_id, label)
);
CREATE TABLE spendra.label_values (
    org_id  text NOT NULL,
    label   text NOT NULL,
    value   text NOT NULL,
    PRIMARY KEY (org_id, label, value)
);

-- Whether what has a label is in the rollups under it; true of one that was never seen.
CREATE FUNCTION spendra.is_rolled_up(p_org text, p_label text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    SELECT coalesce(
        (SELECT ended_at IS NULL FROM rolled_labels WHERE org_id = p_org AND label = p_label),
        (SELECT count(*) < 200 FROM rolled_labels WHERE org_id = p_org))
$$;

-- Up to which batch an organization's bookings are in, and when nothing was missing.
CREATE TABLE spendra.rollup_marks (
    org_id    text PRIMARY KEY,
    batch_id  bigint NOT NULL,
    whole_at  timestamptz
);

-- What a rollup keeps of an event's facts.
CREATE FUNCTION spendra.rolled_facts(p_facts jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (p_facts - ARRAY(
            SELECT key FROM jsonb_object_keys(p_facts) AS key
            WHERE key = 'run' OR starts_with(key, 'label:')))
        || jsonb_build_object('cost_center', jsonb_build_array(spendra.cost_center(p_facts)))
$$;

-- What was booked in (p_after, p_upto]: events where they were reserved, and adjustments where what
-- they correct was; those of an account when they were booked. What was voided is there with zeros:
-- an hour that has a value in its totals is one that has events with it.
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
    SELECT DISTINCT date_trunc('hour', e.reserved_at, 'UTC'), e.facts, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM spend_events e
    WHERE e.org_id = p_org AND e.batch_id > p_after AND e.batch_id <= p_upto
        AND e.outcome = 'voided'
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

-- The dimensions that facts name, with each value; the empty one; null for what they leave out.
CREATE FUNCTION spendra.named_values(p_facts jsonb) RETURNS TABLE (dimension text, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '', '' UNION ALL
    SELECT d.dimension, v.value
    FROM (
        SELECT unnest(ARRAY['team', 'project', 'person', 'agent', 'cost_center', 'tier', 'key',
                            'environment', 'provider', 'model']) AS dimension
        UNION ALL
        SELECT key FROM jsonb_object_keys(p_facts) AS key WHERE starts_with(key, 'label:')
    ) AS d
    LEFT JOIN LATERAL (
        SELECT DISTINCT jsonb_array_elements_text(CASE d.dimension
            WHEN 'cost_center' THEN jsonb_build_array(spendra.cost_center(p_facts))
            ELSE p_facts -> d.dimension END) AS value
    ) AS v ON true
$$;

-- Adds to the rollups what was booked up to a batch, p_most batches at a time: the batch up to
-- which everything is in afterwards, or null while another worker is at it. p_upto has to be such
-- that nothing can be booked at or below it any more; p_at: when it was so; p_values: how many values
-- a label may have that is summed up.
CREATE FUNCTION spendra.roll_up(
    p_org text, p_upto bigint, p_most bigint, p_at timestamptz, p_values bigint
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, spendra AS $$
DECLARE
    mark bigint;
    upto bigint;
    endless text;
BEGIN
    INSERT INTO rollup_marks (org_id, batch_id) VALUES (p_org, 0) ON CONFLICT DO NOTHING;
    SELECT batch_id INTO mark FROM rollup_marks WHERE org_id = p_org FOR UPDATE SKIP LOCKED;
    IF mark IS NULL THEN
        RETURN NULL;
    END IF;
    upto := greatest(mark, least(p_upto, mark + p_most));
    -- What rollups keep of the facts is found out once for all bookings that have the same.
    WITH every AS MATERIALIZED (
        SELECT * FROM booked_between(p_org, mark, upto)
    ), labels AS MATERIALIZED (
        SELECT DISTINCT key AS label
        FROM (SELECT DISTINCT facts FROM every) AS f CROSS JOIN LATERAL jsonb_object_keys(f.facts) AS key
        WHERE starts_with(key, 'label:')
    ), added AS (
        INSERT INTO rolled_labels (org_id, label)
        SELECT p_org, l.label FROM labels l
        WHERE NOT EXISTS (
            SELECT FROM rolled_labels k WHERE k.org_id = p_org AND k.label = l.label)
        ORDER BY l.label
        LIMIT greatest(0, 200 - (SELECT count(*) FROM rolled_labels WHERE org_id = p_org))
        RETURNING label
    ), booked AS MATERIALIZED (
        SELECT hour, facts - ARRAY(
                SELECT label FROM labels
                EXCEPT SELECT label FROM added
                EXCEPT SELECT label FROM rolled_labels WHERE org_id = p_org AND ended_at IS NULL
            ) AS facts,
            requests, cost, adjusted, overrun, input, cached, written, output, reasoning
        FROM every
    ), valued AS MATERIALIZED (
        SELECT f.facts AS booked_facts, v.dimension, v.value
        FROM (SELECT DISTINCT facts FROM booked) AS f CROSS JOIN LATERAL named_values(f.facts) AS v
    ), counted AS (
        INSERT INTO label_values
        SELECT DISTINCT p_org, dimension, value FROM valued WHERE starts_with(dimension, 'label:')
        ON CONFLICT DO NOTHING
    ), totals AS (
        INSERT INTO spend_totals AS r
        SELECT p_org, g.grain, v.dimension, v.value, date_trunc(g.grain, b.hour, 'UTC'),
            sum(b.requests), sum(b.cost), sum(b.adjusted), sum(b.overrun), sum(b.input),
            sum(b.cached), sum(b.written), sum(b.output), sum(b.reasoning)
        FROM booked b JOIN valued v ON v.booked_facts = b.facts
        CROSS JOIN (VALUES ('hour'), ('day')) AS g (grain)
        GROUP BY 2, 3, 4, 5
        ON CONFLICT (org_id, grain, dimension, value, starts_at) DO UPDATE SET
            requests = r.requests + EXCLUDED.requests,
            cost_nanousd = r.cost_nanousd + EXCLUDED.cost_nanousd,
            adjusted_nanousd = r.adjusted_nanousd + EXCLUDED.adjusted_nanousd,
            overrun_nanousd = r.overrun_nanousd + EXCLUDED.overrun_nanousd,
            input_tokens = r.input_tokens + EXCLUDED.input_tokens,
            cached_input_tokens = r.cached_input_tokens + EXCLUDED.cached_input_tokens,
            cache_write_tokens = r.cache_write_tokens + EXCLUDED.cache_write_tokens,
            output_tokens = r.output_tokens + EXCLUDED.output_tokens,
            reasoning_tokens = r.reasoning_tokens + EXCLUDED.reasoning_tokens
    ), named AS MATERIALIZED (
        SELECT f.facts AS booked_facts, l.label, md5(r.facts::text)::uuid AS facts_key, r.facts
        FROM (SELECT DISTINCT facts FROM booked) AS f
        CROSS JOIN LATERAL (
            SELECT '' UNION ALL
            SELECT key FROM jsonb_object_keys(f.facts) AS key WHERE starts_with(key, 'label:')
        ) AS l (label)
        CROSS JOIN LATERAL (
            SELECT rolled_facts(f.facts) || CASE WHEN l.label = '' THEN '{}'::jsonb
                ELSE jsonb_build_object(l.label, f.facts -> l.label) END
        ) AS r (facts)
    ), summed AS (
        SELECT g.grain, n.label, date_trunc(g.grain, b.hour, 'UTC') AS starts_at, n.facts_key,
            sum(b.requests) AS requests, sum(b.cost) AS cost, sum(b.adjusted) AS adjusted,
            sum(b.overrun) AS overrun, sum(b.input) AS input, sum(b.cached) AS cached,
            sum(b.written) AS written, sum(b.output) AS output, sum(b.reasoning) AS reasoning
        FROM booked b JOIN named n ON n.booked_facts = b.facts
        CROSS JOIN (VALUES ('hour'), ('day')) AS g (grain)
        GROUP BY 1, 2, 3, 4
    ), kept AS (
        INSERT INTO spend_facts
        SELECT DISTINCT ON (label, facts_key) p_org, label, facts_key, facts FROM named
        ON CONFLICT DO NOTHING
    )
    INSERT INTO spend_rollups AS r
    SELECT p_org, grain, label, starts_at, facts_key, requests, cost, adjusted, overrun, input,
        cached, written, output, reasoning
    FROM summed
    ON CONFLICT (org_id, grain, label, facts_key, starts_at) DO UPDATE SET
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
    -- What names this many things is no few of anything.
    FOR endless IN
        SELECT label FROM label_values WHERE org_id = p_org
        GROUP BY label HAVING count(*) > p_values
    LOOP
        UPDATE rolled_labels SET ended_at = now() WHERE org_id = p_org AND label = endless;
        DELETE FROM label_values WHERE org_id = p_org AND label = endless;
        DELETE FROM spend_totals WHERE org_id = p_org AND dimension = endless;
        DELETE FROM spend_rollups WHERE org_id = p_org AND label = endless;
        DELETE FROM spend_facts WHERE org_id = p_org AND label = endless;
    END LOOP;
    UPDATE rollup_marks
    SET batch_id = upto, whole_at = CASE WHEN upto >= p_upto THEN p_at ELSE whole_at END
    WHERE org_id = p_org;
    RETURN upto;
END $$;

-- The lists of a selector that hold one exact value: what has them contains them.
CREATE FUNCTION spendra.exact_part(p_selector jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(p_selector)
    WHERE jsonb_array_length(value) = 1 AND key <> 'model'
$$;

-- The rows of a span for each combination that a selector and a reach let through. The span: whole
-- days from p_days[1] to p_days[2], and hours before and after them (p_hours[1] to [2], [3] to [4]).
CREATE FUNCTION spendra.spent(
    p_org text, p_label text, p_days timestamptz[], p_hours timestamptz[], p_selector jsonb,
    p_reach jsonb
) RETURNS TABLE (
    facts jsonb, starts_at timestamptz, requests bigint, cost_nanousd bigint,
    adjusted_nanousd bigint, overrun_nanousd bigint, input_tokens bigint,
    cached_input_tokens bigint, cache_write_tokens bigint, output_tokens bigint,
    reasoning_tokens bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    WITH let_through AS MATERIALIZED (
        SELECT f.facts_key, f.facts FROM spend_facts f
        WHERE f.org_id = p_org AND f.label = p_label AND f.facts @> exact_part(p_selector)
            AND (p_selector = '{}' OR selects(p_selector, f.facts))
            AND (p_reach IS NULL OR is_within(p_reach, f.facts))
    )
    SELECT f.facts, r.starts_at, r.requests, r.cost_nanousd, r.adjusted_nanousd, r.overrun_nanousd,
        r.input_tokens, r.cached_input_tokens, r.cache_write_tokens, r.output_tokens,
        r.reasoning_tokens
    FROM (VALUES ('day', p_days[1], p_days[2]), ('hour', p_hours[1], p_hours[2]),
                 ('hour', p_hours[3], p_hours[4])) AS span (grain, first, last)
    CROSS JOIN let_through f
    JOIN spend_rollups r ON r.org_id = p_org AND r.grain = span.grain AND r.label = p_label
        AND r.facts_key = f.facts_key AND r.starts_at >= span.first AND r.starts_at < span.last
$$;

-- As `spent`, for each value of one dimension.
CREATE FUNCTION spendra.spent_on(
    p_org text, p_dimension text, p_days timestamptz[], p_hours timestamptz[]
) RETURNS SETOF spendra.spend_totals
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    SELECT r.* FROM spend_totals r
    JOIN (VALUES ('day', p_days[1], p_days[2]), ('hour', p_hours[1], p_hours[2]),
                 ('hour', p_hours[3], p_hours[4])) AS span (grain, first, last)
        ON r.grain = span.grain AND r.starts_at >= span.first AND r.starts_at < span.last
    WHERE r.org_id = p_org AND r.dimension = p_dimension
$$;

-- The hour of a key's last event, as far as they are summed up.
CREATE FUNCTION spendra.key_last_used(p_org text, p_key text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT max(starts_at) FROM spendra.spend_totals
    WHERE org_id = p_org AND grain = 'hour' AND dimension = 'key' AND value = p_key
$$;

CREATE INDEX accounts_by_budget ON spendra.accounts (org_id, budget_id, window_start);

REVOKE ALL ON FUNCTION spendra.is_rolled_up, spendra.rolled_facts, spendra.named_values, spendra.booked_between,
    spendra.roll_up, spendra.exact_part, spendra.spent, spendra.spent_on,
    spendra.key_last_used FROM PUBLIC;
