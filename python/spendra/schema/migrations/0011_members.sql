-- Who uses the control plane, in which roles, and with which tokens.

CREATE TABLE spendra.members (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('person', 'service')),
    name text NOT NULL,
    roles text[] NOT NULL CHECK (cardinality(roles) > 0),
    -- What a manager sees: kind of scope to names, with all that is below.
    manages jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, kind, name)
);

CREATE TABLE spendra.member_tokens (
    org_id text NOT NULL,
    id text NOT NULL,
    member_id text NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL UNIQUE,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, member_id) REFERENCES spendra.members
);
CREATE INDEX member_tokens_by_member ON spendra.member_tokens (org_id, member_id);

-- Whether some fact names a scope of the reach. A null reach is everything.
CREATE FUNCTION spendra.is_within(p_reach jsonb, p_facts jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT p_reach IS NULL OR EXISTS (
        SELECT FROM jsonb_each(p_reach) AS own (kind, names)
        WHERE CASE jsonb_typeof(p_facts -> kind)
            WHEN 'string' THEN names ? (p_facts ->> kind)
            WHEN 'array' THEN names ?| ARRAY(SELECT jsonb_array_elements_text(p_facts -> kind))
            ELSE false END)
$$;

-- Whether all that a selector selects is within the reach: one of its lists is, whole.
CREATE FUNCTION spendra.is_covered(p_reach jsonb, p_selector jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT p_reach IS NULL OR EXISTS (
        SELECT FROM jsonb_each(p_reach) AS own (kind, names)
        WHERE jsonb_typeof(p_selector -> kind) = 'array' AND p_selector -> kind <> '[]'
            AND names @> (p_selector -> kind))
$$;
REVOKE ALL ON FUNCTION spendra.is_within, spendra.is_covered FROM PUBLIC;
