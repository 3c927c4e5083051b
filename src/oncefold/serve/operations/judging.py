"""Whether a request may pass, and if not, what it is told."""

from dataclasses import dataclass

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.browsers import Hosts, comes_from_elsewhere
from oncefold.serve.operations.request import Head
from oncefold.serve.operations.scopes import Scope, needed

Header = tuple[bytes, bytes]

_REALM = 'Bearer realm="oncefold"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says why a request is not served."""

    status: int
    title: str
    detail: str
    headers: tuple[Header, ...] = ()


class Judge:
    """Decides by the settings of one server."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._hosts = Hosts(access)

    def refusal(
        self, method: str, path: str, head: Head, *, http_1_1: bool = True, is_preflight: bool = False
    ) -> Refusal | None:
        """Why the request is not served; None if it is. A browser's question before a request brings no token."""
        refusal = self._wrong_host(head, http_1_1=http_1_1) or self._foreign(method, head)
        return refusal if refusal is not None or is_preflight else self._right(method, path, head)

    def _wrong_host(self, head: Head, *, http_1_1: bool) -> Refusal | None:
        if head.hosts != 1:
            if head.hosts == 0 and not http_1_1:
                return None
            return Refusal(400, "Bad Host", "A request has exactly one Host header, and this one does not.")
        if self._hosts.allows(head.host):
            return None
        return Refusal(
            421,
            "Unknown host",
            f"This server is not known as {head.host.decode('latin-1')[:200]!r}. Ask it by its address, or start it "
            "with --host-name NAME to let it be asked by that name.",
        )

    def _foreign(self, method: str, head: Head) -> Refusal | None:
        if not comes_from_elsewhere(method, head.host, head.origin, head.site, self._access):
            return None
        return Refusal(
            403,
            "Cross-site request",
            "The request comes from a web page of another origin. Pages of an origin are let in by starting the "
            "server with --cors-origin ORIGIN.",
        )

    def _right(self, method: str, path: str, head: Head) -> Refusal | None:
        scope = needed(method, path)
        if not self._access.tokens or scope is Scope.OPEN:
            return None
        token = _bearer(head.authorization)
        if token is None:
            return _unauthorized(
                f"{method} {_shown(path)} needs a token of scope {scope.value}; send it as Authorization: Bearer TOKEN."
            )
        given = self._access.tokens.scopes_of(token)
        if self._access.allows(scope, given):
            return None
        if not given:
            return _unauthorized("The server does not know this token.", ', error="invalid_token"')
        have = " and ".join(sorted(item.value for item in given))
        return Refusal(
            403,
            "Wrong scope",
            f"{method} {_shown(path)} needs a token of scope {scope.value}; this one is for {have}.",
            ((b"www-authenticate", f'{_REALM}, error="insufficient_scope", scope="{scope.value}"'.encode()),),
        )


def _unauthorized(detail: str, error: str = "") -> Refusal:
    return Refusal(401, "Token needed", detail, ((b"www-authenticate", (_REALM + error).encode()),))


def _bearer(authorization: bytes) -> bytes | None:
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" and token.strip() else None


def _shown(path: str) -> str:
    return path if len(path) <= 200 else path[:200] + "..."
