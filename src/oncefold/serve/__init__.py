"""Oncefold as a service: ingest over HTTP with group commit, questions, a dashboard, metrics; from `oncefold[serve]`."""
