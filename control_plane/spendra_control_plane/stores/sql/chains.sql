-- Canonical rows: the row as jsonb without nulls, as text, with the session's time zone at UTC.
-- $1 organization, $2 above this batch, $3 up to this one, $4 at most so many rows.

-- name: utc
SET LOCAL timezone TO 'UTC';

-- name: spend_events
SELECT batch_id, reservation_id::text AS key, jsonb_strip_nulls(to_jsonb(r))::text AS line
FROM spendra.spend_events r
WHERE org_id = $1 AND batch_id > $2 AND batch_id <= $3 ORDER BY batch_id, reservation_id LIMIT $4;

-- name: ledger_entries
SELECT batch_id, entry_id::text AS key, jsonb_strip_nulls(to_jsonb(r))::text AS line
FROM spendra.ledger_entries r
WHERE org_id = $1 AND batch_id > $2 AND batch_id <= $3 ORDER BY batch_id, entry_id LIMIT $4;

-- name: adjustments
SELECT batch_id, adjustment_id::text AS key, jsonb_strip_nulls(to_jsonb(r))::text AS line
FROM spendra.adjustments r
WHERE org_id = $1 AND batch_id > $2 AND batch_id <= $3 ORDER BY batch_id, adjustment_id LIMIT $4;

-- name: audit
SELECT batch_id, id::text AS key, jsonb_strip_nulls(to_jsonb(r))::text AS line
FROM spendra.audit r
WHERE org_id = $1 AND batch_id > $2 AND batch_id <= $3 ORDER BY batch_id, id LIMIT $4;

-- name: issued
-- The newest batch that anybody has taken.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM spendra.batches;

-- name: writing
-- Transactions that have taken a batch and may still write it: nextval locks the sequence to the
-- transaction's end.
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'spendra.batches'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: claim_chain
SELECT pg_try_advisory_xact_lock(hashtextextended('spendra seal ' || $1 || ' ' || $2, 0));

-- name: head
SELECT org_id, chain, number, first_batch, last_batch, rows, to_jsonb(sealed_at) #>> '{}' AS sealed_at,
    encode(root, 'hex') AS root, encode(previous, 'hex') AS previous, encode(hash, 'hex') AS hash,
    encode(marks, 'hex') AS marks
FROM spendra.seals WHERE org_id = $1 AND chain = $2 ORDER BY number DESC LIMIT 1;

-- name: seals
SELECT org_id, chain, number, first_batch, last_batch, rows, to_jsonb(sealed_at) #>> '{}' AS sealed_at,
    encode(root, 'hex') AS root, encode(previous, 'hex') AS previous, encode(hash, 'hex') AS hash,
    encode(marks, 'hex') AS marks
FROM spendra.seals WHERE org_id = $1 AND chain = $2 AND number > $3 ORDER BY number LIMIT $4;

-- name: now
SELECT to_jsonb(now()) #>> '{}';

-- name: insert
INSERT INTO spendra.seals (org_id, chain, number, first_batch, last_batch, rows, sealed_at, root,
    previous, hash, marks)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz, decode($8, 'hex'), decode($9, 'hex'),
    decode($10, 'hex'), decode($11, 'hex'));

-- name: newest_batch
SELECT greatest(
    (SELECT coalesce(max(batch_id), 0) FROM spendra.spend_events WHERE org_id = $1),
    (SELECT coalesce(max(batch_id), 0) FROM spendra.ledger_entries WHERE org_id = $1),
    (SELECT coalesce(max(batch_id), 0) FROM spendra.adjustments WHERE org_id = $1),
    (SELECT coalesce(max(batch_id), 0) FROM spendra.audit WHERE org_id = $1));

-- name: accounts
SELECT a.account_id, a.opening_nanousd, a.retired_nanousd, (a.settled_nanousd + coalesce((
        SELECT sum(m.settled_nanousd) FROM spendra.account_movements m
        WHERE m.org_id = $1 AND m.account_id = a.account_id), 0))::bigint AS settled_nanousd
FROM spendra.accounts a WHERE a.org_id = $1 AND a.account_id > $2 ORDER BY a.account_id LIMIT $3;

-- name: open
SELECT reservation_id::text AS reservation_id, state, reserved_nanousd, account_ids
FROM spendra.reservations
WHERE org_id = $1 AND reservation_id > $2::text::uuid ORDER BY reservation_id LIMIT $3;

-- name: organizations
SELECT id FROM spendra.organizations ORDER BY id;

-- name: retired
-- Null: everything is kept.
SELECT to_jsonb(spendra.kept_since($1)) #>> '{}' AS kept_since,
    sum(events)::bigint AS events, sum(entries)::bigint AS entries,
    sum(cost_nanousd)::bigint AS cost_nanousd,
    (SELECT coalesce(jsonb_object_agg(account, amount_nanousd), '{}') FROM spendra.retired_entries
     WHERE org_id = $1) AS amounts
FROM spendra.retirements WHERE org_id = $1 HAVING count(*) > 0;

-- name: retired_seals
SELECT chain, number, rows, coalesce(encode(leaves, 'hex'), '') AS leaves
FROM spendra.retired_seals WHERE org_id = $1 AND (chain, number) > ($2, $3)
ORDER BY chain, number LIMIT $4;
