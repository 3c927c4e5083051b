"""A response as a value, and errors as problem documents (RFC 9457)."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from oncefold.serve.http.request import Header

JSON: Final[Header] = (b"content-type", b"application/json")
PROBLEM: Final[Header] = (b"content-type", b"application/problem+json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
RETRY_SOON: Final[Header] = (b"retry-after", b"1")
CLOSE: Final[Header] = (b"connection", b"close")
"""The rest of the request's body is not read: what follows on the connection is no request."""

TITLES: Final = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    422: "The query cannot be read",
    503: "Not now",
}


class Stream(Protocol):
    """A body that is made piece by piece, each when the client has taken those before."""

    async def __anext__(self) -> bytes:
        """The next piece. Raises StopAsyncIteration at the end."""
        ...

    async def aclose(self) -> None:
        """Nobody reads it any more; called once, however it ended."""
        ...


class Response(NamedTuple):
    """What is sent, but for the headers that every response has."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    stream: Stream | None = None
    """Sent after `body`, until it ends or the client leaves."""


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """A response that reports an error; `detail` says what, where and what to do."""

    def __init__(
        self, status: int, detail: str, *headers: Header, title: str = "", members: Mapping[str, Any] | None = None
    ) -> None:
        """`members` are further ones of the document; without a title the status gives one."""
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers
        self.title = title or TITLES.get(status, "Error")
        self.members = members or {}

    def response(self, request_id: str) -> Response:
        """The response to the request with this id."""
        document = {"title": self.title, "status": self.status, "detail": self.detail, "request_id": request_id}
        return Response(self.status, (PROBLEM, NO_STORE, *self.headers), compact_json({**document, **self.members}))


def compact_json(value: Any) -> bytes:
    """JSON without blanks, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def json_response(value: Any, *headers: Header, status: int = 200) -> Response:
    """A JSON document."""
    return Response(status, (JSON, *headers), compact_json(value))
