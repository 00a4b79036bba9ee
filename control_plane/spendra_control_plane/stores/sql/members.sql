-- name: caller
-- Who sent a token: an admin token (no member), or a member's.
SELECT org_id, id, NULL AS member_id, NULL AS kind, NULL AS name, NULL::text[] AS roles,
    NULL::jsonb AS manages, false AS is_stale
FROM spendra.admin_tokens
WHERE sha256 = $1 AND revoked_at IS NULL
UNION ALL
SELECT t.org_id, t.id, m.id, m.kind, m.name, m.roles, m.manages,
    t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute'
FROM spendra.member_tokens t
JOIN spendra.members m ON m.org_id = t.org_id AND m.id = t.member_id
WHERE t.sha256 = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
    AND m.state = 'active';

-- name: used
UPDATE spendra.member_tokens SET last_used_at = now() WHERE org_id = $1 AND id = $2;

-- name: below
-- Every scope at or below those named, by kind.
WITH RECURSIVE below AS (
    SELECT managed.kind, name
    FROM jsonb_each($2::jsonb) AS managed (kind, names), jsonb_array_elements_text(names) AS name
    UNION
    SELECT child.kind, child.name
    FROM spendra.scope_parents child
    JOIN below ON (child.parent_kind, child.parent_name) = (below.kind, below.name)
    WHERE child.org_id = $1
)
SELECT coalesce(jsonb_object_agg(kind, names), '{}')
FROM (SELECT kind, jsonb_agg(name) AS names FROM below GROUP BY kind) AS grouped;

-- name: within
SELECT spendra.is_within($1::jsonb, $2::jsonb);

-- name: covers
SELECT spendra.is_covered($1::jsonb, $2::jsonb);

-- name: insert
INSERT INTO spendra.members (org_id, id, kind, name, roles, manages) VALUES ($1, $2, $3, $4, $5, $6);

-- name: edit
UPDATE spendra.members SET roles = $3, manages = $4, state = $5, updated_at = now()
WHERE org_id = $1 AND id = $2;

-- name: get
SELECT id, kind, name, roles, manages, state, created_at, updated_at
FROM spendra.members WHERE org_id = $1 AND id = $2;

-- name: get_locked
SELECT id, kind, name, roles, manages, state, created_at, updated_at
FROM spendra.members WHERE org_id = $1 AND id = $2
FOR UPDATE;

-- name: page
SELECT id, kind, name, roles, manages, state, created_at, updated_at
FROM spendra.members WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: insert_token
INSERT INTO spendra.member_tokens (org_id, id, member_id, name, sha256, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id, member_id, name, expires_at, created_at, revoked_at, last_used_at;

-- name: roles_of_token
SELECT m.roles FROM spendra.member_tokens t
JOIN spendra.members m ON m.org_id = t.org_id AND m.id = t.member_id
WHERE t.org_id = $1 AND t.id = $2;

-- name: revoke_token
UPDATE spendra.member_tokens SET revoked_at = coalesce(revoked_at, now())
WHERE org_id = $1 AND id = $2
RETURNING id, member_id, name, expires_at, created_at, revoked_at, last_used_at;

-- name: page_tokens
SELECT id, member_id, name, expires_at, created_at, revoked_at, last_used_at
FROM spendra.member_tokens WHERE org_id = $1 AND member_id = $2 AND id > $3 ORDER BY id LIMIT $4;
