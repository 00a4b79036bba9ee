-- Requests that a policy wants somebody to look at: asked for by sidecars, decided by people, and
-- let through once.
CREATE TABLE spendra.review_requests (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    -- The latest attempt, and how many there were.
    decision_id uuid NOT NULL,
    asks integer NOT NULL DEFAULT 1,
    key_id text NOT NULL,
    policy_id text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    -- The most that was asked for: an approval is good for it.
    amount_nanousd bigint NOT NULL CHECK (amount_nanousd > 0),
    facts jsonb NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    -- Until when it may be decided; once it is, until when that is good.
    expires_at timestamptz NOT NULL DEFAULT now() + interval '7 days',
    decision text CHECK (decision IN ('approved', 'denied')),
    decided_by text,
    decided_at timestamptz,
    note text,
    -- The request that an approval let through.
    used_by uuid,
    used_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CHECK (used_by IS NULL OR decision = 'approved')
);
CREATE UNIQUE INDEX review_requests_waiting
    ON spendra.review_requests (org_id, key_id, provider, model) WHERE decision IS NULL;
CREATE INDEX review_requests_decided
    ON spendra.review_requests (org_id, key_id, provider, model) WHERE decision IS NOT NULL AND used_by IS NULL;
CREATE TRIGGER audit AFTER UPDATE OF decision ON spendra.review_requests
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

CREATE VIEW spendra.review_requests_now AS
SELECT *, CASE
    WHEN used_by IS NOT NULL THEN 'used'
    WHEN expires_at <= now() THEN 'expired'
    ELSE coalesce(decision, 'waiting') END AS state
FROM spendra.review_requests;

-- `approved`: this request may go, and nothing else by the same approval. Otherwise what it waits
-- for: the request that is `waiting`, or the one that was `denied`.
CREATE FUNCTION spendra.ask_review(
    p_org text, p_decision uuid, p_key text, p_policy text, p_provider text, p_model text,
    p_amount bigint, p_facts text
) RETURNS TABLE (state text, request_id text, amount_nanousd bigint, note text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
BEGIN
    RETURN QUERY
    UPDATE review_requests q SET used_by = p_decision, used_at = now()
    WHERE q.org_id = p_org AND q.id = (
        SELECT r.id FROM review_requests r
        WHERE r.org_id = p_org AND r.key_id = p_key AND r.provider = p_provider
            AND r.model = p_model AND r.decision = 'approved' AND r.used_by IS NULL
            AND r.expires_at > now() AND r.amount_nanousd >= p_amount
        ORDER BY r.amount_nanousd LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING 'approved', q.id, q.amount_nanousd, q.note;
    IF FOUND THEN RETURN; END IF;
    RETURN QUERY
    SELECT 'denied', r.id, r.amount_nanousd, r.note FROM review_requests r
    WHERE r.org_id = p_org AND r.key_id = p_key AND r.provider = p_provider
        AND r.model = p_model AND r.decision = 'denied' AND r.expires_at > now()
        AND r.amount_nanousd <= p_amount
    ORDER BY r.decided_at DESC LIMIT 1;
    IF FOUND THEN RETURN; END IF;
    RETURN QUERY
    INSERT INTO review_requests AS q (
        org_id, id, decision_id, key_id, policy_id, provider, model, amount_nanousd, facts)
    VALUES (p_org, 'rev_' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 16), p_decision,
        p_key, p_policy, p_provider, p_model, p_amount, p_facts::jsonb)
    ON CONFLICT (org_id, key_id, provider, model) WHERE decision IS NULL DO UPDATE
    SET decision_id = excluded.decision_id, asks = q.asks + 1, policy_id = excluded.policy_id,
        amount_nanousd = greatest(q.amount_nanousd, excluded.amount_nanousd),
        facts = excluded.facts, asked_at = now(), expires_at = excluded.expires_at
    RETURNING 'waiting', q.id, q.amount_nanousd, q.note;
END $$;

-- The request did not leave after all.
CREATE FUNCTION spendra.give_review_back(p_org text, p_request text, p_decision uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    UPDATE review_requests SET used_by = NULL, used_at = NULL
    WHERE org_id = p_org AND id = p_request AND used_by = p_decision
$$;

REVOKE ALL ON FUNCTION spendra.ask_review, spendra.give_review_back FROM PUBLIC;
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendra_sidecar') THEN
        GRANT EXECUTE ON FUNCTION spendra.ask_review, spendra.give_review_back TO spendra_sidecar;
    END IF;
END $$;
