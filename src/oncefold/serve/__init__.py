"""Oncefold as a service: ingest over HTTP, questions, live changes, a dashboard, metrics; from `oncefold[serve]`."""
