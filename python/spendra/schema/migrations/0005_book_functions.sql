-- What the worker and operators do to the record: corrections, lost money, partitions.
-- Each function is the whole of one transaction's work. Sidecars may call none of them.

-- Closes the current generation, so that the next request rebuilds the live balances from
-- Postgres. Nothing reserved under the old one can become durable any more.
CREATE FUNCTION spendra.close_generation(p_org text, p_by text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    INSERT INTO closed_generations (org_id, generation)
    SELECT org_id, generation FROM generations WHERE org_id = p_org
    ON CONFLICT DO NOTHING;
    UPDATE generations SET generation = replace(gen_random_uuid()::text, '-', ''),
        raised_by = p_by, raised_at = now()
    WHERE org_id = p_org;
END $$;

-- Closes a generation whose balances were found wrong, and records why; false when it is not the
-- current one any more, or one was closed less than half a minute ago.
CREATE FUNCTION spendra.reconcile(p_org text, p_generation text, p_findings jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    IF (SELECT generation FROM generations WHERE org_id = p_org) IS DISTINCT FROM p_generation
       OR EXISTS (SELECT FROM reconciliations
                  WHERE org_id = p_org AND reconciled_at > now() - interval '30 seconds') THEN
        RETURN false;
    END IF;
    PERFORM close_generation(p_org, 'reconciliation');
    INSERT INTO reconciliations (org_id, generation, findings)
    VALUES (p_org, p_generation, p_findings);
    RETURN true;
END $$;

-- Books a correction and returns its id. Where an account is still live, the balances in Redis
-- follow by a rebuild. Repeating an id changes nothing.
CREATE FUNCTION spendra.adjust(
    p_org text, p_id uuid, p_kind text, p_amount bigint, p_reason text, p_by text,
    p_decision uuid, p_reservation uuid, p_accounts text[], p_expense text, p_payable text
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    batch bigint;
BEGIN
    PERFORM require_own(p_org);
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    IF EXISTS (SELECT FROM adjustments WHERE org_id = p_org AND adjustment_id = p_id) THEN
        RETURN p_id;
    END IF;
    batch := nextval('spendra.batches');
    INSERT INTO adjustments (
        org_id, adjustment_id, batch_id, kind, amount_nanousd, reason, booked_by, decision_id,
        reservation_id, account_ids, expense, payable)
    VALUES (p_org, p_id, batch, p_kind, p_amount, p_reason, p_by, p_decision, p_reservation,
            p_accounts, p_expense, p_payable);
    INSERT INTO ledger_entries (
        org_id, batch_id, kind, account, amount_nanousd, decision_id, reservation_id)
    VALUES (p_org, batch, 'adjustment', p_expense, p_amount, p_decision, p_reservation),
           (p_org, batch, 'adjustment', p_payable, -p_amount, p_decision, p_reservation);
    INSERT INTO account_movements (org_id, account_id, batch_id, settled_nanousd, events)
    SELECT p_org, named.id, batch, p_amount, 0 FROM unnest(p_accounts) AS named(id);
    IF EXISTS (SELECT FROM accounts
               WHERE org_id = p_org AND account_id = ANY (p_accounts)
                 AND window_end > now() - interval '1 hour') THEN
        PERFORM close_generation(p_org, 'adjustment');
    END IF;
    RETURN p_id;
END $$;

-- Books a correction of one ended reservation, on its own accounts. Raises no_data_found when
-- there is none. p_cost: what it should have cost in all; null: p_amount is added.
CREATE FUNCTION spendra.adjust_event(
    p_org text, p_id uuid, p_kind text, p_reservation uuid, p_cost bigint, p_amount bigint,
    p_reason text, p_by text
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    event spend_events;
    change bigint := p_amount;
BEGIN
    PERFORM require_own(p_org);
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org));
    SELECT * INTO STRICT event FROM spend_events e
    WHERE e.org_id = p_org AND e.reservation_id = p_reservation;
    IF p_cost IS NOT NULL THEN
        SELECT p_cost - event.cost_nanousd - COALESCE(sum(d.amount_nanousd), 0) INTO change
        FROM adjustments d WHERE d.org_id = p_org AND d.reservation_id = p_reservation;
    END IF;
    IF change = 0 THEN
        RETURN NULL;
    END IF;
    RETURN adjust(p_org, p_id, p_kind, change, p_reason, p_by, event.decision_id, p_reservation,
                  event.account_ids, 'expense:' || cost_center(event.facts),
                  'payable:' || event.provider);
END $$;

CREATE FUNCTION spendra.cost_center(p_facts jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(p_facts #>> '{cost_center,0}', p_facts #>> '{label:cost_center,0}',
                p_facts #>> '{project,0}', p_facts #>> '{team,0}', 'unassigned');

-- Books as adjustments what came after lost reservations were ended; returns how many.
CREATE FUNCTION spendra.book_evidence(p_org text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    late record;
    booked integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(ledger_lock(p_org))
    WHERE EXISTS (SELECT FROM late_evidence WHERE org_id = p_org);
    FOR late IN
        SELECT l.*, e.reason AS ended_as FROM late_evidence l
        LEFT JOIN spend_events e ON e.org_id = p_org AND e.reservation_id = l.reservation_id
        WHERE l.org_id = p_org AND (e.reason IS NOT NULL OR l.received_at < now() - interval '1 minute')
        LIMIT 1000 FOR UPDATE OF l SKIP LOCKED
    LOOP
        IF ended_without_evidence(late.ended_as) AND adjust_event(
               p_org, gen_random_uuid(), 'evidence', late.reservation_id, late.cost_nanousd, NULL,
               'settled after it was lost: ' || late.reason || ', ' || late.usage_confidence,
               'worker') IS NOT NULL THEN
            booked := booked + 1;
        END IF;
        DELETE FROM late_evidence
        WHERE org_id = p_org AND reservation_id = late.reservation_id;
    END LOOP;
    RETURN booked;
END $$;

-- When an operator may end a lost reservation: a lease after its label, since a sidecar that only
-- slept may send what it reserved until it is a lease old. 15 s: the default, where none is known.
CREATE FUNCTION spendra.endable_at(p_org text, p_sidecar text, p_lost_at timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, spendra AS $$
    SELECT p_lost_at + make_interval(secs => COALESCE(
        (SELECT lease_s FROM sidecar_leases WHERE org_id = p_org AND sidecar_id = p_sidecar), 15))
$$;

-- Ends a lost reservation by an operator's word: released (p_cost null) or posted at an amount.
-- Returns its outcome, or nothing when it is not lost or may not be ended yet.
CREATE FUNCTION spendra.end_lost(
    p_org text, p_reservation uuid, p_cost bigint, p_reason text, p_by text
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    model text;
    outcome text := CASE WHEN p_cost IS NULL THEN 'voided' ELSE 'posted' END;
BEGIN
    PERFORM require_own(p_org);
    SELECT r.requested_model INTO model FROM reservations r
    WHERE r.org_id = p_org AND r.reservation_id = p_reservation AND r.state = 'lost'
      AND endable_at(p_org, r.sidecar_id, r.lost_at) <= now() FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF p_cost IS NULL THEN
        PERFORM end_one(p_org, p_reservation, 'voided', 'released_by_hand', 0, '', 'none');
    ELSE
        PERFORM end_one(p_org, p_reservation, 'posted', 'posted_by_hand', p_cost, model,
                        'estimated');
    END IF;
    INSERT INTO lost_endings (org_id, reservation_id, ended_by, outcome, cost_nanousd, reason)
    VALUES (p_org, p_reservation, p_by, outcome, COALESCE(p_cost, 0), p_reason);
    RETURN outcome;
END $$;

-- Makes the partitions of a month and of those after it, for every table partitioned by time; the
-- names of what was made. Rows of such a month that fell into the default partition move.
CREATE FUNCTION spendra.make_partitions(p_from date, p_months integer) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra
SET timezone = 'UTC' AS $$
DECLARE
    month timestamptz;
    parent text;
    made text[] := '{}';
BEGIN
    FOREACH parent IN ARRAY ARRAY['spend_events', 'ledger_entries', 'refusals'] LOOP
        FOR month IN SELECT generate_series(
            date_trunc('month', p_from::timestamptz), p_from::timestamptz
            + make_interval(months => p_months), interval '1 month')
        LOOP
            made := array_remove(made || make_partition(parent, month), NULL);
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- By what a table is partitioned.
CREATE FUNCTION spendra.partitioned_by(p_parent text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_parent WHEN 'spend_events' THEN 'reserved_at'
        WHEN 'ledger_entries' THEN 'booked_at' ELSE 'refused_at' END
$$;

-- Its name, or null where it is there. Attaching locks the parent against other changes of its shape only; the default partition is
-- locked whole, and nobody writes there unless a month is missing.
CREATE FUNCTION spendra.make_partition(p_parent text, p_month timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra
SET timezone = 'UTC' AS $$
DECLARE
    name text := p_parent || to_char(p_month, '_YYYY_MM');
    rest text := p_parent || '_default';
    bounds text := format('FOR VALUES FROM (%L) TO (%L)', p_month, p_month + interval '1 month');
    time_column text := partitioned_by(p_parent);
    columns text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('spendra partitions', 0));
    IF to_regclass(format('spendra.%I', name)) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE spendra.%I (LIKE spendra.%I INCLUDING DEFAULTS INCLUDING '
                   'GENERATED INCLUDING CONSTRAINTS)', name, p_parent);
    EXECUTE format('LOCK TABLE spendra.%I IN ACCESS EXCLUSIVE MODE', rest);
    SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
    WHERE attrelid = format('spendra.%I', p_parent)::regclass AND attnum > 0
      AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('ALTER TABLE spendra.%I DISABLE TRIGGER USER', rest);
    EXECUTE format(
        'WITH moved AS (DELETE FROM spendra.%I WHERE %I >= %L AND %I < %L RETURNING %s) '
        'INSERT INTO spendra.%I (%s) SELECT %s FROM moved', rest, time_column, p_month,
        time_column, p_month + interval '1 month', columns, name, columns, columns);
    EXECUTE format('ALTER TABLE spendra.%I ENABLE TRIGGER USER', rest);
    EXECUTE format('ALTER TABLE spendra.%I ATTACH PARTITION spendra.%I %s', p_parent, name, bounds);
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.%I '
                   'EXECUTE FUNCTION spendra.refuse_change()', name);
    RETURN name;
END $$;

-- Brings the indexes by batch up to date, so that reading the newest batches stays short.
CREATE FUNCTION spendra.summarize_batches() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT COALESCE(sum(brin_summarize_new_values(c.oid)), 0)
    FROM pg_class c JOIN pg_am a ON a.oid = c.relam
    WHERE c.relnamespace = 'spendra'::regnamespace AND c.relkind = 'i' AND a.amname = 'brin'
$$;

-- Statement triggers are not inherited.
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.spend_events_default
    EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.ledger_entries_default
    EXECUTE FUNCTION spendra.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON spendra.refusals_default
    EXECUTE FUNCTION spendra.refuse_change();

SELECT spendra.make_partitions(current_date, 2);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spendra FROM PUBLIC;
