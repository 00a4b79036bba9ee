"""The doors to Postgres and Redis: the only modules that name their drivers."""
