-- Issuers whose JSON Web Tokens stand for a key, with scopes from their claims.

CREATE TABLE spendra.issuers (
    org_id text NOT NULL REFERENCES spendra.organizations,
    name text NOT NULL,
    issuer text NOT NULL,
    audience text NOT NULL,
    jwks_url text NOT NULL,
    -- The key that they stand for.
    stands_for text NOT NULL,
    -- Dimension to the claim that names its value.
    claims jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, name),
    UNIQUE (org_id, issuer, audience),
    FOREIGN KEY (org_id, stands_for) REFERENCES spendra.keys
);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.issuers
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();
CREATE TRIGGER stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.issuers FOR EACH ROW EXECUTE FUNCTION spendra.segment_is_stale('secrets');

-- What is above a scope is sent with the issuers.
CREATE FUNCTION spendra.issuers_are_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spendra.stale_segments (org_id, name)
    SELECT DISTINCT org_id, 'secrets' FROM spendra.issuers
    WHERE org_id = CASE WHEN TG_OP = 'DELETE' THEN OLD.org_id ELSE NEW.org_id END
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER issuers_stale AFTER UPDATE OF state
    ON spendra.scopes FOR EACH ROW EXECUTE FUNCTION spendra.issuers_are_stale();
CREATE TRIGGER issuers_stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.scope_parents FOR EACH ROW EXECUTE FUNCTION spendra.issuers_are_stale();
