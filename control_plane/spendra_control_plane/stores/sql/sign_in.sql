-- name: get
SELECT issuer, client_id, trusts_email, updated_at FROM spendra.sign_in WHERE org_id = $1;

-- name: secret
SELECT issuer, client_id, client_secret_sealed, trusts_email FROM spendra.sign_in WHERE org_id = $1;

-- name: put
INSERT INTO spendra.sign_in (org_id, issuer, client_id, client_secret_sealed, trusts_email)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id) DO UPDATE
SET issuer = excluded.issuer, client_id = excluded.client_id,
    client_secret_sealed = excluded.client_secret_sealed, trusts_email = excluded.trusts_email,
    updated_at = now();

-- name: delete
DELETE FROM spendra.sign_in WHERE org_id = $1 RETURNING org_id;

-- name: invite
INSERT INTO spendra.invitations (org_id, id, email, roles, manages, invited_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7));

-- name: forget_expired
-- One that nobody followed in time makes room for another.
UPDATE spendra.invitations SET revoked_at = expires_at
WHERE org_id = $1 AND email = $2 AND revoked_at IS NULL AND accepted_at IS NULL
    AND expires_at <= now();

-- name: invitation
SELECT * FROM spendra.invitations_now WHERE org_id = $1 AND id = $2;

-- name: invitations
SELECT * FROM spendra.invitations_now
WHERE org_id = $1 AND id > $3 AND ($2::text IS NULL OR state = $2)
ORDER BY id LIMIT $4;

-- name: revoke
UPDATE spendra.invitations SET revoked_at = now()
WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL AND accepted_at IS NULL
RETURNING id;

-- name: open_invitation
SELECT id, roles, manages FROM spendra.invitations_now
WHERE org_id = $1 AND email = $2 AND state = 'open';

-- name: accept
UPDATE spendra.invitations SET member_id = $3, accepted_at = now()
WHERE org_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL
RETURNING id;

-- name: identity
SELECT member_id FROM spendra.member_identities
WHERE org_id = $1 AND issuer = $2 AND subject = $3;

-- name: identify
INSERT INTO spendra.member_identities (org_id, issuer, subject, member_id, email)
VALUES ($1, $2, $3, $4, $5);

-- name: person
SELECT id FROM spendra.members WHERE org_id = $1 AND kind = 'person' AND name = $2;

-- name: joins_as
SELECT joins_as FROM spendra.domains
WHERE org_id = $1 AND domain = $2 AND verified_at IS NOT NULL;

-- name: put_domain
-- What was verified stays so.
INSERT INTO spendra.domains (org_id, domain, joins_as, challenge) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id, domain) DO UPDATE SET joins_as = excluded.joins_as;

-- name: domain
SELECT * FROM spendra.domains WHERE org_id = $1 AND domain = $2;

-- name: domains
SELECT * FROM spendra.domains WHERE org_id = $1 AND domain > $2 ORDER BY domain LIMIT $3;

-- name: verify_domain
UPDATE spendra.domains SET verified_at = coalesce(verified_at, now())
WHERE org_id = $1 AND domain = $2;

-- name: delete_domain
DELETE FROM spendra.domains WHERE org_id = $1 AND domain = $2 RETURNING domain;
