"""Postgres and Valkey: embedded servers, or the ones that the environment names."""
