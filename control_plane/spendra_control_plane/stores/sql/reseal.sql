-- Everything that is sealed, with the purpose that it is sealed for, and the same sealed anew.
-- Places of rows hold for as long as the tables are locked.

-- name: lock
LOCK TABLE spendra.organizations, spendra.provider_routes, spendra.segments, spendra.api_repeats,
    spendra.sign_in, spendra.channels IN SHARE ROW EXCLUSIVE MODE;

-- name: read_organizations_key_pepper_sealed
SELECT ctid::text AS place, id AS org_id, 'key_pepper' AS purpose, key_pepper_sealed AS sealed
FROM spendra.organizations;

-- name: write_organizations_key_pepper_sealed
UPDATE spendra.organizations SET key_pepper_sealed = $2 WHERE ctid = $1::text::tid;

-- name: read_organizations_signing_key_sealed
SELECT ctid::text AS place, id AS org_id, 'signing_key' AS purpose, signing_key_sealed AS sealed
FROM spendra.organizations;

-- name: write_organizations_signing_key_sealed
UPDATE spendra.organizations SET signing_key_sealed = $2 WHERE ctid = $1::text::tid;

-- name: read_provider_routes_credential_sealed
SELECT ctid::text AS place, org_id, 'credential ' || provider AS purpose, credential_sealed AS sealed
FROM spendra.provider_routes WHERE credential_sealed IS NOT NULL;

-- name: write_provider_routes_credential_sealed
UPDATE spendra.provider_routes SET credential_sealed = $2 WHERE ctid = $1::text::tid;

-- name: read_segments_bytes
SELECT ctid::text AS place, org_id, hash AS purpose, bytes AS sealed
FROM spendra.segments WHERE sealed;

-- name: write_segments_bytes
UPDATE spendra.segments SET bytes = $2 WHERE ctid = $1::text::tid;

-- name: read_api_repeats_answer_sealed
SELECT ctid::text AS place, org_id, 'answer ' || key AS purpose, answer_sealed AS sealed
FROM spendra.api_repeats WHERE answer_sealed IS NOT NULL;

-- name: write_api_repeats_answer_sealed
UPDATE spendra.api_repeats SET answer_sealed = $2 WHERE ctid = $1::text::tid;

-- name: read_sign_in_client_secret_sealed
SELECT ctid::text AS place, org_id, 'sign-in client secret' AS purpose, client_secret_sealed AS sealed
FROM spendra.sign_in;

-- name: write_sign_in_client_secret_sealed
UPDATE spendra.sign_in SET client_secret_sealed = $2 WHERE ctid = $1::text::tid;

-- name: read_channels_address_sealed
SELECT ctid::text AS place, org_id, 'address ' || id AS purpose, address_sealed AS sealed
FROM spendra.channels;

-- name: write_channels_address_sealed
UPDATE spendra.channels SET address_sealed = $2 WHERE ctid = $1::text::tid;

-- name: read_channels_signing_sealed
SELECT ctid::text AS place, org_id, 'signing ' || id AS purpose, signing_sealed AS sealed
FROM spendra.channels WHERE signing_sealed IS NOT NULL;

-- name: write_channels_signing_sealed
UPDATE spendra.channels SET signing_sealed = $2 WHERE ctid = $1::text::tid;
