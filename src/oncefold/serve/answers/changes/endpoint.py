"""`GET /changes`: a subscription as a stream of server-sent events, for as long as the client stays."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from oncefold.core.errors import OncefoldError
from oncefold.serve.answers.asking import Asking
from oncefold.serve.answers.changes.hub import Hub, Subscription
from oncefold.serve.answers.changes.messages import KEEP_ALIVE, Message, first
from oncefold.serve.answers.changes.wanted import Wanted, wanted
from oncefold.serve.answers.nodes import MOST_DEPTH, PATH, ROLLUP
from oncefold.serve.answers.parameters import Parameter, number, number_or_all, read_one, read_query
from oncefold.serve.answers.problems import Problem, Receive, Send, problem_of, send_problem

KEEP_ALIVE_SECONDS = 15.0
PIECE_BYTES = 32_768
MOST_PATHS = 1_000
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
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

    def __init__(self, asking: Asking, hub: Hub) -> None:
        self._asking, self._hub = asking, hub

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer with a stream, or with a problem."""
        try:
            values = read_query(scope["query_string"], PARAMETERS)
            known = _last_event_id(scope["headers"], values["last_event_id"])
            subscription, start = await self._hub.subscribe(self._wanted(values), known)
        except Problem as problem:
            await send_problem(scope, send, problem)
            return
        except OncefoldError as error:
            await send_problem(scope, send, problem_of(error))
            return
        try:
            headers = [*_HEADERS, *start.fresh.headers(self._asking.clock.now())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] != "HEAD":
                await _send(send, first(start, self._asking.clock.now()))
                await self._stream(subscription, receive, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._hub.leave(subscription)

    def _wanted(self, values: Mapping[str, Any]) -> Wanted:
        paths: Sequence[str] = values["path"]
        if len(paths) > MOST_PATHS:
            raise Problem(422, f"{len(paths):,} paths are named; name at most {MOST_PATHS:,}")
        deep, depth = values["depth"] == _UNSAID, values["depth"]
        return wanted(self._asking.pipeline, values["rollup"], paths, depth, deep=deep)

    async def _stream(self, subscription: Subscription, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_until_gone(receive))
        gone.add_done_callback(lambda _: subscription.tell(None))
        later = gone.get_loop().call_later
        try:
            while not gone.done():
                told = self._hub.next(subscription)
                silence = later(KEEP_ALIVE_SECONDS, subscription.tell, KEEP_ALIVE)
                message = await told
                silence.cancel()
                if message is None:
                    return
                await _send(send, message)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, message: Message) -> None:
    """Send a message in pieces, so that a slow reader holds up no more than one of them in the server's memory."""
    whole = b"".join(message)
    for start in range(0, len(whole), PIECE_BYTES):
        piece = whole[start : start + PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})


def _last_event_id(headers: Sequence[tuple[bytes, bytes]], said: int | None) -> int | None:
    for name, value in headers:
        if name == b"last-event-id" and value:
            return int(read_one(_LAST, value.decode("latin-1")))
    return said
