-- Signing in at an organization's own OpenID provider, and who may come in that way.

CREATE TABLE spendra.sign_in (
    org_id text PRIMARY KEY REFERENCES spendra.organizations,
    issuer text NOT NULL,
    client_id text NOT NULL,
    client_secret_sealed bytea NOT NULL,
    -- Whether an address counts of which the provider does not say that it is verified.
    trusts_email boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.sign_in
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

-- Whose verified address is of one of these joins by signing in, with these roles, once a record
-- in the domain's own DNS has shown that it is the organization's.
CREATE TABLE spendra.domains (
    org_id text NOT NULL REFERENCES spendra.organizations,
    domain text NOT NULL,
    joins_as text[] NOT NULL CHECK (cardinality(joins_as) > 0),
    challenge text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    PRIMARY KEY (org_id, domain)
);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.domains
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

-- As whom the provider knows a member.
CREATE TABLE spendra.member_identities (
    org_id text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    member_id text NOT NULL,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, issuer, subject),
    FOREIGN KEY (org_id, member_id) REFERENCES spendra.members
);

CREATE TABLE spendra.invitations (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    email text NOT NULL,
    roles text[] NOT NULL CHECK (cardinality(roles) > 0),
    manages jsonb NOT NULL DEFAULT '{}',
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    -- Who came.
    member_id text,
    accepted_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, member_id) REFERENCES spendra.members
);
CREATE UNIQUE INDEX invitations_open ON spendra.invitations (org_id, email)
    WHERE revoked_at IS NULL AND accepted_at IS NULL;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.invitations
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

CREATE VIEW spendra.invitations_now AS
SELECT *, CASE
    WHEN accepted_at IS NOT NULL THEN 'accepted'
    WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at <= now() THEN 'expired'
    ELSE 'open' END AS state
FROM spendra.invitations;
