"""Web pages: others' cannot use a server through the browser of somebody who reaches it, allowed ones can (CORS).

A page can send requests to any address, and by its own name server let any name mean 127.0.0.1 (DNS rebinding). So the
Host header must give a name that cannot be somebody else's, and a request that changes something, or whose answer takes
long to compute, must not come from a page of another origin. Programs that are no browsers send neither Origin nor
Sec-Fetch-Site and need not care.
"""

import ipaddress
import re
from typing import Final

from oncefold.serve.http.request import Header, Headers, Request
from oncefold.serve.security.access import Access, is_loopback

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_COSTLY = ("/verify", "/explain/", "/series/", "/search", "/history/")
"""Where paths begin whose answers take long: they read the whole state, or many commits."""
_OWN_SITES = frozenset({b"same-origin", b"none"})
_MOST_REMEMBERED = 64
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What nearly every request of this machine names; `is_loopback` knows the others."""

_VARY: Final[Header] = (b"vary", b"Origin")
_EXPOSED: Final[Header] = (
    b"access-control-expose-headers",
    (
        b"ETag, Retry-After, X-Request-Id, WWW-Authenticate, "
        b"Oncefold-Commit, Oncefold-Commit-Time, Oncefold-Newest-Event, Oncefold-Lag-Seconds"
    ),
)
_PREFLIGHT: Final[tuple[Header, ...]] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Content-Encoding, If-None-Match, Last-Event-ID, X-Request-Id",
    ),
    (b"access-control-max-age", b"600"),
)


class Hosts:
    """Checks Host headers; those that were found good are remembered as they were written."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._good: set[bytes] = set()

    def allows(self, host: bytes) -> bool:
        """Whether a request with this Host header is meant for this server."""
        if host in self._good:
            return True
        found = _HOST.fullmatch(host.decode("latin-1"))
        if found is None or not self._is_ours(found[1].lower()):
            return False
        if len(self._good) < _MOST_REMEMBERED:
            self._good.add(host)
        return True

    def _is_ours(self, name: str) -> bool:
        if (
            name in _LOOPBACK
            or is_loopback(name)
            or name in self._access.host_names
            or name.strip("[]") in self._access.host_names
        ):
            return True
        return not self._access.loopback and (not self._access.host_names or _is_address(name))


def _is_address(name: str) -> bool:
    """An address cannot be made to mean another machine; a name can."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_cross_site(request: Request, access: Access) -> bool:
    """Whether a browser sends this for a page of another origin, to change something or to have much computed."""
    if request.method in _SAFE and not request.path.startswith(_COSTLY):
        return False
    origin, site = request.headers.get(b"origin"), request.headers.get(b"sec-fetch-site")
    if origin:
        return not _is_own_origin(origin, request.headers.get(b"host")) and not _is_allowed(origin, access)
    return bool(site) and site not in _OWN_SITES


def _is_own_origin(origin: bytes, host: bytes) -> bool:
    """Whether the page was served under the very name and port that it now sends a request to."""
    scheme, separator, where = origin.lower().partition(b"://")
    return bool(separator) and scheme in {b"http", b"https"} and where == host.lower()


def _is_allowed(origin: bytes, access: Access) -> bool:
    return bool(origin) and origin.decode("latin-1").lower() in access.cors_origins


def cors_headers(headers: Headers, access: Access) -> tuple[Header, ...]:
    """What browsers must be told in the response to a request with these headers."""
    if not access.cors_origins:
        return ()
    origin = headers.get(b"origin")
    if not _is_allowed(origin, access):
        return (_VARY,)
    return ((b"access-control-allow-origin", origin), _EXPOSED, _VARY)


def preflight(request: Request, access: Access) -> tuple[Header, ...] | None:
    """The response to a browser that inquires whether a page may send a request; None if this is no such inquiry."""
    headers = request.headers
    is_preflight = request.method == "OPTIONS" and headers.get(b"access-control-request-method")
    return _PREFLIGHT if is_preflight and _is_allowed(headers.get(b"origin"), access) else None
