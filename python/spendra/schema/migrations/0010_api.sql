-- What the control plane's API remembers of its callers.

-- Answers to POSTs that named an Idempotency-Key: sealed, since an answer may show a secret once.
CREATE TABLE spendra.api_repeats (
    org_id text NOT NULL REFERENCES spendra.organizations,
    key text NOT NULL,
    request_sha256 bytea NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    status integer,
    answer_sealed bytea,
    PRIMARY KEY (org_id, key),
    CHECK ((status IS NULL) = (answer_sealed IS NULL))
);
CREATE INDEX api_repeats_by_age ON spendra.api_repeats (claimed_at);
