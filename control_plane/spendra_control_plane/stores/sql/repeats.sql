-- name: claim
-- True when the key was free.
INSERT INTO spendra.api_repeats (org_id, key, request_sha256)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING true;

-- name: get
SELECT request_sha256, status, answer_sealed FROM spendra.api_repeats WHERE org_id = $1 AND key = $2;

-- name: keep
UPDATE spendra.api_repeats SET status = $3, answer_sealed = $4 WHERE org_id = $1 AND key = $2;

-- name: forget
DELETE FROM spendra.api_repeats WHERE org_id = $1 AND key = $2;

-- name: forget_old
DELETE FROM spendra.api_repeats WHERE claimed_at < now() - interval '24 hours';
