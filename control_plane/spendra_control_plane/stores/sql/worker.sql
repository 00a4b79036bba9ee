-- name: organizations
SELECT id FROM spendra.organizations ORDER BY id;

-- name: generation
SELECT spendra.current_generation($1);

-- name: reconcile
SELECT spendra.reconcile($1, $2, $3);

-- name: book_evidence
SELECT spendra.book_evidence($1);

-- name: closed_generations
SELECT generation FROM spendra.closed_generations WHERE org_id = $1;

-- name: forget_generation
DELETE FROM spendra.closed_generations WHERE org_id = $1 AND generation = $2;

-- name: lost
SELECT coalesce(sum(reserved_nanousd), 0)::bigint FROM spendra.reservations
WHERE org_id = $1 AND state = 'lost';

-- name: summarize
SELECT spendra.summarize_batches();

-- name: make_partitions
SELECT spendra.make_partitions((now() AT TIME ZONE 'UTC')::date, 2);
