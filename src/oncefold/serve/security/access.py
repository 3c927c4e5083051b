"""Who may do what with a server: settings that are checked as a whole before it starts."""

import ipaddress
import re
from dataclasses import dataclass

from oncefold.core.errors import OncefoldError
from oncefold.serve.security.tokens import VARIABLES, Scope, Tokens

_NO_TOKENS = Tokens()
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?")


@dataclass(frozen=True, slots=True)
class Access:
    """Tokens, names and origins. Without tokens whoever reaches the server may do everything; see `access_on`."""

    tokens: Tokens = _NO_TOKENS
    host_names: frozenset[str] = frozenset()
    """Names that the Host header may give, besides those of the loopback."""
    cors_origins: frozenset[str] = frozenset()
    """Web pages of these origins may use the server from a browser."""
    loopback: bool = True
    """Whether only programs of this machine reach it."""

    def allows(self, scope: Scope, given: frozenset[Scope]) -> bool:
        """Whether these scopes are enough. As soon as there is any token, every scope needs one."""
        return not self.tokens or scope is Scope.OPEN or scope in given or Scope.ADMIN in given


def access_on(
    address: str, tokens: Tokens, *, host_names: tuple[str, ...] = (), cors_origins: tuple[str, ...] = ()
) -> Access:
    """The access of a server that listens on this address.

    Raises OncefoldError for a server that others could use without a token, and for names that are none.
    """
    names, origins = frozenset(map(_host_name, host_names)), frozenset(map(_origin, cors_origins))
    loopback = is_loopback(address)
    if not tokens and not loopback:
        raise OncefoldError(
            f"--host {address} can be reached from other machines, and there is no token: give --token-file FILE "
            f"or set {', '.join(VARIABLES)}; or listen on 127.0.0.1"
        )
    if not tokens and not all(map(is_loopback, names)):
        raise OncefoldError(
            "--host-name lets requests in that come by another name than this machine's own, and there is no token: "
            "give --token-file FILE too"
        )
    return Access(tokens, names, origins, loopback)


def is_loopback(name: str) -> bool:
    """Whether this name or address can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_name(text: str) -> str:
    name = text.lower()
    if not _NAME.fullmatch(name) and not _is_address(name):
        raise OncefoldError(f"--host-name {text}: give a name alone, such as totals.example.com, without port or path")
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _origin(text: str) -> str:
    origin = text.lower()
    if not _ORIGIN.fullmatch(origin):
        raise OncefoldError(
            f"--cors-origin {text}: give one origin such as https://app.example.com, without a path; "
            "there is no form for all origins, since any web page could then use the server"
        )
    return origin
