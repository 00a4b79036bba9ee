-- What operators write, and the snapshots compiled from it.
-- Every primary key leads with the organization. Columns named *_sealed hold AES-256-GCM.

CREATE TABLE spendra.organizations (
    id text PRIMARY KEY,
    name text NOT NULL,
    -- Grows by one with each configuration change; the number of the newest snapshot.
    config_version bigint NOT NULL DEFAULT 0,
    -- The oldest snapshot that may still decide: raised by each change that takes something away.
    min_version bigint NOT NULL DEFAULT 0,
    default_output_tokens integer NOT NULL DEFAULT 16384 CHECK (default_output_tokens > 0),
    key_pepper_sealed bytea NOT NULL,
    signing_key_sealed bytea NOT NULL,
    snapshot_public_key bytea NOT NULL,
    -- While set, nothing new is spent: the kill switch.
    frozen_at timestamptz,
    frozen_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (min_version <= config_version)
);

CREATE TABLE spendra.admin_tokens (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    sha256 bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (org_id, id)
);

-- A sidecar's own, or one with which sidecars get theirs.
CREATE TABLE spendra.sidecar_tokens (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    sha256 bytea NOT NULL UNIQUE,
    name text NOT NULL,
    kind text NOT NULL DEFAULT 'sidecar' CHECK (kind IN ('sidecar', 'enrolment')),
    -- The only sidecar that may use it; null: any.
    sidecar_id text,
    -- What of the organization its sidecars hear of: keys that the selector selects, and routes by
    -- their names' patterns; null: all of it.
    scope jsonb NOT NULL DEFAULT '{}',
    providers jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK (kind = 'sidecar' OR sidecar_id IS NULL)
);
CREATE UNIQUE INDEX sidecar_tokens_in_use ON spendra.sidecar_tokens (org_id, sidecar_id)
    WHERE sidecar_id IS NOT NULL AND revoked_at IS NULL;

-- The registry of what a key can be bound to.
CREATE TABLE spendra.scopes (
    org_id text NOT NULL REFERENCES spendra.organizations,
    kind text NOT NULL CHECK (kind IN ('team', 'project', 'person', 'agent')),
    name text NOT NULL,
    display_name text,
    attributes jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'archived')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, kind, name)
);

-- One parent of each kind: an agent has a parent agent and, besides, a project.
CREATE TABLE spendra.scope_parents (
    org_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    parent_kind text NOT NULL,
    parent_name text NOT NULL,
    PRIMARY KEY (org_id, kind, name, parent_kind),
    FOREIGN KEY (org_id, kind, name) REFERENCES spendra.scopes,
    FOREIGN KEY (org_id, parent_kind, parent_name) REFERENCES spendra.scopes
);

CREATE TABLE spendra.keys (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    name text NOT NULL,
    environment text NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'revoked')),
    scope jsonb NOT NULL,
    -- The names of those of which each request says in which it is.
    projects jsonb,
    models jsonb,
    providers jsonb,
    tools jsonb,
    max_request_nanousd bigint CHECK (max_request_nanousd > 0),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    -- Which of the segments of keys it is compiled into.
    shard smallint NOT NULL CHECK (shard BETWEEN 0 AND 255),
    -- The keys that it was delegated from, the nearest first: it can do nothing that they cannot.
    delegated_from text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (org_id, id)
);

CREATE INDEX keys_delegated ON spendra.keys USING gin (delegated_from);
CREATE INDEX keys_by_shard ON spendra.keys (org_id, shard);

-- Keyed hashes of the secrets of a key: two while a rotation's grace lasts.
CREATE TABLE spendra.key_hashes (
    org_id text NOT NULL,
    key_id text NOT NULL,
    hash text NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key_id, hash),
    FOREIGN KEY (org_id, key_id) REFERENCES spendra.keys
);

CREATE TABLE spendra.budgets (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    name text NOT NULL,
    selector jsonb NOT NULL,
    period text NOT NULL
        CHECK (period IN ('hour', 'day', 'week', 'month', 'quarter', 'year', 'fixed', 'none')),
    timezone text NOT NULL DEFAULT 'UTC',
    starts_at timestamptz,
    ends_at timestamptz,
    limit_nanousd bigint NOT NULL CHECK (limit_nanousd >= 0),
    kind text NOT NULL CHECK (kind IN ('hard', 'soft')),
    -- Grows with each edit of the limit; the newer limit wins everywhere.
    version bigint NOT NULL DEFAULT 1,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((period = 'fixed') = (starts_at IS NOT NULL AND ends_at IS NOT NULL)),
    CHECK (starts_at < ends_at)
);

CREATE TABLE spendra.policies (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    name text NOT NULL,
    selector jsonb NOT NULL,
    rules jsonb NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    PRIMARY KEY (org_id, id)
);

CREATE TABLE spendra.provider_routes (
    org_id text NOT NULL REFERENCES spendra.organizations,
    provider text NOT NULL,
    kind text NOT NULL,
    base_url text NOT NULL,
    credential_sealed bytea,
    -- The name of a file at the sidecars that holds it instead.
    credential_file text,
    -- Whose requests it is for: a selector over what keys are bound to; empty: everybody's.
    scope jsonb NOT NULL DEFAULT '{}',
    models jsonb NOT NULL,
    fallbacks jsonb NOT NULL DEFAULT '[]',
    parameters jsonb NOT NULL DEFAULT '{}',
    model_names jsonb NOT NULL DEFAULT '{}',
    ceilings_nanousd jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, provider),
    CHECK (credential_sealed IS NULL OR credential_file IS NULL)
);

-- Segments that have to be compiled anew for the next snapshot: the triggers below note what a
-- change touches, publishing takes it out.
CREATE TABLE spendra.stale_segments (
    org_id text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- Of a table with an org_id; its argument is the segment that its rows are in.
CREATE FUNCTION spendra.segment_is_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spendra.stale_segments (org_id, name)
    VALUES (CASE WHEN TG_OP = 'DELETE' THEN OLD.org_id ELSE NEW.org_id END, TG_ARGV[0])
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION spendra.organization_is_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spendra.stale_segments (org_id, name)
    SELECT NEW.id, unnest(ARRAY['policy', 'prices', 'secrets'])
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION spendra.key_is_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spendra.stale_segments (org_id, name)
    SELECT DISTINCT org_id, 'keys/' || lpad(to_hex(shard::integer), 2, '0')
    FROM spendra.keys
    WHERE org_id = NEW.org_id AND (id = NEW.id OR delegated_from @> ARRAY[NEW.id])
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION spendra.key_hash_is_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spendra.stale_segments (org_id, name)
    SELECT org_id, 'keys/' || lpad(to_hex(shard::integer), 2, '0')
    FROM spendra.keys
    WHERE org_id = NEW.org_id AND id = NEW.key_id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

-- What is above a scope, or whether it is closed, is in each key that is bound to it.
CREATE FUNCTION spendra.scopes_are_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spendra.stale_segments (org_id, name)
    SELECT DISTINCT org_id, 'keys/' || lpad(to_hex(shard::integer), 2, '0')
    FROM spendra.keys
    WHERE org_id = CASE WHEN TG_OP = 'DELETE' THEN OLD.org_id ELSE NEW.org_id END
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER stale AFTER INSERT OR UPDATE OF default_output_tokens, key_pepper_sealed
    ON spendra.organizations FOR EACH ROW EXECUTE FUNCTION spendra.organization_is_stale();
CREATE TRIGGER stale AFTER INSERT OR UPDATE
    ON spendra.keys FOR EACH ROW EXECUTE FUNCTION spendra.key_is_stale();
CREATE TRIGGER stale AFTER INSERT OR UPDATE
    ON spendra.key_hashes FOR EACH ROW EXECUTE FUNCTION spendra.key_hash_is_stale();
CREATE TRIGGER stale AFTER UPDATE OF state
    ON spendra.scopes FOR EACH ROW EXECUTE FUNCTION spendra.scopes_are_stale();
CREATE TRIGGER stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.scope_parents FOR EACH ROW EXECUTE FUNCTION spendra.scopes_are_stale();
CREATE TRIGGER stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.budgets FOR EACH ROW EXECUTE FUNCTION spendra.segment_is_stale('policy');
CREATE TRIGGER stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.policies FOR EACH ROW EXECUTE FUNCTION spendra.segment_is_stale('policy');
CREATE TRIGGER stale AFTER INSERT OR UPDATE OR DELETE
    ON spendra.provider_routes FOR EACH ROW EXECUTE FUNCTION spendra.segment_is_stale('secrets');

-- Segments are kept for the newest snapshots only; manifests and signatures for the last thousand.
CREATE TABLE spendra.segments (
    org_id text NOT NULL REFERENCES spendra.organizations,
    hash text NOT NULL,
    bytes bytea NOT NULL,
    sealed boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, hash)
);

CREATE TABLE spendra.snapshots (
    org_id text NOT NULL REFERENCES spendra.organizations,
    version bigint NOT NULL,
    manifest bytea NOT NULL,
    signature bytea NOT NULL,
    -- Name of each segment to the SHA-256 of its plaintext.
    segments jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, version)
);

CREATE TABLE spendra.sidecars (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    -- The snapshot it obeys; a refused one leaves the last good one in force.
    snapshot_version bigint,
    refused_version bigint,
    refused_count bigint NOT NULL DEFAULT 0,
    error text,
    -- The event stream it holds now, if any, and the token that opened the last one.
    connection_id uuid,
    token_id text,
    connected_at timestamptz,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
