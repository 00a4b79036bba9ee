-- What sidecars and the worker may do to the ledger. Every function is the whole of one
-- transaction's work, so that a pooler in transaction mode serves.

-- Functions with rights of their own act for the organization that they are told: inside a
-- tenant's session that must be the tenant's.
CREATE FUNCTION spendra.require_own(p_org text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_org IS DISTINCT FROM
        coalesce(nullif(current_setting('spendra.org_id', true), ''), p_org)
    THEN
        RAISE EXCEPTION 'organization % is not the one of this session', p_org
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

CREATE FUNCTION spendra.ledger_lock(p_org text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended('spendra ledger ' || p_org, 0);

CREATE FUNCTION spendra.current_generation(p_org text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra
RETURN (SELECT generation FROM spendra.generations WHERE org_id = p_org);

-- How long an idempotency key is remembered (`spendra.balances.CLAIM_SECONDS`).
CREATE FUNCTION spendra.claim_retention() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '24 hours';

-- How a decision stands: `in_flight`, `posted`, or `free` when nothing was done for it: voided,
-- given up, or refused by the provider.
CREATE FUNCTION spendra.decision_state(
    p_org text, p_decision uuid, OUT state text, OUT cost_nanousd bigint
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM reservations r
                     WHERE r.org_id = p_org AND r.decision_id = p_decision) THEN 'in_flight'
        WHEN e.done > 0 THEN 'posted'
        WHEN e.ended > 0 OR EXISTS (SELECT FROM tombstones t
                     WHERE t.org_id = p_org AND t.reservation_id = p_decision) THEN 'free'
        ELSE 'in_flight' END,
        e.cost
    FROM (SELECT count(*) AS ended, COALESCE(sum(s.cost_nanousd), 0)::bigint AS cost,
                 count(*) FILTER (WHERE s.outcome = 'posted' AND s.reason <> 'upstream_error') AS done
          FROM spend_events s WHERE s.org_id = p_org AND s.decision_id = p_decision) e
$$;

-- Who has an idempotency key; no row when nobody has.
CREATE FUNCTION spendra.claim_holder(p_org text, p_key text)
RETURNS TABLE (decision_id uuid, body_digest text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT k.decision_id, k.body_digest FROM idempotency_keys k
    WHERE k.org_id = p_org AND k.key_digest = p_key
$$;

-- Takes idempotency keys for decisions, where they are free, and returns the decisions that have
-- theirs. Arrays run in step.
CREATE FUNCTION spendra.claim(p_org text, p_decision uuid[], p_key text[], p_body text[])
RETURNS uuid[] LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    WITH given AS (
        SELECT DISTINCT ON (c.key) c.* FROM unnest(p_decision, p_key, p_body) AS c(decision, key, body)
        WHERE c.key <> '' ORDER BY c.key, c.decision
    ), claimed AS (
        INSERT INTO idempotency_keys AS k (org_id, key_digest, body_digest, decision_id)
        SELECT p_org, g.key, g.body, g.decision FROM given g ORDER BY g.key
        ON CONFLICT (org_id, key_digest) DO UPDATE
            SET body_digest = EXCLUDED.body_digest, decision_id = EXCLUDED.decision_id,
                claimed_at = now()
            WHERE k.decision_id = EXCLUDED.decision_id
               OR k.claimed_at < now() - claim_retention()
               OR (SELECT d.state FROM decision_state(p_org, k.decision_id) d) = 'free'
        RETURNING k.decision_id
    ) SELECT COALESCE(array_agg(decision_id), '{}') FROM claimed
$$;

CREATE FUNCTION spendra.forget_claims(p_org text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    WITH gone AS (
        DELETE FROM idempotency_keys
        WHERE org_id = p_org AND claimed_at < now() - claim_retention() RETURNING 1
    ) SELECT count(*) FROM gone
$$;

-- Makes a group of reservations durable and returns the current generation; when that is not
-- p_generation, nothing was written. `unwritten`: those that must not leave, because they were
-- given up, their idempotency key is another's, or (all of them) spending is stopped.
-- Arrays run in step; p_accounts holds ids joined by ','.
CREATE FUNCTION spendra.reserve(
    p_org text, p_generation text, p_sidecar text, p_incarnation text, p_policy_version bigint[],
    p_reservation uuid[], p_decision uuid[], p_attempt smallint[], p_reserved_at timestamptz[],
    p_reserved bigint[], p_estimated bigint[], p_accounts text[], p_provider text[],
    p_model text[], p_price_version text[], p_facts text[], p_slots text[],
    p_retry_count smallint[], p_retry_of uuid[], p_key text[], p_body text[],
    OUT generation text, OUT is_frozen boolean, OUT unwritten uuid[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
#variable_conflict use_column
DECLARE
    batch bigint;
    held bigint;
    mine uuid[];
    written uuid[];
    ended uuid[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(ledger_lock(p_org));
    SELECT g.generation, o.frozen_at IS NOT NULL INTO generation, is_frozen
    FROM generations g JOIN organizations o ON o.id = g.org_id WHERE g.org_id = p_org;
    IF generation IS DISTINCT FROM p_generation THEN
        RETURN;
    END IF;
    IF is_frozen THEN
        unwritten := p_reservation;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM unnest(p_key) AS k(key) WHERE k.key <> '') THEN
        mine := claim(p_org, p_decision, p_key, p_body);
    END IF;
    -- Repeats of what has ended. A range of times, so that other months' partitions are not opened.
    ended := ARRAY(
        SELECT e.reservation_id FROM spend_events e
        WHERE e.org_id = p_org AND e.reservation_id = ANY (p_reservation)
          AND e.reserved_at BETWEEN (SELECT min(t) FROM unnest(p_reserved_at) t)
                                AND (SELECT max(t) FROM unnest(p_reserved_at) t));
    WITH written AS (
        INSERT INTO reservations (
            org_id, reservation_id, decision_id, attempt, sidecar_id, incarnation, generation,
            reserved_at, reserved_nanousd, estimated_nanousd, account_ids, provider, requested_model,
            policy_version, price_version, facts, slots, retry_count, retry_of)
        SELECT p_org, r.id, r.decision, r.attempt, p_sidecar, p_incarnation, p_generation, r.at, r.reserved,
               r.estimated, string_to_array(r.accounts, ','), r.provider, r.model,
               r.policy_version, r.price_version, r.facts::jsonb, r.slots, r.retry_count, r.retry_of
        FROM unnest(p_reservation, p_decision, p_attempt, p_reserved_at, p_reserved, p_estimated,
                    p_accounts, p_provider, p_model, p_policy_version, p_price_version, p_facts,
                    p_slots, p_retry_count, p_retry_of, p_key)
          AS r(id, decision, attempt, at, reserved, estimated, accounts, provider, model,
               policy_version, price_version, facts, slots, retry_count, retry_of, key)
        WHERE (r.key = '' OR r.decision = ANY (mine)) AND NOT EXISTS (
            SELECT FROM tombstones t WHERE t.org_id = p_org AND t.reservation_id = r.id)
          AND r.id <> ALL (ended)
        ON CONFLICT DO NOTHING
        RETURNING reservation_id, reserved_nanousd
    ) SELECT sum(reserved_nanousd), array_agg(reservation_id) INTO held, written FROM written;
    IF cardinality(written) IS DISTINCT FROM cardinality(p_reservation) THEN
        unwritten := ARRAY(
            SELECT w.id FROM unnest(p_reservation) AS w(id) WHERE w.id NOT IN (
                SELECT r.reservation_id FROM reservations r
                WHERE r.org_id = p_org AND r.reservation_id = ANY (p_reservation)));
    END IF;
    IF held IS NOT NULL THEN
        batch := nextval('spendra.batches');
        INSERT INTO ledger_entries (org_id, batch_id, kind, account, amount_nanousd)
        VALUES (p_org, batch, 'hold', 'encumbrance:held', held),
               (p_org, batch, 'hold', 'encumbrance:control', -held);
    END IF;
END $$;

-- Makes an extension durable, once by its number; the hold is this much larger afterwards. When
-- the generation returned is not p_generation, nothing was written. Not extended: it has ended,
-- is lost, or an extension before this one is missing.
CREATE FUNCTION spendra.extend(
    p_org text, p_generation text, p_reservation uuid, p_number smallint, p_additional bigint,
    OUT generation text, OUT extended boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
#variable_conflict use_column
DECLARE
    batch bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(ledger_lock(p_org));
    SELECT g.generation INTO generation FROM generations g WHERE g.org_id = p_org;
    IF generation IS DISTINCT FROM p_generation THEN
        RETURN;
    END IF;
    UPDATE reservations r
    SET reserved_nanousd = r.reserved_nanousd + p_additional, extensions = p_number
    WHERE r.org_id = p_org AND r.reservation_id = p_reservation AND r.state = 'reserved'
      AND r.extensions = p_number - 1;
    IF FOUND THEN
        batch := nextval('spendra.batches');
        INSERT INTO ledger_entries (org_id, batch_id, kind, account, amount_nanousd)
        VALUES (p_org, batch, 'hold', 'encumbrance:held', p_additional),
               (p_org, batch, 'hold', 'encumbrance:control', -p_additional);
    END IF;
    extended := EXISTS (
        SELECT FROM reservations r
        WHERE r.org_id = p_org AND r.reservation_id = p_reservation AND r.state = 'reserved'
          AND r.extensions >= p_number);
END $$;

-- Reasons under which a lost reservation is ended before anything is known of it.
CREATE FUNCTION spendra.ended_without_evidence(p_reason text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_reason IN ('lost', 'lost_released', 'lost_estimated', 'released_by_hand', 'posted_by_hand');

-- Ends a group of reservations, each once: the first outcome stays and is what repeats return.
-- What comes for a lost one after its end is kept as evidence, for `book_evidence`.
-- `outcome` is `unknown` for an id that never became durable.
CREATE FUNCTION spendra.settle(
    p_org text, p_reservation uuid[], p_outcome text[], p_reason text[], p_cost bigint[],
    p_model text[], p_status smallint[], p_confidence text[], p_input bigint[],
    p_cached_input bigint[], p_cache_write bigint[], p_output bigint[], p_reasoning bigint[],
    p_price_version text[]
) RETURNS TABLE (reservation_id uuid, outcome text, cost_nanousd bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
#variable_conflict use_column
DECLARE
    batch bigint := nextval('spendra.batches');
    ended bigint;
BEGIN
    RETURN QUERY
    WITH given AS (
        SELECT DISTINCT ON (g.id) g.*
        FROM unnest(p_reservation, p_outcome, p_reason, p_cost, p_model, p_status, p_confidence,
                    p_input, p_cached_input, p_cache_write, p_output, p_reasoning,
                    p_price_version)
          AS g(id, outcome, reason, cost, model, status, confidence, input, cached_input,
               cache_write, output, reasoning, price_version)
    ), closed AS (
        DELETE FROM reservations r USING given g
        WHERE r.org_id = p_org AND r.reservation_id = g.id
        RETURNING r.*
    ), event AS (
        INSERT INTO spend_events (
            org_id, reserved_at, reservation_id, decision_id, attempt, sidecar_id, outcome, reason,
            reserved_nanousd, estimated_nanousd, cost_nanousd, account_ids, provider,
            requested_model, model, upstream_status, usage_confidence, input_tokens,
            cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
            policy_version, price_version, facts, retry_count, retry_of, batch_id)
        SELECT c.org_id, c.reserved_at, c.reservation_id, c.decision_id, c.attempt, c.sidecar_id,
               g.outcome, g.reason, c.reserved_nanousd, c.estimated_nanousd,
               CASE g.outcome WHEN 'posted' THEN g.cost ELSE 0 END, c.account_ids, c.provider,
               c.requested_model, g.model, g.status, g.confidence, g.input, g.cached_input,
               g.cache_write, g.output, g.reasoning, c.policy_version,
               COALESCE(NULLIF(g.price_version, ''), c.price_version), c.facts, c.retry_count,
               c.retry_of, batch
        FROM closed c JOIN given g ON g.id = c.reservation_id
        RETURNING *
    ), spend AS (
        INSERT INTO ledger_entries (
            org_id, batch_id, kind, account, amount_nanousd, decision_id, reservation_id,
            reserved_at)
        SELECT p_org, batch, 'spend', side.account, side.amount, e.decision_id, e.reservation_id,
               e.reserved_at
        FROM event e CROSS JOIN LATERAL (VALUES
            ('expense:' || COALESCE(e.facts #>> '{cost_center,0}',
                                    e.facts #>> '{label:cost_center,0}', e.facts #>> '{project,0}',
                                    e.facts #>> '{team,0}', 'unassigned'), e.cost_nanousd),
            ('payable:' || e.provider, -e.cost_nanousd)) AS side(account, amount)
        WHERE e.outcome = 'posted'
    ), released AS (
        INSERT INTO ledger_entries (org_id, batch_id, kind, account, amount_nanousd)
        SELECT p_org, batch, 'release', side.account, side.amount
        FROM (SELECT sum(e.reserved_nanousd)::bigint AS held FROM event e) total
        CROSS JOIN LATERAL (VALUES ('encumbrance:held', -total.held),
                                   ('encumbrance:control', total.held)) AS side(account, amount)
        WHERE total.held IS NOT NULL
    ), moved AS (
        INSERT INTO account_movements (org_id, account_id, batch_id, settled_nanousd, events)
        SELECT p_org, a.id, batch, sum(e.cost_nanousd), count(*)
        FROM event e CROSS JOIN LATERAL unnest(e.account_ids) AS a(id)
        WHERE e.outcome = 'posted'
        GROUP BY a.id
    )
    SELECT e.reservation_id, e.outcome, e.cost_nanousd FROM event e;
    GET DIAGNOSTICS ended = ROW_COUNT;
    IF ended = cardinality(p_reservation) THEN
        RETURN;
    END IF;
    -- Repeats and unknown ones. Rare, and worth a look into every month's partition.
    RETURN QUERY
    WITH missed AS (
        SELECT DISTINCT ON (g.id) g.*, old.outcome AS first_outcome, old.reason AS first_reason,
               old.cost_nanousd AS first_cost
        FROM unnest(p_reservation, p_outcome, p_reason, p_cost, p_confidence)
          AS g(id, outcome, reason, cost, confidence)
        LEFT JOIN spend_events old ON old.org_id = p_org AND old.reservation_id = g.id
        WHERE old.batch_id IS DISTINCT FROM batch
    ), late AS (
        INSERT INTO late_evidence (
            org_id, reservation_id, outcome, reason, cost_nanousd, usage_confidence)
        SELECT p_org, m.id, m.outcome, m.reason,
               CASE m.outcome WHEN 'posted' THEN m.cost ELSE 0 END, m.confidence
        FROM missed m
        WHERE m.first_reason IS NULL OR ended_without_evidence(m.first_reason)
        ON CONFLICT DO NOTHING
    )
    SELECT m.id, COALESCE(m.first_outcome, 'unknown'), m.first_cost FROM missed m;
END $$;

-- Gives up a reservation whose durable write was not confirmed. Waits for writes under way, so
-- that afterwards it either is ended or can never become durable. Only before dispatch. Returns
-- its outcome: not `voided` when it was lost and posted meanwhile.
CREATE FUNCTION spendra.give_up(p_org text, p_reservation uuid, p_reason text)
RETURNS TABLE (outcome text, cost_nanousd bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    INSERT INTO tombstones (org_id, reservation_id) VALUES (p_org, p_reservation)
    ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT s.outcome, s.cost_nanousd FROM settle(
        p_org, ARRAY[p_reservation], ARRAY['voided'], ARRAY[p_reason], ARRAY[0::bigint],
        ARRAY[''], ARRAY[NULL::smallint], ARRAY['none'], ARRAY[0::bigint], ARRAY[0::bigint],
        ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[0::bigint], ARRAY['']) s;
END $$;

-- Settled and held of accounts, from one consistent view.
CREATE FUNCTION spendra.account_totals(p_org text, p_accounts text[])
RETURNS TABLE (account_id text, settled_nanousd bigint, held_nanousd bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT a.account_id,
           a.opening_nanousd + a.settled_nanousd + COALESCE((
               SELECT sum(m.settled_nanousd) FROM account_movements m
               WHERE m.org_id = p_org AND m.account_id = a.account_id), 0)::bigint,
           COALESCE(h.held, 0)::bigint
    FROM accounts a
    LEFT JOIN (
        SELECT u.id, sum(r.reserved_nanousd) AS held
        FROM reservations r CROSS JOIN LATERAL unnest(r.account_ids) AS u(id)
        WHERE r.org_id = p_org GROUP BY u.id) h ON h.id = a.account_id
    WHERE a.org_id = p_org AND a.account_id = ANY (p_accounts)
        AND p_org = coalesce(nullif(current_setting('spendra.org_id', true), ''), p_org)
$$;

-- Whether a selector (dimension to accepted values) matches facts (dimension to values).
CREATE FUNCTION spendra.selects(p_selector jsonb, p_facts jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM jsonb_each(p_selector) AS wanted(dimension, accepted)
        WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements_text(wanted.accepted) AS v(value),
                        jsonb_array_elements_text(
                            COALESCE(p_facts -> wanted.dimension, '[]'::jsonb)) AS f(value)
            WHERE CASE WHEN wanted.dimension = 'model'
                  THEN f.value LIKE replace(replace(replace(replace(replace(
                           v.value, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
                  ELSE f.value = v.value END))
$$;

-- What was in flight when a budget was made, for its account that is not open yet. What another
-- budget set aside for when a store is away is no request.
CREATE FUNCTION spendra.joining(
    p_org text, p_account text[], p_budget text[], p_start timestamptz[], p_end timestamptz[]
) RETURNS TABLE (reservation_id uuid, account text)
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    SELECT r.reservation_id, w.account
    FROM unnest(p_account, p_budget, p_start, p_end) AS w(account, budget, starts, ends)
    JOIN budgets b ON b.org_id = p_org AND b.id = w.budget AND b.created_at > w.starts
    JOIN reservations r ON r.org_id = p_org AND selects(b.selector, r.facts)
     AND r.reserved_at >= w.starts AND r.reserved_at < w.ends
     AND (r.provider, r.requested_model) <> ('spendra', 'allowance')
    WHERE NOT EXISTS (
        SELECT FROM accounts a WHERE a.org_id = p_org AND a.account_id = w.account)
$$;

-- Opens the accounts of budgets in their windows and returns their totals, and the reservations
-- that count in them; or nothing when the generation is not current. A budget made in mid-window
-- starts from what the ledger shows, and what is in flight joins it.
CREATE FUNCTION spendra.open_accounts(
    p_org text, p_generation text, p_account text[], p_budget text[],
    p_start timestamptz[], p_end timestamptz[]
) RETURNS TABLE (
    account_id text, settled_nanousd bigint, held_nanousd bigint, reservations uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    IF (SELECT generation FROM generations WHERE org_id = p_org) IS DISTINCT FROM p_generation THEN
        RETURN;
    END IF;
    -- It waits for the rows: a settlement under way ends first, and is in the sum of the next
    -- statement; one that comes later finds the account.
    UPDATE reservations r SET account_ids = r.account_ids || found.accounts
    FROM (SELECT j.reservation_id, array_agg(j.account) AS accounts
          FROM joining(p_org, p_account, p_budget, p_start, p_end) j
          GROUP BY j.reservation_id) found
    WHERE r.org_id = p_org AND r.reservation_id = found.reservation_id;
    INSERT INTO accounts (
        org_id, account_id, budget_id, window_start, window_end, joined_nanousd, opening_nanousd)
    SELECT p_org, w.account, w.budget, w.starts, w.ends, COALESCE((
        SELECT sum(r.reserved_nanousd) FROM reservations r
        WHERE r.org_id = p_org AND w.account = ANY (r.account_ids)), 0), COALESCE((
        SELECT sum(e.cost_nanousd + COALESCE((
                   SELECT sum(d.amount_nanousd) FROM adjustments d
                   WHERE d.org_id = p_org AND d.reservation_id = e.reservation_id), 0))
        FROM spend_events e, budgets b
        WHERE b.org_id = p_org AND b.id = w.budget AND b.created_at > w.starts
          AND e.org_id = p_org AND e.outcome = 'posted'
          AND e.reserved_at >= w.starts AND e.reserved_at < w.ends
          AND selects(b.selector, e.facts)), 0)
    FROM unnest(p_account, p_budget, p_start, p_end) AS w(account, budget, starts, ends)
    ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT t.*, ARRAY(
        SELECT r.reservation_id FROM reservations r
        WHERE r.org_id = p_org AND t.account_id = ANY (r.account_ids))
    FROM account_totals(p_org, p_account) t;
END $$;

-- First step of a rebuild, under an exclusive lock held to the transaction's end: replaces the
-- generation when it still is p_expected, and returns the one that is then current.
CREATE FUNCTION spendra.raise_generation(
    p_org text, p_expected text, p_new text, p_by text
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    now_current text;
BEGIN
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    -- A process that stands still in the middle of a rebuild does not keep the lock from others.
    PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
    SELECT generation INTO now_current FROM generations WHERE org_id = p_org;
    IF now_current IS DISTINCT FROM p_expected THEN
        RETURN now_current;
    END IF;
    INSERT INTO generations (org_id, generation, raised_by) VALUES (p_org, p_new, p_by)
    ON CONFLICT (org_id) DO UPDATE
        SET generation = EXCLUDED.generation, raised_by = EXCLUDED.raised_by, raised_at = now();
    RETURN p_new;
END $$;

-- The open accounts of a rebuild: windows that have not ended.
CREATE FUNCTION spendra.live_totals(p_org text)
RETURNS TABLE (account_id text, settled_nanousd bigint, held_nanousd bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT t.* FROM account_totals(p_org, ARRAY(
        SELECT a.account_id FROM accounts a
        WHERE a.org_id = p_org AND a.window_end > now() - interval '1 hour')) t
$$;

-- The owner of a lost one is gone: it counts in no concurrency.
CREATE FUNCTION spendra.open_reservations(p_org text)
RETURNS TABLE (
    reservation_id uuid, reserved_nanousd bigint, reserved_at timestamptz, account_ids text[],
    extensions smallint, slots text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT reservation_id, reserved_nanousd, reserved_at, account_ids, extensions,
           CASE state WHEN 'lost' THEN '' ELSE slots END
    FROM reservations WHERE org_id = p_org
$$;

CREATE FUNCTION spendra.min_policy_version(p_org text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra
RETURN (SELECT min_version FROM spendra.organizations WHERE id = p_org);

CREATE FUNCTION spendra.is_frozen(p_org text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra
RETURN (SELECT frozen_at IS NOT NULL FROM spendra.organizations WHERE id = p_org);

-- Stops or resumes an organization's spending. Waits for a rebuild under way, which would write
-- what it read before.
CREATE FUNCTION spendra.freeze(p_org text, p_frozen boolean, p_reason text) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    since timestamptz;
BEGIN
    PERFORM require_own(p_org);
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    UPDATE organizations
    SET frozen_at = CASE WHEN p_frozen THEN COALESCE(frozen_at, now()) END,
        frozen_reason = CASE WHEN p_frozen THEN p_reason END
    WHERE id = p_org RETURNING frozen_at INTO since;
    RETURN since;
END $$;

CREATE FUNCTION spendra.record_refusals(
    p_org text, p_sidecar text, p_decision uuid[], p_at timestamptz[], p_status smallint[],
    p_reason text[], p_message text[], p_provider text[], p_model text[], p_estimated bigint[],
    p_wanted bigint[], p_accounts text[], p_policy_version bigint[], p_facts text[]
) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    INSERT INTO refusals (
        org_id, decision_id, refused_at, sidecar_id, status, reason, message, provider,
        requested_model, estimated_nanousd, wanted_nanousd, account_ids, policy_version, facts)
    SELECT p_org, r.id, r.at, p_sidecar, r.status, r.reason, r.message, r.provider, r.model,
           r.estimated, r.wanted, string_to_array(r.accounts, ','), r.policy_version,
           r.facts::jsonb
    FROM unnest(p_decision, p_at, p_status, p_reason, p_message, p_provider, p_model, p_estimated,
                p_wanted, p_accounts, p_policy_version, p_facts)
      AS r(id, at, status, reason, message, provider, model, estimated, wanted, accounts,
           policy_version, facts)
    ON CONFLICT DO NOTHING
$$;

-- Renews (or takes over, with a new incarnation) a sidecar's lease for so many seconds.
CREATE FUNCTION spendra.renew_lease(
    p_org text, p_sidecar text, p_incarnation text, p_seconds integer
) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    INSERT INTO sidecar_leases (org_id, sidecar_id, incarnation, expires_at, lease_s)
    VALUES (p_org, p_sidecar, p_incarnation, now() + make_interval(secs => p_seconds), p_seconds)
    ON CONFLICT (org_id, sidecar_id) DO UPDATE
        SET expires_at = EXCLUDED.expires_at, lease_s = EXCLUDED.lease_s, incarnation = EXCLUDED.incarnation, released = false,
            started_at = CASE WHEN sidecar_leases.incarnation = EXCLUDED.incarnation
                         THEN sidecar_leases.started_at ELSE now() END
$$;

CREATE FUNCTION spendra.release_lease(p_org text, p_sidecar text, p_incarnation text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    UPDATE sidecar_leases SET released = true, expires_at = now()
    WHERE org_id = p_org AND sidecar_id = p_sidecar AND incarnation = p_incarnation
$$;

-- Labels as lost what a sidecar left open: reservations of owners without a valid lease, or of an
-- earlier incarnation of the same sidecar.
CREATE FUNCTION spendra.label_lost(p_org text) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    WITH orphan AS (
        SELECT r.reservation_id
        FROM reservations r
        LEFT JOIN sidecar_leases l ON l.org_id = r.org_id AND l.sidecar_id = r.sidecar_id
        WHERE r.org_id = p_org AND r.state = 'reserved'
          AND (l.sidecar_id IS NULL OR l.expires_at < now()
               OR l.incarnation <> r.incarnation)
          -- What is pending does not need the sidecar that reserved it.
          AND NOT EXISTS (
              SELECT FROM pending p
              WHERE p.org_id = r.org_id AND p.reservation_id = r.reservation_id)
        FOR UPDATE OF r SKIP LOCKED
    ), labelled AS (
        UPDATE reservations r SET state = 'lost', lost_at = now() FROM orphan o
        WHERE r.org_id = p_org AND r.reservation_id = o.reservation_id
        RETURNING 1
    ) SELECT count(*)::integer FROM labelled
$$;

-- Ends what has been lost for so many seconds (the organization's own time, else p_after_seconds)
-- by the organization's rule. `release` is for reservations of soft budgets only: where a hard cap
-- counts, the provider may have billed.
CREATE FUNCTION spendra.post_lost(p_org text, p_after_seconds integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    due record;
    ended integer := 0;
BEGIN
    FOR due IN
        SELECT r.reservation_id, r.requested_model, r.reserved_nanousd,
               LEAST(r.estimated_nanousd, r.reserved_nanousd) AS estimated_nanousd,
               CASE WHEN o.lost_rule <> 'release' THEN o.lost_rule
                    WHEN cardinality(r.account_ids) > 0 AND NOT EXISTS (
                        SELECT FROM unnest(r.account_ids) AS named(id)
                        LEFT JOIN budgets b
                          ON b.org_id = p_org AND b.id = split_part(named.id, '@', 1)
                        WHERE b.kind IS DISTINCT FROM 'soft') THEN 'release'
                    ELSE 'worst_case' END AS rule
        FROM reservations r JOIN organizations o ON o.id = r.org_id
        WHERE r.org_id = p_org AND r.state = 'lost'
          AND r.lost_at < now() - make_interval(secs => COALESCE(o.lost_after_s, p_after_seconds))
          -- Nothing is freed that a sidecar which only slept may still send.
          AND (o.lost_rule = 'worst_case' OR endable_at(p_org, r.sidecar_id, r.lost_at) <= now())
        LIMIT 1000 FOR UPDATE OF r SKIP LOCKED
    LOOP
        PERFORM CASE due.rule
            WHEN 'release' THEN
                end_one(p_org, due.reservation_id, 'voided', 'lost_released', 0, '', 'none')
            WHEN 'estimate' THEN
                end_one(p_org, due.reservation_id, 'posted', 'lost_estimated',
                        due.estimated_nanousd, due.requested_model, 'estimated')
            ELSE end_one(p_org, due.reservation_id, 'posted', 'lost', due.reserved_nanousd,
                         due.requested_model, 'worst_case') END;
        ended := ended + 1;
    END LOOP;
    RETURN ended;
END $$;

-- Ends one reservation without usage.
CREATE FUNCTION spendra.end_one(
    p_org text, p_reservation uuid, p_outcome text, p_reason text, p_cost bigint, p_model text,
    p_confidence text
) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT FROM settle(
        p_org, ARRAY[p_reservation], ARRAY[p_outcome], ARRAY[p_reason], ARRAY[p_cost],
        ARRAY[p_model], ARRAY[NULL::smallint], ARRAY[p_confidence], ARRAY[0::bigint],
        ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[''])
$$;

-- Folds old movements into their accounts, so that reading a total stays short. Deleting a row and
-- adding it to its total are one statement, so whoever reads sees it once. One folder at a time.
CREATE FUNCTION spendra.fold_movements(p_org text, p_before bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    folded integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('spendra fold ' || p_org, 0)) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM account_movements m USING accounts a
        WHERE m.org_id = p_org AND m.batch_id < p_before
          AND a.org_id = p_org AND a.account_id = m.account_id
        RETURNING m.account_id, m.settled_nanousd
    ), summed AS (
        SELECT account_id, sum(settled_nanousd) AS settled, count(*) AS movements
        FROM taken GROUP BY account_id
    ), added AS (
        UPDATE accounts a SET settled_nanousd = a.settled_nanousd + s.settled
        FROM summed s WHERE a.org_id = p_org AND a.account_id = s.account_id
        RETURNING s.movements
    ) SELECT COALESCE(sum(movements), 0)::integer INTO folded FROM added;
    RETURN folded;
END $$;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendra_sidecar') THEN
        CREATE ROLE spendra_sidecar NOLOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'role spendra_sidecar was not made: create it, then grant it USAGE and EXECUTE on schema spendra';
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spendra FROM PUBLIC;
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendra_sidecar') THEN
        GRANT USAGE ON SCHEMA spendra TO spendra_sidecar;
        GRANT EXECUTE ON FUNCTION
            spendra.current_generation, spendra.reserve, spendra.extend, spendra.settle,
            spendra.give_up, spendra.decision_state, spendra.claim_holder, spendra.is_frozen,
            spendra.open_accounts, spendra.raise_generation, spendra.live_totals,
            spendra.open_reservations, spendra.min_policy_version, spendra.record_refusals,
            spendra.renew_lease, spendra.release_lease, spendra.account_totals
        TO spendra_sidecar;
    END IF;
END $$;
