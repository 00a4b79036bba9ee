-- name: act
-- Of this connection, until it goes back to the pool.
SELECT set_config('spendra.actor', $1, false), set_config('spendra.token_id', $2, false),
    set_config('spendra.request_id', $3, false), set_config('spendra.reason', $4, false),
    set_config('spendra.org_id', $5, false),
    set_config('role', CASE $5 WHEN '' THEN 'none' ELSE 'spendra_tenant' END, false);

-- name: page
SELECT id, happened_at, actor, token_id, request_id, reason, action, what, subject, before, after
FROM spendra.audit
WHERE org_id = $1
    AND ($2::timestamptz IS NULL OR happened_at >= $2)
    AND ($3::timestamptz IS NULL OR happened_at < $3)
    AND ($4::text IS NULL OR actor = $4)
    AND ($5::text IS NULL OR what = $5)
    AND ($6::text IS NULL OR subject = $6)
    AND ($7::bigint IS NULL OR id < $7)
ORDER BY id DESC
LIMIT $8;
