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

-- As they are shown; one that nobody decided in time has expired.
CREATE VIEW spendra.budget_requests_now AS
SELECT q.org_id, q.id, q.budget_id, b.name AS budget, b.selector,
    b.limit_nanousd AS limit_now_nanousd, q.limit_nanousd, q.reason, q.asked_by, q.asked_at,
    q.expires_at, q.decided_by, q.decided_at, q.note,
    coalesce(q.decision, CASE WHEN q.expires_at <= now() THEN 'expired' ELSE 'waiting' END) AS state
FROM spendra.budget_requests q
JOIN spendra.budgets b ON b.org_id = q.org_id AND b.id = q.budget_id;
