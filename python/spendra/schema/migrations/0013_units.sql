-- Tiers and cost centers join the scope registry, and a scope may have several parents of a kind.

ALTER TABLE spendra.scopes
    DROP CONSTRAINT scopes_kind_check,
    ADD CONSTRAINT scopes_kind_check
        CHECK (kind IN ('team', 'project', 'person', 'agent', 'cost_center', 'tier'));

ALTER TABLE spendra.scope_parents
    DROP CONSTRAINT scope_parents_pkey,
    ADD PRIMARY KEY (org_id, kind, name, parent_kind, parent_name);
CREATE INDEX scope_parents_by_parent
    ON spendra.scope_parents (org_id, parent_kind, parent_name);
