-- Wishes for a larger budget, and what became of them.
CREATE TABLE spendra.budget_requests (
    org_id text NOT NULL REFERENCES spendra.organizations,
    id text NOT NULL,
    budget_id text NOT NULL,
    limit_nanousd bigint NOT NULL CHECK (limit_nanousd > 0),
    reason text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    decision text CHECK (decision IN ('approved', 'denied', 'withdrawn')),
    decided_by text,
    decided_at timestamptz,
    note text,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, budget_id) REFERENCES spendra.budgets,
    CHECK ((decision IS NULL) = (decided_at IS NULL))
);
CREATE UNIQUE INDEX budget_requests_waiting ON spendra.budget_requests (org_id, budget_id, asked_by)
    WHERE decision IS NULL;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON spendra.budget_requests
    FOR EACH ROW EXECUTE FUNCTION spendra.write_audit();
