"""Whether a request may pass: the one place where the checks of a request are assembled."""

from typing import Final

from oncefold.serve.http.request import Request
from oncefold.serve.http.response import CLOSE, Problem
from oncefold.serve.http.routing import EVENTS
from oncefold.serve.security.access import Access
from oncefold.serve.security.browsers import Hosts, is_cross_site
from oncefold.serve.security.tokens import Scope

MOST_HEAD_BYTES: Final = 64 * 2**10
"""Of a request's headers; each counts for some more than its text."""
MOST_URL_BYTES: Final = 32 * 2**10
_HEADER_COST: Final = 32

_OPEN_PATHS: Final = frozenset({"/", "/healthz", "/readyz"})
_OPEN_FOLDER: Final = "/assets/"
_ADMIN_PATHS: Final = frozenset({"/verify"})
"""Paths that a token for reading does not open: their work is heavy."""
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REALM: Final = 'Bearer realm="oncefold"'
_SHOWN: Final = 200


def needed_scope(method: str, path: str) -> Scope:
    """The scope that a request needs; what is not named here is read by READ and changed by ADMIN alone."""
    if path == EVENTS and method == "POST":
        return Scope.INGEST
    if method not in _READING or path in _ADMIN_PATHS:
        return Scope.ADMIN
    if path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER):
        return Scope.OPEN
    return Scope.READ


class Checks:
    """The checks of one server."""

    def __init__(self, access: Access) -> None:
        self._access, self._guarded = access, bool(access.tokens)
        self._hosts = Hosts(access)

    def require(self, request: Request, *, is_preflight: bool = False) -> None:
        """Raises Problem for a request that is not served. A browser's inquiry before a request brings no token."""
        _require_form(request)
        self._require_host(request)
        self._require_own_site(request)
        if self._guarded and not is_preflight:
            self._require_scope(request)

    def _require_host(self, request: Request) -> None:
        hosts = request.headers.all(b"host")
        if request.http_1_0 and hosts in ([], [b""]):
            return
        if len(hosts) != 1:
            raise Problem(400, "A request has exactly one Host header, and this one does not.", title="Bad Host")
        if not self._hosts.allows(hosts[0]):
            raise Problem(
                421,
                f"This server is not known as {hosts[0].decode('latin-1')[:_SHOWN]!r}. Use its address, or start it "
                "with --host-name NAME to let it be used by that name.",
                title="Unknown host",
            )

    def _require_own_site(self, request: Request) -> None:
        if is_cross_site(request, self._access):
            raise Problem(
                403,
                "The request comes from a web page of another origin, which may neither change anything nor start what "
                "takes long. Pages of an origin are let in by starting the "
                "server with --cors-origin ORIGIN.",
                title="Cross-site request",
            )

    def _require_scope(self, request: Request) -> None:
        scope = needed_scope(request.method, request.path)
        if scope is Scope.OPEN:
            return
        what = f"{request.method} {_shown(request.path)} needs a token of scope {scope.value}"
        token = _bearer(request.headers.get(b"authorization"))
        if token is None:
            raise _unauthorized(f"{what}; send it as Authorization: Bearer TOKEN.")
        given = self._access.tokens.scopes_of(token)
        if self._access.allows(scope, given):
            return
        if not given:
            raise _unauthorized("The server does not know this token.", ', error="invalid_token"')
        have = " and ".join(sorted(item.value for item in given))
        challenge = f'{_REALM}, error="insufficient_scope", scope="{scope.value}"'
        raise Problem(
            403, f"{what}; this one is for {have}.", (b"www-authenticate", challenge.encode()), title="Wrong scope"
        )


def _require_form(request: Request) -> None:
    if request.url_bytes > MOST_URL_BYTES:
        raise Problem(414, f"The path with its query may have {MOST_URL_BYTES:,} bytes.", title="URL too long")
    size = sum([len(name) + len(value) + _HEADER_COST for name, value in request.headers.pairs])
    if request.headers.get(b"transfer-encoding") not in {b"", b"chunked"}:
        detail = "A body is not taken in another transfer coding than chunked; say a compression in Content-Encoding."
        raise Problem(400, detail, CLOSE, title="Unknown transfer coding")
    if size > MOST_HEAD_BYTES:
        raise Problem(431, f"Request headers may have {MOST_HEAD_BYTES:,} bytes together.", title="Headers too large")


def _unauthorized(detail: str, error: str = "") -> Problem:
    return Problem(401, detail, (b"www-authenticate", (_REALM + error).encode()), title="Token needed")


def _bearer(authorization: bytes) -> bytes | None:
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" and token.strip() else None


def _shown(path: str) -> str:
    return path if len(path) <= _SHOWN else path[:_SHOWN] + "..."
