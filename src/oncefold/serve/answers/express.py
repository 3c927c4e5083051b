"""Questions on the express lane: asked before in the same words, and their answer is kept.

Who watches totals asks the same again and again, and all of it but the answer was found out the first time.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.bookkeeping import Asked, Bookkeeping
from oncefold.serve.operations.cors import cors_headers
from oncefold.serve.operations.express import WholeRequest
from oncefold.serve.operations.guard import ALWAYS
from oncefold.serve.operations.judging import Header, Judge
from oncefold.serve.operations.request import Head, RequestIds

MOST_REMEMBERED: Final = 1_024
"""Requests, the latest asked."""

_METHOD: Final = "GET"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it is sent, but for what every answer has."""

    status: int
    headers: list[Header]
    body: bytes


AtOnce = Callable[[], Reply | None]
"""The answer to one question, if it is kept and of the newest commit."""


class Remember(Protocol):
    """What a route tells of a request that it has answered well."""

    def __call__(self, scope: Mapping[str, Any], at_once: AtOnce) -> None:
        """The same request is answered so, too."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    at_once: AtOnce
    path: str
    head: Head
    cors: tuple[Header, ...]


class AnswersExpress:
    """A `Lane`; belongs to one event loop."""

    def __init__(self, access: Access, ids: RequestIds, books: Bookkeeping, always: Callable[[], list[Header]]) -> None:
        """`always` gives the headers that the server adds to every answer now, such as its date."""
        self._access, self._ids, self._books, self._always = access, ids, books, always
        self._judge = Judge(access)
        self._known: OrderedDict[tuple[bytes, tuple[Header, ...]], _Known] = OrderedDict()

    def remember(self, scope: Mapping[str, Any], at_once: AtOnce) -> None:
        """See Remember."""
        if scope["method"] != _METHOD:
            return
        query = scope["query_string"]
        url = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        headers = tuple(scope["headers"])
        head = Head(headers)
        self._known[url, headers] = _Known(at_once, scope["path"], head, cors_headers(head, self._access))
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def suits(self, method: bytes, url: bytes) -> bool:  # noqa: ARG002 - as lanes have it
        """Any question may."""
        return method == b"GET" and bool(self._known)

    def take(self, request: WholeRequest) -> bool:
        """Answer if the answer is there; False if it has to be found."""
        began = self._books.monotonic()
        known = self._known.get((request.url, tuple(request.headers)))
        if known is None or not self._may_pass(known):
            return False
        reply = known.at_once()
        if reply is None:
            return False
        asked = Asked(self._ids.of(known.head.request_id), _METHOD, known.path, request.client, began)
        own = (b"x-request-id", asked.request_id.encode("ascii"))
        headers = [*self._always(), *reply.headers, own, *ALWAYS, *known.cors]
        request.answer(reply.status, headers, reply.body)
        self._books.ended(asked, reply.status, len(request.body), len(reply.body))
        return True

    def _may_pass(self, known: _Known) -> bool:
        """It passed before; tokens are compared anew each time, in constant time."""
        return not self._access.tokens or self._judge.refusal(_METHOD, known.path, known.head) is None
