-- name: raise
-- The notice and what is to be sent of it, in one statement; no row when it was raised before.
WITH raised AS (
    INSERT INTO spendra.notices (org_id, event, subject, period, budget_id, facts)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (org_id, event, subject, period) DO NOTHING
    RETURNING id
), wanted AS (
    SELECT DISTINCT s.channel_id
    FROM spendra.subscriptions s
    JOIN spendra.channels c ON c.org_id = s.org_id AND c.id = s.channel_id
    WHERE s.org_id = $1 AND c.state = 'active'
        AND ($5::text IS NULL OR s.budget_ids IS NULL OR $5 = ANY (s.budget_ids))
        AND EXISTS (
            SELECT FROM unnest(s.events) AS wish
            WHERE wish IN ('*', $2) OR (wish LIKE '%.*' AND starts_with($2, left(wish, -1))))
), sent AS (
    INSERT INTO spendra.deliveries (org_id, notice_id, channel_id)
    SELECT $1, raised.id, wanted.channel_id FROM raised, wanted
)
SELECT id FROM raised;

-- name: raise_to
-- To one channel, whatever it is subscribed to.
WITH raised AS (
    INSERT INTO spendra.notices (org_id, event, subject, period, facts)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING id
)
INSERT INTO spendra.deliveries (org_id, notice_id, channel_id)
SELECT $1, raised.id, $3 FROM raised
RETURNING id;

-- name: page
SELECT id, raised_at, event, subject, period, budget_id, facts
FROM spendra.notices
WHERE org_id = $1 AND ($2::text IS NULL OR event = $2)
    AND ($3::timestamptz IS NULL OR (raised_at, id) < ($3, $4::uuid))
ORDER BY raised_at DESC, id DESC LIMIT $5;

-- name: delivery
SELECT d.id, d.notice_id, d.channel_id, n.event, d.state, d.attempts, d.created_at,
    d.next_attempt_at, d.attempted_at, d.delivered_at, d.last_error
FROM spendra.deliveries d
JOIN spendra.notices n ON n.org_id = d.org_id AND n.id = d.notice_id
WHERE d.org_id = $1 AND d.id = $2;

-- name: deliveries
SELECT d.id, d.notice_id, d.channel_id, n.event, d.state, d.attempts, d.created_at,
    d.next_attempt_at, d.attempted_at, d.delivered_at, d.last_error
FROM spendra.deliveries d
JOIN spendra.notices n ON n.org_id = d.org_id AND n.id = d.notice_id
WHERE d.org_id = $1
    AND ($2::text IS NULL OR d.state = $2)
    AND ($3::text IS NULL OR d.channel_id = $3)
    AND ($4::uuid IS NULL OR d.notice_id = $4)
    AND ($5::timestamptz IS NULL OR (d.created_at, d.id) < ($5, $6::uuid))
ORDER BY d.created_at DESC, d.id DESC LIMIT $7;

-- name: replay
-- It becomes a job again, with its attempts before it.
UPDATE spendra.deliveries
SET state = 'waiting', attempts = 0, queued_at = NULL, next_attempt_at = NULL
WHERE org_id = $1 AND id = $2 AND state <> 'waiting'
RETURNING id;

-- name: unqueued
-- What is no job yet, and what should have been tried by now: its job may be gone.
SELECT org_id, id FROM spendra.deliveries
WHERE state = 'waiting'
    AND coalesce(next_attempt_at, queued_at, '-infinity') < now() - $1::interval
ORDER BY created_at LIMIT 1000;

-- name: queued
UPDATE spendra.deliveries d SET queued_at = now()
FROM unnest($1::text[], $2::uuid[]) AS q (org_id, id)
WHERE d.org_id = q.org_id AND d.id = q.id AND d.state = 'waiting';

-- name: attempt
-- No row when there is nothing to do any more: it was delivered, or is dead.
WITH mine AS (
    UPDATE spendra.deliveries SET attempts = attempts + 1, attempted_at = now()
    WHERE org_id = $1 AND id = $2 AND state = 'waiting'
    RETURNING org_id, id, notice_id, channel_id, attempts
)
SELECT mine.id, mine.attempts, c.id AS channel_id, c.kind, c.state, c.address_sealed,
    c.signing_sealed, n.id AS notice_id, n.raised_at, n.event, n.subject, n.facts
FROM mine
JOIN spendra.channels c ON c.org_id = mine.org_id AND c.id = mine.channel_id
JOIN spendra.notices n ON n.org_id = mine.org_id AND n.id = mine.notice_id;

-- name: delivered
UPDATE spendra.deliveries
SET state = 'delivered', delivered_at = now(), next_attempt_at = NULL, last_error = NULL
WHERE org_id = $1 AND id = $2;

-- name: failed
UPDATE spendra.deliveries SET last_error = $3, next_attempt_at = now() + $4::interval
WHERE org_id = $1 AND id = $2 AND state = 'waiting';

-- name: dead
UPDATE spendra.deliveries SET state = 'dead', last_error = $3, next_attempt_at = NULL
WHERE org_id = $1 AND id = $2 AND state = 'waiting';

-- name: counts
SELECT state, count(*) AS deliveries FROM spendra.deliveries
WHERE state <> 'delivered' GROUP BY state;

-- name: forget_logs
DELETE FROM spendra.job_log WHERE created < now() - interval '7 days';

-- name: forget_statistics
DELETE FROM spendra.job_statistics WHERE created < now() - interval '90 days';
