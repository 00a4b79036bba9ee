-- What is done with `spendra.pending`: requests that wait for a later answer of the provider.

-- Whether it is kept: its reservation is open, and the name is not another's.
CREATE FUNCTION spendra.keep_pending(
    p_org text, p_provider text, p_identity text, p_kind text, p_reservation uuid,
    p_seconds integer
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
BEGIN
    INSERT INTO pending
    SELECT p_org, p_provider, p_identity, p_kind, r.reservation_id,
           now() + make_interval(secs => p_seconds)
    FROM reservations r
    WHERE r.org_id = p_org AND r.reservation_id = p_reservation AND r.state = 'reserved'
    ON CONFLICT (org_id, provider, identity) DO NOTHING;
    RETURN FOUND;
END $$;

-- The open reservation behind a name.
CREATE FUNCTION spendra.find_pending(p_org text, p_provider text, p_identity text)
RETURNS TABLE (kind text, reservation_id uuid, decision_id uuid, attempt smallint,
    reserved_at timestamptz, reserved_nanousd bigint, estimated_nanousd bigint,
    requested_model text, policy_version bigint, price_version text, facts text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
    SELECT p.kind, r.reservation_id, r.decision_id, r.attempt, r.reserved_at, r.reserved_nanousd,
        r.estimated_nanousd, r.requested_model, r.policy_version, r.price_version, r.facts::text
    FROM pending p
    JOIN reservations r ON r.org_id = p.org_id AND r.reservation_id = p.reservation_id
    WHERE p.org_id = p_org AND p.provider = p_provider AND p.identity = p_identity
$$;

-- Books at their worst case those that nobody heard of in time, and forgets the names of those
-- that have ended; how many were booked.
CREATE FUNCTION spendra.end_pending(p_org text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, spendra AS $$
DECLARE
    due record;
    ended integer := 0;
BEGIN
    FOR due IN
        SELECT r.reservation_id, r.requested_model, r.reserved_nanousd
        FROM pending p
        JOIN reservations r ON r.org_id = p.org_id AND r.reservation_id = p.reservation_id
        WHERE p.org_id = p_org AND p.until < now()
        LIMIT 1000 FOR UPDATE OF r SKIP LOCKED
    LOOP
        PERFORM end_one(p_org, due.reservation_id, 'posted', 'never_heard_of',
                        due.reserved_nanousd, due.requested_model, 'worst_case');
        ended := ended + 1;
    END LOOP;
    DELETE FROM pending p
    WHERE p.org_id = p_org AND NOT EXISTS (
        SELECT FROM reservations r
        WHERE r.org_id = p.org_id AND r.reservation_id = p.reservation_id);
    RETURN ended;
END $$;

REVOKE ALL ON FUNCTION spendra.keep_pending, spendra.find_pending, spendra.end_pending FROM PUBLIC;
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendra_sidecar') THEN
        GRANT EXECUTE ON FUNCTION spendra.keep_pending, spendra.find_pending TO spendra_sidecar;
    END IF;
END $$;
