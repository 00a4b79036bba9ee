-- name: insert
INSERT INTO spendra.organizations
    (id, name, key_pepper_sealed, signing_key_sealed, snapshot_public_key)
VALUES ($1, $2, $3, $4, $5);

-- name: insert_admin_token
INSERT INTO spendra.admin_tokens (org_id, id, sha256) VALUES ($1, $2, $3);

-- name: revoke_admin_tokens
UPDATE spendra.admin_tokens SET revoked_at = now() WHERE org_id = $1 AND revoked_at IS NULL
RETURNING id;

-- name: insert_sidecar_token
INSERT INTO spendra.sidecar_tokens (org_id, id, sha256, name)
VALUES ($1, $2, $3, 'of the organization');

-- name: page
SELECT id, name, config_version, min_version, snapshot_public_key, created_at
FROM spendra.organizations
WHERE id > $1
ORDER BY id
LIMIT $2;

-- name: configure
UPDATE spendra.organizations SET default_output_tokens = $2 WHERE id = $1;

-- name: settings
SELECT default_output_tokens FROM spendra.organizations WHERE id = $1;

-- name: freeze
SELECT spendra.freeze($1, $2, $3);

-- name: freeze_state
SELECT name, frozen_at, frozen_reason, nullif(spendra.kept_since(id), '-infinity') AS kept_since
FROM spendra.organizations WHERE id = $1;

-- name: a_secret
SELECT id, key_pepper_sealed FROM spendra.organizations ORDER BY created_at LIMIT 1;
