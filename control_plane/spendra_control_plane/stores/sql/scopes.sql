-- name: insert
INSERT INTO spendra.scopes (org_id, kind, name) VALUES ($1, $2, $3);

-- name: register
INSERT INTO spendra.scopes (org_id, kind, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: state
SELECT state FROM spendra.scopes WHERE org_id = $1 AND kind = $2 AND name = $3;

-- name: set_display_name
UPDATE spendra.scopes SET display_name = $4 WHERE org_id = $1 AND kind = $2 AND name = $3;

-- name: set_attributes
-- Those that are null go.
UPDATE spendra.scopes SET attributes = jsonb_strip_nulls(attributes || $4)
WHERE org_id = $1 AND kind = $2 AND name = $3;

-- name: set_state
UPDATE spendra.scopes SET state = $4 WHERE org_id = $1 AND kind = $2 AND name = $3;

-- name: remove_parents
-- All of a kind but those that stay.
DELETE FROM spendra.scope_parents
WHERE org_id = $1 AND kind = $2 AND name = $3 AND parent_kind = $4 AND parent_name <> ALL ($5);

-- name: insert_parent
INSERT INTO spendra.scope_parents (org_id, kind, name, parent_kind, parent_name)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING;

-- name: get
SELECT name, display_name, attributes, state, created_at, (
    SELECT coalesce(jsonb_object_agg(parent_kind, names), '{}')
    FROM (
        SELECT parent_kind, jsonb_agg(parent_name ORDER BY parent_name) AS names
        FROM spendra.scope_parents AS above
        WHERE above.org_id = scopes.org_id AND above.kind = scopes.kind AND above.name = scopes.name
        GROUP BY parent_kind
    ) AS by_kind
) AS parents
FROM spendra.scopes
WHERE org_id = $1 AND kind = $2 AND name = $3;

-- name: page
SELECT name, display_name, attributes, state, created_at, (
    SELECT coalesce(jsonb_object_agg(parent_kind, names), '{}')
    FROM (
        SELECT parent_kind, jsonb_agg(parent_name ORDER BY parent_name) AS names
        FROM spendra.scope_parents AS above
        WHERE above.org_id = scopes.org_id AND above.kind = scopes.kind AND above.name = scopes.name
        GROUP BY parent_kind
    ) AS by_kind
) AS parents
FROM spendra.scopes
WHERE org_id = $1 AND kind = $2 AND name > $3
ORDER BY name
LIMIT $4;
