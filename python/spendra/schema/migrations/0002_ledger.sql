-- The ledger: open reservations, spend events, ledger entries and account movements.
-- Amounts are nano-USD. Sidecars call the functions of this file and touch no table.

-- One row per organization: the generation of its live balances. A reservation becomes durable
-- only under the current one.
CREATE TABLE spendra.generations (
    org_id      text PRIMARY KEY,
    generation  text NOT NULL,
    raised_at   timestamptz NOT NULL DEFAULT now(),
    raised_by   text NOT NULL
);

-- A budget in one window of its period. `settled_nanousd` is the total of the movements that the
-- worker has folded in; rows of account_movements come on top of it. `retired_nanousd`, a part of
-- that, and its overrun are of events that are no longer kept.
CREATE TABLE spendra.accounts (
    org_id           text NOT NULL,
    account_id       text NOT NULL,
    budget_id        text NOT NULL,
    window_start     timestamptz NOT NULL,
    window_end       timestamptz NOT NULL,
    opening_nanousd  bigint NOT NULL DEFAULT 0,
    joined_nanousd   bigint NOT NULL DEFAULT 0, -- held by what was in flight when it was opened
    settled_nanousd  bigint NOT NULL DEFAULT 0,
    retired_nanousd          bigint NOT NULL DEFAULT 0,
    retired_overrun_nanousd  bigint NOT NULL DEFAULT 0,
    opened_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, account_id)
);
CREATE INDEX accounts_by_end ON spendra.accounts (org_id, window_end);

-- Open reservations only: settling one moves it to spend_events.
CREATE TABLE spendra.reservations (
    org_id             text NOT NULL,
    reservation_id     uuid NOT NULL,
    decision_id        uuid NOT NULL,
    attempt            smallint NOT NULL,
    sidecar_id         text NOT NULL,
    incarnation        text NOT NULL,
    generation         text NOT NULL,
    state              text NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'lost')),
    lost_at            timestamptz,
    reserved_at        timestamptz NOT NULL,
    reserved_nanousd   bigint NOT NULL CHECK (reserved_nanousd >= 0),
    estimated_nanousd  bigint NOT NULL,
    account_ids        text[] NOT NULL,
    provider           text NOT NULL,
    requested_model    text NOT NULL,
    policy_version     bigint NOT NULL,
    price_version      text NOT NULL,
    facts              jsonb NOT NULL,
    -- How often it was extended; policies whose concurrency it counts in, by comma.
    extensions         smallint NOT NULL DEFAULT 0,
    slots              text NOT NULL DEFAULT '',
    retry_count        smallint NOT NULL DEFAULT 0,
    retry_of           uuid,
    PRIMARY KEY (org_id, reservation_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- Requests that a provider goes on with after it has answered. They are nobody's who could die:
-- whichever sidecar sees the later answer ends them.
CREATE TABLE spendra.pending (
    org_id          text NOT NULL,
    provider        text NOT NULL,
    -- The provider's own id of the response or batch.
    identity        text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('response', 'batch')),
    reservation_id  uuid NOT NULL,
    -- What is not heard of by then is booked at its worst case.
    until           timestamptz NOT NULL,
    PRIMARY KEY (org_id, provider, identity)
);
CREATE UNIQUE INDEX pending_by_reservation ON spendra.pending (org_id, reservation_id);

-- Ids that were given up before their durable write was seen: a late write must not land.
CREATE TABLE spendra.tombstones (
    org_id          text NOT NULL,
    reservation_id  uuid NOT NULL,
    written_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, reservation_id)
);

-- Idempotency keys in use. Both digests are keyed with the caller's own key, which is not stored.
-- A decision's first reservation carries the decision's id.
CREATE TABLE spendra.idempotency_keys (
    org_id       text NOT NULL,
    key_digest   text NOT NULL,
    body_digest  text NOT NULL,
    decision_id  uuid NOT NULL,
    claimed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key_digest)
);
CREATE INDEX idempotency_keys_by_age ON spendra.idempotency_keys (org_id, claimed_at);

-- One row per ended reservation: what was reserved, what it came to, and why.
CREATE TABLE spendra.spend_events (
    org_id               text NOT NULL,
    reserved_at          timestamptz NOT NULL,
    reservation_id       uuid NOT NULL,
    decision_id          uuid NOT NULL,
    attempt              smallint NOT NULL,
    sidecar_id           text NOT NULL,
    outcome              text NOT NULL CHECK (outcome IN ('posted', 'voided')),
    settled_at           timestamptz NOT NULL DEFAULT now(),
    reason               text NOT NULL,
    reserved_nanousd     bigint NOT NULL,
    estimated_nanousd    bigint NOT NULL,
    cost_nanousd         bigint NOT NULL CHECK (cost_nanousd >= 0),
    overrun_nanousd      bigint GENERATED ALWAYS AS (GREATEST(cost_nanousd - reserved_nanousd, 0)) STORED,
    account_ids          text[] NOT NULL,
    provider             text NOT NULL,
    requested_model      text NOT NULL,
    model                text NOT NULL,
    upstream_status      smallint,
    usage_confidence     text NOT NULL CHECK (usage_confidence IN
                             ('reported', 'counted', 'estimated', 'worst_case', 'none')),
    input_tokens         bigint NOT NULL,
    cached_input_tokens  bigint NOT NULL,
    cache_write_tokens   bigint NOT NULL,
    output_tokens        bigint NOT NULL,
    reasoning_tokens     bigint NOT NULL,
    policy_version       bigint NOT NULL,
    price_version        text NOT NULL,
    facts                jsonb NOT NULL,
    -- An SDK's own count of this repeat, and the decision that it repeats where that is known.
    retry_count          smallint NOT NULL DEFAULT 0,
    retry_of             uuid,
    batch_id             bigint NOT NULL,
    PRIMARY KEY (org_id, reserved_at, reservation_id)
) PARTITION BY RANGE (reserved_at);
CREATE TABLE spendra.spend_events_default PARTITION OF spendra.spend_events DEFAULT;
CREATE INDEX spend_events_by_decision ON spendra.spend_events (org_id, decision_id);
CREATE INDEX spend_events_by_run ON spendra.spend_events (org_id, (facts #>> '{run,0}'), reserved_at)
    WHERE facts ? 'run';
CREATE INDEX spend_events_by_reservation ON spendra.spend_events (org_id, reservation_id);

-- Double entry: each batch sums to zero. Accounts: `expense:<cost center>`, `payable:<provider>`,
-- `encumbrance:held` against `encumbrance:control` (summed per batch, so they name no decision).
CREATE TABLE spendra.ledger_entries (
    org_id          text NOT NULL,
    booked_at       timestamptz NOT NULL DEFAULT now(),
    entry_id        bigint GENERATED ALWAYS AS IDENTITY,
    batch_id        bigint NOT NULL,
    kind            text NOT NULL CHECK (kind IN
                        ('hold', 'release', 'spend', 'adjustment', 'suspense')),
    account         text NOT NULL,
    amount_nanousd  bigint NOT NULL,
    decision_id     uuid,
    reservation_id  uuid,
    reserved_at     timestamptz,
    PRIMARY KEY (org_id, booked_at, entry_id)
) PARTITION BY RANGE (booked_at);
CREATE TABLE spendra.ledger_entries_default PARTITION OF spendra.ledger_entries DEFAULT;
CREATE INDEX ledger_entries_by_decision ON spendra.ledger_entries (org_id, decision_id)
    WHERE decision_id IS NOT NULL;

CREATE SEQUENCE spendra.batches;

-- What each batch added to each account; the worker folds old rows into accounts.settled_nanousd.
CREATE TABLE spendra.account_movements (
    org_id           text NOT NULL,
    account_id       text NOT NULL,
    batch_id         bigint NOT NULL,
    settled_nanousd  bigint NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (org_id, account_id, batch_id)
);

-- Requests that were refused, so that "why" has an answer. No money, no entries.
CREATE TABLE spendra.refusals (
    org_id           text NOT NULL,
    decision_id      uuid NOT NULL,
    refused_at       timestamptz NOT NULL,
    sidecar_id       text NOT NULL,
    status           smallint NOT NULL,
    reason           text NOT NULL,
    message          text NOT NULL,
    provider         text NOT NULL,
    requested_model  text NOT NULL,
    estimated_nanousd bigint NOT NULL,
    wanted_nanousd   bigint NOT NULL,
    account_ids      text[] NOT NULL,
    policy_version   bigint NOT NULL,
    facts            jsonb NOT NULL,
    PRIMARY KEY (org_id, refused_at, decision_id)
) PARTITION BY RANGE (refused_at);
CREATE TABLE spendra.refusals_default PARTITION OF spendra.refusals DEFAULT;
CREATE INDEX refusals_by_decision ON spendra.refusals (org_id, decision_id);

-- One lease per sidecar; when it lapses, the worker labels its open reservations lost.
CREATE TABLE spendra.sidecar_leases (
    org_id       text NOT NULL,
    sidecar_id   text NOT NULL,
    incarnation  text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    lease_s      integer NOT NULL,
    released     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, sidecar_id)
);

CREATE FUNCTION spendra.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: write an adjustment instead', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.spend_events
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.ledger_entries
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.refusals
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.spend_events
    EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.ledger_entries
    EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.refusals
    EXECUTE FUNCTION spendra.refuse_change();
