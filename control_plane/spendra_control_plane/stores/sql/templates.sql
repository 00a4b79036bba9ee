-- name: put
INSERT INTO spendra.budget_templates (org_id, tier, budgets) VALUES ($1, $2, $3)
ON CONFLICT (org_id, tier) DO UPDATE SET budgets = excluded.budgets, updated_at = now();

-- name: delete
DELETE FROM spendra.budget_templates WHERE org_id = $1 AND tier = $2;

-- name: get
SELECT tier, budgets, created_at, updated_at, (
    SELECT count(*) FROM spendra.scope_parents AS p
    WHERE p.org_id = t.org_id AND kind = 'person' AND parent_kind = 'tier' AND parent_name = t.tier
) AS people
FROM spendra.budget_templates AS t WHERE org_id = $1 AND tier = $2;

-- name: page
SELECT tier, budgets, created_at, updated_at, (
    SELECT count(*) FROM spendra.scope_parents AS p
    WHERE p.org_id = t.org_id AND kind = 'person' AND parent_kind = 'tier' AND parent_name = t.tier
) AS people
FROM spendra.budget_templates AS t WHERE org_id = $1 AND tier > $2 ORDER BY tier LIMIT $3;

-- name: of_person
-- The template of a person's tier.
SELECT tier, budgets
FROM spendra.budget_templates AS t
JOIN spendra.scope_parents AS p ON p.org_id = t.org_id AND p.parent_name = t.tier
WHERE p.org_id = $1 AND kind = 'person' AND name = $2 AND parent_kind = 'tier';

-- name: people
SELECT name FROM spendra.scope_parents
WHERE org_id = $1 AND kind = 'person' AND parent_kind = 'tier' AND parent_name = $2 ORDER BY name;

-- name: made
-- What was made of a template, or for a person, and is still open.
SELECT t.tier, t.name, person, budget_id
FROM spendra.templated_budgets AS t
JOIN spendra.budgets AS b ON b.org_id = t.org_id AND b.id = budget_id AND b.state = 'active'
WHERE t.org_id = $1 AND (t.tier = $2 OR person = $3) ORDER BY t.tier, t.name, person;

-- name: note
INSERT INTO spendra.templated_budgets (org_id, tier, name, person, budget_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, tier, name, person) DO UPDATE SET budget_id = excluded.budget_id;
