-- Every change of what operators write, by whom, and what it was before: written by triggers, so
-- that no path around the API leaves it out.

CREATE TABLE spendra.audit (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id bigint GENERATED ALWAYS AS IDENTITY,
    happened_at timestamptz NOT NULL DEFAULT now(),
    -- As the API names its caller, or the database role where the change came from elsewhere.
    actor text NOT NULL,
    token_id text,
    request_id text,
    reason text,
    action text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    what text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    batch_id bigint NOT NULL DEFAULT nextval('spendra.batches'),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX audit_by_batch ON spendra.audit (org_id, batch_id);
CREATE INDEX audit_by_subject ON spendra.audit (org_id, what, subject, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.audit
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.audit
    EXECUTE FUNCTION spendra.refuse_change();

-- A row as the audit shows it: of what is secret only a print, so that a change of it is seen.
CREATE FUNCTION spendra.audited(p_row jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, CASE
        WHEN (key LIKE '%\_sealed' OR key IN ('sha256', 'hash')) AND value <> 'null' THEN
            to_jsonb(left(encode(sha256(convert_to(value #>> '{}', 'UTF8')), 'hex'), 12))
        ELSE value END)
    FROM jsonb_each(p_row)
    -- Bookkeeping that goes with every change, or with none that a person made.
    WHERE key NOT IN ('config_version', 'min_version', 'updated_at', 'last_used_at')
$$;

CREATE FUNCTION spendra.write_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = spendra, pg_temp AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN audited(to_jsonb(OLD)) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN audited(to_jsonb(NEW)) END;
    named jsonb := coalesce(new_row, old_row);
BEGIN
    IF old_row IS NOT DISTINCT FROM new_row THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit (org_id, actor, token_id, request_id, reason, action, what, subject,
        before, after)
    VALUES (
        coalesce(named ->> 'org_id', named ->> 'id'),
        coalesce(nullif(current_setting('spendra.actor', true), ''),
            'database role ' || session_user),
        nullif(current_setting('spendra.token_id', true), ''),
        nullif(current_setting('spendra.request_id', true), ''),
        nullif(current_setting('spendra.reason', true), ''),
        lower(TG_OP), TG_TABLE_NAME,
        coalesce(named ->> 'id', named ->> 'key_id', named ->> 'provider',
            named ->> 'domain', named ->> 'issuer', named ->> 'month', named ->> 'tier',
            (named ->> 'kind') || '/' || (named ->> 'name')),
        old_row, new_row);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION spendra.audited, spendra.write_audit FROM PUBLIC;

DO $$
DECLARE
    audited_table text;
BEGIN
    FOREACH audited_table IN ARRAY ARRAY['organizations', 'scopes', 'scope_parents', 'keys',
        'key_hashes', 'budgets', 'policies', 'provider_routes', 'members', 'member_tokens',
        'admin_tokens', 'sidecar_tokens'] LOOP
        EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.%I '
            'FOR EACH ROW EXECUTE FUNCTION spendra.write_audit()', audited_table);
    END LOOP;
END $$;
