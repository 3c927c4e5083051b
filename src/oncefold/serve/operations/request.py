"""What the guard needs to know of a request."""

import re
from collections.abc import Sequence
from typing import Any

STATE_NAME = "request_id"
"""Under this name a request's id stands in `scope["state"]`, and in a Starlette request's `state`."""

_ID = re.compile(rb"[!-~]{1,128}")
_ROUTES = frozenset(
    {
        "events",
        "totals",
        "series",
        "explain",
        "history",
        "search",
        "rejects",
        "conflicts",
        "status",
        "verify",
        "changes",
        "healthz",
        "readyz",
        "metrics",
        "openapi.json",
        "assets",
    }
)
OTHER_ROUTE = "other"


class Head:
    """A request's headers; those that are not there are empty. Cheap: it is made for each of very many requests."""

    __slots__ = ("_found", "hosts")

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Names are lower-case already."""
        self._found = dict(headers)
        self.hosts = [name for name, _ in headers].count(b"host")
        """How many Host headers there are."""

    @property
    def host(self) -> bytes:
        """Host."""
        return self._found.get(b"host", b"")

    @property
    def authorization(self) -> bytes:
        """Authorization."""
        return self._found.get(b"authorization", b"")

    @property
    def origin(self) -> bytes:
        """Origin."""
        return self._found.get(b"origin", b"")

    @property
    def site(self) -> bytes:
        """Sec-Fetch-Site."""
        return self._found.get(b"sec-fetch-site", b"")

    @property
    def request_id(self) -> bytes:
        """X-Request-Id."""
        return self._found.get(b"x-request-id", b"")

    @property
    def asked_method(self) -> bytes:
        """Access-Control-Request-Method: there in the question that a browser puts before the request itself."""
        return self._found.get(b"access-control-request-method", b"")


class RequestIds:
    """Ids for requests that bring none that can be used: a prefix, other in every process, and a number."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._last = 0

    def of(self, given: bytes) -> str:
        """The request's own id if it is 1 to 128 visible ASCII characters, else a new one."""
        if given and _ID.fullmatch(given):
            return given.decode("ascii")
        self._last += 1
        return f"{self._prefix}-{self._last:x}"


def request_id_of(scope: Any) -> str:
    """The id that the guard gave this request; empty outside the guard."""
    state = scope.get("state")
    return str(state.get(STATE_NAME, "")) if state else ""


def route_of(path: str) -> str:
    """The route of a path, one of few: what a client asks for must not make numbers of its own."""
    if path == "/":
        return path
    first = path[1:].partition("/")[0]
    return f"/{first}" if first in _ROUTES else OTHER_ROUTE
