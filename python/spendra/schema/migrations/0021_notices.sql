-- What people are told: where notices may go, who wants which, what was raised, and what was sent.

-- `target` is what may be shown of the address: an origin, or an e-mail address.
CREATE TABLE spendra.channels (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('webhook', 'slack', 'email')),
    target text NOT NULL,
    address_sealed bytea NOT NULL,
    signing_sealed bytea,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CHECK ((kind = 'webhook') = (signing_sealed IS NOT NULL))
);

-- `events` are names, or `budget.*`, or `*`; of budgets' events all, or only those of `budget_ids`.
CREATE TABLE spendra.subscriptions (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    channel_id text NOT NULL,
    events text[] NOT NULL CHECK (events <> '{}'),
    budget_ids text[] CHECK (budget_ids <> '{}'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, channel_id) REFERENCES spendra.channels
);

-- The outbox. Of all workers that see the same thing, the one whose row is first tells it: once for
-- an event, what it is about, and the period.
CREATE TABLE spendra.notices (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    raised_at timestamptz NOT NULL DEFAULT now(),
    event text NOT NULL,
    subject text NOT NULL,
    period text NOT NULL,
    budget_id text,
    facts jsonb NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, event, subject, period)
);
CREATE INDEX notices_by_time ON spendra.notices (org_id, raised_at, id);

-- One for each notice and channel, written with the notice. `waiting` ones are jobs; `attempts`
-- counts since it last became one.
CREATE TABLE spendra.deliveries (
    org_id text NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    notice_id uuid NOT NULL,
    channel_id text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    queued_at timestamptz,
    next_attempt_at timestamptz,
    attempted_at timestamptz,
    delivered_at timestamptz,
    last_error text,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, notice_id, channel_id),
    FOREIGN KEY (org_id, notice_id) REFERENCES spendra.notices,
    FOREIGN KEY (org_id, channel_id) REFERENCES spendra.channels
);
CREATE INDEX deliveries_waiting ON spendra.deliveries (created_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_time ON spendra.deliveries (org_id, created_at, id);

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.channels
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.subscriptions
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();
