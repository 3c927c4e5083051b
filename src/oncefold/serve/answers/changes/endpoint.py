"""`GET /changes`: a subscription as a stream of server-sent events, for as long as the client stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from oncefold.queries.changes.notices import KEEP_ALIVE, Message, first
from oncefold.queries.changes.wanted import Wanted, wanted
from oncefold.serve.answers.changes.hub import Hub, Subscription
from oncefold.serve.answers.declared import Parameter, Problem, number, number_or_all, read_one, read_query
from oncefold.serve.answers.nodes import MOST_DEPTH, PATH, ROLLUP
from oncefold.serve.answers.readers import StoreReaders
from oncefold.serve.http.request import Request
from oncefold.serve.http.response import Response

KEEP_ALIVE_SECONDS = 15.0
MOST_PATHS = 1_000
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
_UNSAID = -1

_LAST = Parameter(
    "last_event_id", *number(0, 10**18 - 1), "the last commit that is known; the header Last-Event-ID is stronger"
)
PARAMETERS = (
    ROLLUP,
    Parameter("path", PATH.read, PATH.schema, "a node that is wanted; without one, every node is", (), repeats=True),
    Parameter(
        "depth", *number_or_all(0, MOST_DEPTH), "how many levels below each path, or all", default=_UNSAID, example=1
    ),
    _LAST,
)


class ChangesEndpoint:
    """Streams changes to one subscriber each time it is called."""

    def __init__(self, readers: StoreReaders, hub: Hub) -> None:
        self._readers, self._hub = readers, hub

    async def __call__(self, request: Request) -> Response:
        """A stream. Raises Problem, and OncefoldError for what cannot be followed."""
        values = read_query(request.query, PARAMETERS)
        known = _last_event_id(request.headers.get(b"last-event-id"), values["last_event_id"])
        subscription, start = await self._hub.subscribe(self._wanted(values), known)
        headers = (*_HEADERS, *start.fresh.headers(self._readers.clock.now()))
        if request.method == "HEAD":
            self._hub.leave(subscription)
            return Response(200, headers)
        return Response(200, headers, stream=_Changes(self._hub, subscription, first(start, self._readers.clock.now())))

    def _wanted(self, values: Mapping[str, Any]) -> Wanted:
        paths: Sequence[str] = values["path"]
        if len(paths) > MOST_PATHS:
            raise Problem(422, f"{len(paths):,} paths are named; name at most {MOST_PATHS:,}")
        deep, depth = values["depth"] == _UNSAID, values["depth"]
        return wanted(self._readers.pipeline, values["rollup"], paths, depth, deep=deep)


class _Changes:
    """The messages to one subscriber as a stream; one comes only when the client has taken those before."""

    def __init__(self, hub: Hub, subscription: Subscription, start: Message) -> None:
        self._hub, self._subscription = hub, subscription
        self._start: Message | None = start

    async def __anext__(self) -> bytes:
        """The next message."""
        if start := self._start:
            self._start = None
            return b"".join(start)
        next_message = self._hub.next(self._subscription)
        silence = next_message.get_loop().call_later(KEEP_ALIVE_SECONDS, self._subscription.notify, KEEP_ALIVE)
        try:
            message = await next_message
        finally:
            silence.cancel()
        if message is None:
            raise StopAsyncIteration
        return b"".join(message)

    async def aclose(self) -> None:
        """Nobody follows any more."""
        self._hub.leave(self._subscription)


def _last_event_id(given: bytes, said: int | None) -> int | None:
    return int(read_one(_LAST, given.decode("latin-1"))) if given else said
