-- Budgets that each person of a tier gets: the template, and which budget was made for whom.

CREATE TABLE spendra.budget_templates (
    org_id text NOT NULL REFERENCES spendra.organizations,
    tier text NOT NULL,
    -- By name, each as a budget is drafted.
    budgets jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, tier)
);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.budget_templates
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();

CREATE TABLE spendra.templated_budgets (
    org_id text NOT NULL,
    tier text NOT NULL,
    name text NOT NULL,
    person text NOT NULL,
    budget_id text NOT NULL,
    PRIMARY KEY (org_id, tier, name, person),
    FOREIGN KEY (org_id, budget_id) REFERENCES spendra.budgets
);
CREATE UNIQUE INDEX templated_budgets_by_budget ON spendra.templated_budgets (org_id, budget_id);
CREATE INDEX templated_budgets_by_person ON spendra.templated_budgets (org_id, person);
