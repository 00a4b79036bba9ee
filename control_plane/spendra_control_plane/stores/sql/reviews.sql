-- name: get
SELECT * FROM spendra.review_requests_now
WHERE org_id = $1 AND id = $2 AND spendra.is_within($3::jsonb, facts);

-- name: lock
SELECT id FROM spendra.review_requests WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- name: decide
UPDATE spendra.review_requests
SET decision = $3, decided_by = $4, decided_at = now(), note = $5,
    expires_at = now() + make_interval(secs => $6)
WHERE org_id = $1 AND id = $2;

-- name: page
SELECT * FROM spendra.review_requests_now
WHERE org_id = $1 AND id > $3 AND spendra.is_within($5::jsonb, facts)
    AND ($2::text IS NULL OR state = $2)
ORDER BY id
LIMIT $4;
