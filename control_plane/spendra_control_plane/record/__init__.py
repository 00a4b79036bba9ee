"""The record: reading it whole, exporting it, and verifying it, live or offline."""
