-- The record behind the ledger: corrections, and which limits were in force when.

-- A correction of what was booked, never an edit: `amount_nanousd` is added to what the accounts
-- show as settled. `kind`: `price` and `manual` by an operator; `evidence`, when a settlement came
-- after its lost reservation had been ended without it.
CREATE TABLE spendra.adjustments (
    org_id          text NOT NULL,
    adjustment_id   uuid NOT NULL DEFAULT gen_random_uuid(),
    booked_at       timestamptz NOT NULL DEFAULT now(),
    batch_id        bigint NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('price', 'manual', 'evidence')),
    amount_nanousd  bigint NOT NULL,
    reason          text NOT NULL,
    booked_by       text NOT NULL,
    decision_id     uuid,
    reservation_id  uuid,
    account_ids     text[] NOT NULL,
    expense         text NOT NULL,
    payable         text NOT NULL,
    PRIMARY KEY (org_id, adjustment_id)
);
CREATE INDEX adjustments_by_decision ON spendra.adjustments (org_id, decision_id);
CREATE INDEX adjustments_by_reservation ON spendra.adjustments (org_id, reservation_id);
CREATE INDEX adjustments_by_time ON spendra.adjustments (org_id, booked_at, adjustment_id);

-- Every limit that a budget has had: an account may hold more than its limit allows only when the
-- limit was lowered. No limit: the budget was soft.
CREATE TABLE spendra.budget_limits (
    org_id         text NOT NULL,
    budget_id      text NOT NULL,
    version        bigint NOT NULL,
    kind           text NOT NULL,
    limit_nanousd  bigint NOT NULL,
    since          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (org_id, budget_id, version, kind, since)
);
CREATE FUNCTION spendra.remember_limit() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
BEGIN
    INSERT INTO budget_limits (org_id, budget_id, version, kind, limit_nanousd)
    VALUES (NEW.org_id, NEW.id, NEW.version, NEW.kind, NEW.limit_nanousd);
    RETURN NULL;
END $$;
CREATE TRIGGER remember_limit AFTER INSERT OR UPDATE OF limit_nanousd, kind ON spendra.budgets
    FOR EACH ROW EXECUTE FUNCTION spendra.remember_limit();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.adjustments
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.adjustments
    EXECUTE FUNCTION spendra.refuse_change();

-- Chains over what may only grow: each seal covers the rows of one table whose batch is in
-- (first_batch, last_batch], by a Merkle root, and names the seal before it. Forms: docs/ledger.md.
-- `marks`: the first eight bytes of each row's leaf hash, in order, to find a bad row.
-- A column added later to a sealed table must be nullable and without default: the canonical form
-- of a row leaves nulls out.
CREATE TABLE spendra.seals (
    org_id       text NOT NULL,
    chain        text NOT NULL,
    number       bigint NOT NULL,
    first_batch  bigint NOT NULL,
    last_batch   bigint NOT NULL CHECK (last_batch > first_batch),
    rows         integer NOT NULL CHECK (rows > 0),
    sealed_at    timestamptz NOT NULL,
    root         bytea NOT NULL,
    previous     bytea NOT NULL,
    hash         bytea NOT NULL,
    marks        bytea NOT NULL,
    PRIMARY KEY (org_id, chain, number)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.seals
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.seals
    EXECUTE FUNCTION spendra.refuse_change();

-- Rows arrive in the order of their batches, nearly, so these cost next to nothing to keep.
CREATE INDEX spend_events_by_batch ON spendra.spend_events
    USING brin (batch_id) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX ledger_entries_by_batch ON spendra.ledger_entries
    USING brin (batch_id) WITH (pages_per_range = 16, autosummarize = on);

-- What happens to lost reservations, and after how many seconds (null: SPENDRA_LOST_AFTER_S).
ALTER TABLE spendra.organizations
    ADD COLUMN lost_rule text NOT NULL DEFAULT 'worst_case'
        CHECK (lost_rule IN ('worst_case', 'estimate', 'release')),
    ADD COLUMN lost_after_s integer CHECK (lost_after_s >= 0);

-- Settlements that came after their lost reservation had been ended. The worker books each as an
-- adjustment, or drops it when there is nothing to correct; the first to come counts.
CREATE TABLE spendra.late_evidence (
    org_id            text NOT NULL,
    reservation_id    uuid NOT NULL,
    received_at       timestamptz NOT NULL DEFAULT now(),
    outcome           text NOT NULL,
    reason            text NOT NULL,
    cost_nanousd      bigint NOT NULL,
    usage_confidence  text NOT NULL,
    PRIMARY KEY (org_id, reservation_id)
);

-- Who ended a lost reservation by hand, and why.
CREATE TABLE spendra.lost_endings (
    org_id          text NOT NULL,
    reservation_id  uuid NOT NULL,
    ended_at        timestamptz NOT NULL DEFAULT now(),
    ended_by        text NOT NULL,
    outcome         text NOT NULL,
    cost_nanousd    bigint NOT NULL,
    reason          text NOT NULL,
    PRIMARY KEY (org_id, reservation_id)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.lost_endings
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.lost_endings
    EXECUTE FUNCTION spendra.refuse_change();

-- Generations whose balances the worker has still to take out of Redis: what they would refuse may
-- be free by now.
CREATE TABLE spendra.closed_generations (
    org_id      text NOT NULL,
    generation  text NOT NULL,
    closed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, generation)
);

-- Each time the live balances were found wrong and were to be rebuilt: under which generation, and
-- what was found.
CREATE TABLE spendra.reconciliations (
    org_id         text NOT NULL,
    reconciled_at  timestamptz NOT NULL DEFAULT now(),
    generation     text NOT NULL,
    findings       jsonb NOT NULL,
    PRIMARY KEY (org_id, reconciled_at)
);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spendra FROM PUBLIC;
