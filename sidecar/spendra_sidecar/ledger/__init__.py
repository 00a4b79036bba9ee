"""Reservations and settlements: Redis answers whether a request may go, Postgres remembers."""
