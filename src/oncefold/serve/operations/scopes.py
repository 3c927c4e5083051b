"""Which right each request needs. This is the one place that says so."""

from enum import Enum


class Scope(Enum):
    """A right that a token gives."""

    OPEN = "open"
    """Needs no token."""
    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"
    """Includes all others."""


GIVEN = (Scope.INGEST, Scope.READ, Scope.ADMIN)
"""The scopes that tokens are given for."""

EVENTS = "/events"
"""Where events are sent to."""
_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
_OPEN_FOLDER = "/assets/"
_ADMIN_PATHS = frozenset({"/verify"})
"""Paths that a token for reading does not open: their work is heavy."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def needed(method: str, path: str) -> Scope:
    """The scope that a request needs; what is not named here is read by READ and changed by ADMIN alone."""
    if path == EVENTS and method == "POST":
        return Scope.INGEST
    if method not in _READING or path in _ADMIN_PATHS:
        return Scope.ADMIN
    if path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER):
        return Scope.OPEN
    return Scope.READ
