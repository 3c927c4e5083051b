"""Exactly-once aggregation of event streams."""
