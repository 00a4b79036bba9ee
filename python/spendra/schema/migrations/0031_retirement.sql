-- Months of the books that are no longer kept, and what must still be known of them: how much they
-- came to on each account, and what their sealed rows hashed to. `cost_nanousd`: of the events.
CREATE TABLE spendra.retirements (
    org_id        text NOT NULL REFERENCES spendra.organizations,
    month         date NOT NULL,
    retired_at    timestamptz NOT NULL DEFAULT now(),
    events        bigint NOT NULL,
    entries       bigint NOT NULL,
    cost_nanousd  bigint NOT NULL,
    PRIMARY KEY (org_id, month, retired_at)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON spendra.retirements
    FOR EACH ROW EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.retirements
    EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER audit AFTER INSERT ON spendra.retirements
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

-- By account of the ledger.
CREATE TABLE spendra.retired_entries (
    org_id          text NOT NULL,
    account         text NOT NULL,
    amount_nanousd  bigint NOT NULL,
    PRIMARY KEY (org_id, account)
);

-- How many rows of a seal are gone. `leaves`: the leaf hashes of all its rows, in order, for as
-- long as some are left to be checked.
CREATE TABLE spendra.retired_seals (
    org_id  text NOT NULL,
    chain   text NOT NULL,
    number  bigint NOT NULL,
    rows    bigint NOT NULL,
    leaves  bytea,
    PRIMARY KEY (org_id, chain, number)
);
CREATE INDEX seals_by_batch ON spendra.seals (org_id, chain, last_batch);

-- From when on an organization's books are whole.
CREATE FUNCTION spendra.kept_since(p_org text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra SET timezone = 'UTC' AS $$
    SELECT coalesce(max(month) + interval '1 month', '-infinity')::timestamptz
    FROM retirements WHERE org_id = p_org
$$;

-- Months of a partitioned table that are not among so many before the current one; the oldest first.
CREATE FUNCTION spendra.months_beyond(p_parent text, p_months integer)
RETURNS SETOF date LANGUAGE plpgsql STABLE SET search_path = pg_catalog, spendra
SET timezone = 'UTC' AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT month FROM (
             SELECT to_date(right(c.relname, 7), ''YYYY_MM'') AS month
             FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = ''spendra.%1$I''::regclass AND c.relname <> %2$L
             UNION SELECT date_trunc(''month'', %3$I)::date FROM %2$I WHERE %3$I < %4$L) found
         WHERE month + interval ''1 month'' <= %4$L ORDER BY month',
        p_parent, p_parent || '_default', partitioned_by(p_parent),
        date_trunc('month', now()) - make_interval(months => p_months));
END $$;

-- What of the month fell into the default partition goes too.
CREATE FUNCTION spendra.drop_month(p_parent text, p_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra
SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
DECLARE
    name text := p_parent || to_char(p_month, '_YYYY_MM');
BEGIN
    PERFORM make_partition(p_parent, p_month::timestamptz);
    EXECUTE format('ALTER TABLE spendra.%I DETACH PARTITION spendra.%I', p_parent, name);
    EXECUTE format('DROP TABLE spendra.%I', name);
END $$;

-- Takes a month out of the books, for all organizations. What remains adds up as before, and fits
-- its seals. Returns why it cannot be yet, or null when it is done; in the caller's transaction.
CREATE FUNCTION spendra.retire_month(p_month date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra
SET timezone = 'UTC' AS $$
DECLARE
    ends timestamptz := p_month + interval '1 month';
    events text := 'spend_events' || to_char(p_month, '_YYYY_MM');
    entries text := 'ledger_entries' || to_char(p_month, '_YYYY_MM');
    obstacle text;
BEGIN
    PERFORM make_partition('spend_events', p_month::timestamptz),
        make_partition('ledger_entries', p_month::timestamptz);
    EXECUTE format('LOCK TABLE %I, %I IN SHARE MODE', events, entries);
    SELECT r.org_id || ': a reservation of ' || r.reserved_at || ' is open' INTO obstacle
    FROM reservations r WHERE r.reserved_at < ends LIMIT 1;
    IF obstacle IS NULL THEN
        EXECUTE format(
            'SELECT n.org_id || '': batch '' || n.batch || '' is not sealed'' FROM (
                 SELECT ''spend_events'' AS chain, org_id, max(batch_id) AS batch FROM %I GROUP BY 2
                 UNION ALL SELECT ''ledger_entries'', org_id, max(batch_id) FROM %I GROUP BY 2) n
             WHERE n.batch > coalesce((SELECT max(s.last_batch) FROM seals s
                 WHERE s.org_id = n.org_id AND s.chain = n.chain), 0) LIMIT 1', events, entries)
        INTO obstacle;
    END IF;
    IF obstacle IS NULL THEN
        EXECUTE format(
            'SELECT n.org_id || '': batch '' || n.batch || '' is in no rollup''
             FROM (SELECT org_id, max(batch_id) AS batch FROM %I GROUP BY 1) n
             LEFT JOIN rollup_marks m USING (org_id)
             WHERE n.batch > coalesce(m.batch_id, 0) LIMIT 1', events)
        INTO obstacle;
    END IF;
    IF obstacle IS NOT NULL THEN
        RETURN obstacle;
    END IF;
    PERFORM retire_rows('spend_events', events, 'reservation_id');
    PERFORM retire_rows('ledger_entries', entries, 'entry_id');
    EXECUTE format(
        'INSERT INTO retirements (org_id, month, events, entries, cost_nanousd)
         SELECT o.id, %L, coalesce(e.events, 0), coalesce(l.entries, 0), coalesce(e.nanousd, 0)
         FROM organizations o
         LEFT JOIN (SELECT org_id, count(*) AS events, sum(cost_nanousd) AS nanousd FROM %I
                    GROUP BY 1) e ON e.org_id = o.id
         LEFT JOIN (SELECT org_id, count(*) AS entries FROM %I GROUP BY 1) l ON l.org_id = o.id',
        p_month, events, entries);
    EXECUTE format(
        'INSERT INTO retired_entries AS known (org_id, account, amount_nanousd)
         SELECT org_id, account, sum(amount_nanousd) FROM %I GROUP BY 1, 2
         ON CONFLICT (org_id, account)
         DO UPDATE SET amount_nanousd = known.amount_nanousd + excluded.amount_nanousd', entries);
    -- Last, because the accounts stay locked until the end.
    EXECUTE format(
        'UPDATE accounts a SET retired_nanousd = a.retired_nanousd + g.cost,
             retired_overrun_nanousd = a.retired_overrun_nanousd + g.overrun
         FROM (SELECT e.org_id, named.account_id, sum(e.cost_nanousd) AS cost,
                   sum(e.overrun_nanousd) AS overrun
               FROM %I e CROSS JOIN LATERAL unnest(e.account_ids) AS named (account_id)
               WHERE e.outcome = ''posted'' GROUP BY 1, 2) g
         WHERE a.org_id = g.org_id AND a.account_id = g.account_id', events);
    PERFORM drop_month('spend_events', p_month), drop_month('ledger_entries', p_month);
    RETURN NULL;
END $$;

-- Counts the rows of a partition that goes by the seals that they are in, and keeps the leaves of
-- those seals that keep rows.
CREATE FUNCTION spendra.retire_rows(p_chain text, p_partition text, p_key text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra
SET timezone = 'UTC' AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO retired_seals AS known (org_id, chain, number, rows)
         SELECT b.org_id, %1$L, s.number, sum(b.rows)
         FROM (SELECT org_id, batch_id, count(*) AS rows FROM %2$I GROUP BY 1, 2) b
         CROSS JOIN LATERAL (
             SELECT number FROM seals
             WHERE org_id = b.org_id AND chain = %1$L AND last_batch >= b.batch_id
             ORDER BY last_batch LIMIT 1) s
         GROUP BY 1, 2, 3
         ON CONFLICT (org_id, chain, number) DO UPDATE SET rows = known.rows + excluded.rows',
        p_chain, p_partition);
    UPDATE retired_seals r SET leaves = NULL FROM seals s
    WHERE s.org_id = r.org_id AND s.chain = r.chain AND s.number = r.number
        AND r.chain = p_chain AND r.leaves IS NOT NULL AND r.rows = s.rows;
    EXECUTE format(
        'UPDATE retired_seals r SET leaves = (
             SELECT string_agg(
                 sha256(''\x00''::bytea || convert_to(jsonb_strip_nulls(to_jsonb(row))::text, ''UTF8'')),
                 ''''::bytea ORDER BY row.batch_id, row.%2$I)
             FROM %1$I AS row
             WHERE row.org_id = s.org_id AND row.batch_id > s.first_batch
                 AND row.batch_id <= s.last_batch)
         FROM seals s
         WHERE s.org_id = r.org_id AND s.chain = r.chain AND s.number = r.number
             AND r.chain = %1$L AND r.leaves IS NULL AND r.rows < s.rows', p_chain, p_key);
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spendra FROM PUBLIC;
