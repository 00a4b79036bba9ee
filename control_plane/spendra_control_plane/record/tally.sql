-- What verification gathers, in a scratch database of SQLite, and what must not be found in it.

-- name: schema
CREATE TABLE events (
    reservation TEXT, outcome TEXT, cost INTEGER, at_the_edge INTEGER, batch INTEGER);
CREATE TABLE spends (reservation TEXT, expense INTEGER, payable INTEGER, batch INTEGER);
CREATE TABLE booked (account TEXT PRIMARY KEY, nanousd INTEGER NOT NULL);
CREATE TABLE opened (reservation TEXT);

-- name: indexes
CREATE INDEX events_by_reservation ON events (reservation);
CREATE INDEX spends_by_reservation ON spends (reservation);

-- name: book
INSERT INTO booked VALUES (?, ?)
ON CONFLICT (account) DO UPDATE SET nanousd = nanousd + excluded.nanousd;

-- name: two_outcomes
SELECT reservation, count(*) || ' events' FROM events
GROUP BY reservation HAVING count(*) > 1 ORDER BY min(batch) LIMIT 1;

-- name: voided_at_a_cost
SELECT reservation, 'voided at ' || cost || ' nano-USD' FROM events
WHERE outcome <> 'posted' AND cost <> 0 ORDER BY batch LIMIT 1;

-- name: posted_without_its_entries
SELECT e.reservation, 'cost ' || e.cost || ', expensed ' || coalesce(sum(s.expense), 0)
    || ', payable ' || coalesce(sum(s.payable), 0)
FROM events e LEFT JOIN spends s ON s.reservation = e.reservation
WHERE e.outcome = 'posted' AND NOT e.at_the_edge
GROUP BY e.reservation, e.cost
HAVING coalesce(sum(s.expense), 0) <> e.cost OR coalesce(sum(s.payable), 0) <> -e.cost
    OR count(s.batch) <> 2
ORDER BY min(e.batch) LIMIT 1;

-- name: entries_without_an_event
SELECT s.reservation, 'spent without an event' FROM spends s
LEFT JOIN events e ON e.reservation = s.reservation AND e.outcome = 'posted'
WHERE e.reservation IS NULL ORDER BY s.batch LIMIT 1;

-- name: open_and_ended
SELECT o.reservation, 'open and ended' FROM opened o
JOIN events e ON e.reservation = o.reservation LIMIT 1;
