-- Row-level security: what the control plane does for a caller it does as `spendra_tenant`, and of
-- every table that role sees the rows of one organization only, the one in `spendra.org_id`.

DO $$
DECLARE
    tenant_table record;
    own text;
BEGIN
    IF to_regrole('spendra_tenant') IS NULL THEN
        CREATE ROLE spendra_tenant NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, 'spendra_tenant', 'MEMBER') THEN
        EXECUTE format('GRANT spendra_tenant TO %I', current_user);
    END IF;
    GRANT USAGE ON SCHEMA spendra TO spendra_tenant;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA spendra TO spendra_tenant;
    -- Partitions are reached through their parents, whose policies hold there.
    FOR tenant_table IN
        SELECT c.oid, c.relname, a.attname FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid
            AND a.attname = CASE c.relname WHEN 'organizations' THEN 'id' ELSE 'org_id' END
        WHERE c.relnamespace = 'spendra'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition
    LOOP
        own := format('%I = current_setting(''spendra.org_id'', true)', tenant_table.attname);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON spendra.%I TO spendra_tenant',
                       tenant_table.relname);
        EXECUTE format('ALTER TABLE spendra.%I ENABLE ROW LEVEL SECURITY', tenant_table.relname);
        EXECUTE format('CREATE POLICY own ON spendra.%I TO spendra_tenant USING (%s) WITH CHECK (%s)',
                       tenant_table.relname, own, own);
    END LOOP;
    -- Views are looked through with the rights of whoever looks.
    FOR tenant_table IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'spendra'::regnamespace AND relkind = 'v'
    LOOP
        EXECUTE format('ALTER VIEW spendra.%I SET (security_invoker = true)', tenant_table.relname);
        EXECUTE format('GRANT SELECT ON spendra.%I TO spendra_tenant', tenant_table.relname);
    END LOOP;
END $$;

GRANT SELECT ON spendra.migrations TO spendra_tenant;
GRANT EXECUTE ON FUNCTION
    spendra.adjust, spendra.adjust_event, spendra.end_lost, spendra.freeze, spendra.account_totals,
    spendra.require_own, spendra.kept_since, spendra.is_rolled_up, spendra.endable_at, spendra.spent, spendra.spent_on, spendra.key_last_used, spendra.exact_part, spendra.rolled_facts,
    spendra.booked_between, spendra.cost_center, spendra.selects, spendra.is_within,
    spendra.is_covered
    TO spendra_tenant;
