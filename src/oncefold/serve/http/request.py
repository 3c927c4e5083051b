"""A request as a value."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

Header = tuple[bytes, bytes]
"""Name in lower case, and value."""

_ID: Final = re.compile(rb"[!-~]{1,128}")


class Disconnected(Exception):  # noqa: N818 - what the client did
    """The client has left, or its body broke off: nobody waits for a response."""


class Headers:
    """A request's headers. Cheap: one is made for each of very many requests."""

    __slots__ = ("_by_name", "pairs")

    def __init__(self, pairs: Sequence[Header]) -> None:
        """Names are lower-case already."""
        self.pairs = pairs
        self._by_name = dict(pairs)

    def get(self, name: bytes) -> bytes:
        """The value of a header, the last of several; empty if there is none."""
        return self._by_name.get(name, b"")

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for known, value in self.pairs if known == name]


class Body(Protocol):
    """A request's body as it arrives."""

    @property
    def more(self) -> bool:
        """Whether more may come."""
        ...

    async def next(self) -> bytes:
        """The next bytes. Raises Disconnected if the body breaks off."""
        ...


class NoBody:
    """The body of a request that has none."""

    more = False

    async def next(self) -> bytes:
        """Nothing."""
        return b""


class Request(NamedTuple):
    """A request whose headers have arrived."""

    method: str
    path: str
    """Percent-decoded."""
    query: bytes = b""
    """As it came, without the question mark."""
    headers: Headers = Headers(())
    body: Body = NoBody()
    id: str = ""
    """Also in the response, in errors and in the log."""
    client: str = ""
    """The address it came from."""
    http_1_0: bool = False
    url_bytes: int = 0
    """Of the path as it came, and the query."""
    parameters: Mapping[str, str] = {}
    """Those of the route's path, by name."""


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
