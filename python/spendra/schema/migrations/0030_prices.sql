-- Prices of the customer's own, which go before the catalog. A row is never changed but for its
-- end: what was booked names it.
CREATE TABLE spendra.prices (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    name text NOT NULL,
    -- Patterns (`*`, `?`), in lower case as names are compared.
    provider text NOT NULL,
    model text NOT NULL,
    -- Null: the standard tier. Of a multiplier: every tier.
    service_tier text,
    -- Kind of price to decimal USD, or to `{"base", "steps": [{"above_input_tokens", "price"}]}`.
    rates jsonb,
    -- Decimal: a share of the catalog's price.
    multiplier text,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CHECK ((rates IS NULL) <> (multiplier IS NULL)),
    CHECK (multiplier IS NULL OR service_tier IS NULL),
    CHECK (ends_at >= starts_at)
);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.prices
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

-- The catalog under the customer's own prices; empty: of a release that did not note it.
ALTER TABLE spendra.snapshots ADD COLUMN catalog text NOT NULL DEFAULT '';

CREATE TRIGGER stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.prices FOR EACH ROW EXECUTE FUNCTION spendra.segment_is_stale('prices');
