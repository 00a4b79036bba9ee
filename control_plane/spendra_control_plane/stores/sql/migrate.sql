-- name: has_record
SELECT to_regclass('spendra.migrations') IS NOT NULL;

-- name: make_record
CREATE SCHEMA IF NOT EXISTS spendra;
CREATE TABLE IF NOT EXISTS spendra.migrations (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: applied
SELECT name, sha256 FROM spendra.migrations;

-- name: record
INSERT INTO spendra.migrations (name, sha256) VALUES ($1, $2);
