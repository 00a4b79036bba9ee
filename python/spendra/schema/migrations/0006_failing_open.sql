-- Requests that sidecars let through while a store was away.

-- How much of the budget each sidecar sets aside for that.
ALTER TABLE spendra.budgets
    ADD COLUMN open_up_to_nanousd bigint NOT NULL DEFAULT 0 CHECK (open_up_to_nanousd >= 0),
    ADD CHECK (open_up_to_nanousd = 0 OR kind = 'hard');

-- Makes reservations of what was let through, each once, and takes each out of the allowances that
-- it drew on, so that no account shows more held than before. Called in a rebuild's transaction,
-- whose lock it needs. Arrays run in step; p_drawn holds allowances' ids joined by ','.
CREATE FUNCTION spendra.land_open(
    p_org text, p_sidecar text, p_incarnation text[], p_reservation uuid[], p_decision uuid[],
    p_attempt smallint[], p_reserved_at timestamptz[], p_reserved bigint[], p_estimated bigint[],
    p_accounts text[], p_provider text[], p_model text[], p_policy_version bigint[],
    p_price_version text[], p_facts text[], p_retry_count smallint[], p_retry_of uuid[],
    p_drawn text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    batch bigint;
    held bigint;
    freed bigint;
BEGIN
    WITH given AS (
        SELECT o.* FROM unnest(
            p_incarnation, p_reservation, p_decision, p_attempt, p_reserved_at, p_reserved,
            p_estimated, p_accounts, p_provider, p_model, p_policy_version, p_price_version,
            p_facts, p_retry_count, p_retry_of, p_drawn)
          AS o(incarnation, id, decision, attempt, at, reserved, estimated, accounts, provider,
               model, policy_version, price_version, facts, retry_count, retry_of, drawn)
        WHERE NOT EXISTS (SELECT FROM spend_events e
                          WHERE e.org_id = p_org AND e.reservation_id = o.id)
    ), landed AS (
        INSERT INTO reservations (
            org_id, reservation_id, decision_id, attempt, sidecar_id, incarnation, generation,
            reserved_at, reserved_nanousd, estimated_nanousd, account_ids, provider, requested_model,
            policy_version, price_version, facts, retry_count, retry_of)
        SELECT p_org, g.id, g.decision, g.attempt, p_sidecar, g.incarnation, 'open', g.at,
               g.reserved, g.estimated, string_to_array(g.accounts, ','), g.provider, g.model,
               g.policy_version, g.price_version,
               g.facts::jsonb || '{"admission": ["failed_open"]}', g.retry_count, g.retry_of
        FROM given g ON CONFLICT DO NOTHING
        RETURNING reservation_id, reserved_nanousd
    ), drawn AS (
        SELECT d.id::uuid AS id, sum(l.reserved_nanousd)::bigint AS amount
        FROM landed l JOIN given g ON g.id = l.reservation_id
        CROSS JOIN LATERAL unnest(string_to_array(g.drawn, ',')) AS d(id)
        GROUP BY d.id
    ), part AS (
        SELECT r.reservation_id AS id, LEAST(d.amount, r.reserved_nanousd) AS amount
        FROM drawn d JOIN reservations r ON r.org_id = p_org AND r.reservation_id = d.id
    ), shrunk AS (
        UPDATE reservations r SET reserved_nanousd = r.reserved_nanousd - p.amount FROM part p
        WHERE r.org_id = p_org AND r.reservation_id = p.id
        RETURNING p.amount
    ) SELECT (SELECT sum(reserved_nanousd) FROM landed), (SELECT sum(amount) FROM shrunk)
      INTO held, freed;
    IF held IS NOT NULL THEN
        batch := nextval('spendra.batches');
        INSERT INTO ledger_entries (org_id, batch_id, kind, account, amount_nanousd)
        SELECT p_org, batch, side.kind, side.account, side.amount FROM (VALUES
            ('hold', 'encumbrance:held', held), ('hold', 'encumbrance:control', -held),
            ('release', 'encumbrance:held', -freed), ('release', 'encumbrance:control', freed))
          AS side(kind, account, amount)
        WHERE side.amount IS NOT NULL;
    END IF;
END $$;

REVOKE ALL ON FUNCTION spendra.land_open FROM PUBLIC;
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendra_sidecar') THEN
        GRANT EXECUTE ON FUNCTION spendra.land_open TO spendra_sidecar;
    END IF;
END $$;
