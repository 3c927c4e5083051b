"""What browsers must be told so that pages of the allowed origins may use the server; nothing about other pages."""

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.judging import Header
from oncefold.serve.operations.request import Head

_VARY: Header = (b"vary", b"Origin")
_SHOWN = (
    "ETag",
    "Retry-After",
    "X-Request-Id",
    "WWW-Authenticate",
    "Oncefold-Commit",
    "Oncefold-Commit-Time",
    "Oncefold-Newest-Event",
    "Oncefold-Lag-Seconds",
)
_EXPOSED: Header = (b"access-control-expose-headers", ", ".join(_SHOWN).encode())
_ANSWERS: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Content-Encoding, If-None-Match, Last-Event-ID, X-Request-Id",
    ),
    (b"access-control-max-age", b"600"),
)


def cors_headers(head: Head, access: Access) -> tuple[Header, ...]:
    """What an answer to this request carries."""
    if not access.cors_origins:
        return ()
    if not _is_allowed(head, access):
        return (_VARY,)
    return ((b"access-control-allow-origin", head.origin), _EXPOSED, _VARY)


def preflight(method: str, head: Head, access: Access) -> tuple[Header, ...] | None:
    """The answer to a browser that asks whether a page may send a request; None if this is no such question."""
    if method != "OPTIONS" or not head.asked_method or not _is_allowed(head, access):
        return None
    return _ANSWERS


def _is_allowed(head: Head, access: Access) -> bool:
    return bool(head.origin) and head.origin.decode("latin-1").lower() in access.cors_origins
