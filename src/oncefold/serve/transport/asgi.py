"""ASGI to values and back: an HTTP server's messages become requests and their bodies, responses its messages."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, Protocol

from oncefold.serve.http.request import Disconnected, Headers, Request, RequestIds
from oncefold.serve.http.response import CLOSE, Problem, Response, Stream
from oncefold.serve.telemetry.counters import CLIENT_LEFT

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE_BYTES: Final = 64 * 2**10
"""A response goes out in pieces of this size, so that a slow reader holds few of them beside the response itself."""
_REST_BYTES: Final = 64 * 2**10
_REST_SECONDS: Final = 1.0
"""A refused request may send as much of its body, for so long, before its connection ends with the response."""
SLOW_READER_SECONDS: Final = 60.0
"""A client that takes nothing of a response for so long is given up."""


_BROKEN_OFF: Final = Problem(
    400, "The body broke off, or its chunks are malformed; send it again.", CLOSE, title="Malformed body"
)


class Application(Protocol):
    """What answers requests."""

    async def respond(self, request: Request) -> Response:
        """The response to a request. Raises Disconnected if nobody waits for it."""
        ...

    def ended(self, request: Request, status: int, seconds: float, received: int, sent: int) -> None:
        """A request has ended."""
        ...

    def broke(self, request: Request, error: Exception) -> None:
        """A response that had begun could not be made to its end."""
        ...

    def connection_ended(self, reason: str) -> None:
        """The server gave a connection up."""
        ...


class AsgiAdapter:
    """The application as an HTTP server calls it. Belongs to one event loop."""

    def __init__(
        self, application: Application, ids: RequestIds, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._application, self._ids, self._monotonic = application, ids, monotonic

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began = self._monotonic()
        headers = Headers(scope["headers"])
        body = _Body(receive, headers)
        request = _request(scope, headers, body, self._ids.of(headers.get(b"x-request-id")))
        status, sending = CLIENT_LEFT, _Sending(send)
        response: Response | None = None
        try:
            response = await self._application.respond(request)
            status = response.status
            if body.more:
                response = await _after_rest(body, response)
            await sending.response(response, receive)
        except Disconnected:  # a client that sent malformed chunks may still listen
            await sending.response(_BROKEN_OFF.response(request.id), receive)
        except TimeoutError:
            self._application.connection_ended("slow_reader")
        except Exception as error:
            self._application.broke(request, error)
        finally:
            if response is not None and response.stream is not None:
                await response.stream.aclose()
            self._application.ended(request, status, self._monotonic() - began, body.received, sending.sent)


def _request(scope: Message, headers: Headers, body: "_Body", request_id: str) -> Request:
    client, query = scope.get("client"), scope["query_string"]
    return Request(
        scope["method"],
        scope["path"],
        query,
        headers,
        body,
        request_id,
        client[0] if client else "",
        scope["http_version"] in _HTTP_1_0,
        len(scope["raw_path"]) + len(query),
    )


_HTTP_1_0: Final = frozenset({"1", "1.0"})
"""Of HTTP/1.0 servers say either."""


class _Body:
    """A request's body; of a known length it ends without another message."""

    __slots__ = ("_length", "_receive", "more", "received")

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        length = headers.get(b"content-length")
        self._length = int(length) if length.isdigit() else None
        self.more = bool(headers.get(b"transfer-encoding")) if self._length is None else self._length > 0
        self.received = 0

    async def next(self) -> bytes:
        """See Body."""
        message = await self._receive()
        if message["type"] != "http.request":
            self.more = False
            raise Disconnected
        data: bytes = message.get("body", b"")
        self.received += len(data)
        self.more = self.received != self._length and message.get("more_body", False)
        return data


async def _after_rest(body: _Body, response: Response) -> Response:
    """The response to a request whose body was not read: if it ends soon, the connection goes on after it."""
    if CLOSE in response.headers:
        return response
    with suppress(Disconnected, TimeoutError):
        async with asyncio.timeout(_REST_SECONDS):
            while body.more and body.received <= _REST_BYTES:
                await body.next()
    return response._replace(headers=(*response.headers, CLOSE)) if body.more else response


class _Sending:
    """One response on its way."""

    __slots__ = ("_send", "sent")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.sent = 0
        """Bytes of its body."""

    async def response(self, response: Response, receive: Receive) -> None:
        """Send a response. Raises TimeoutError if the client does not take it, and what its stream raises."""
        status, headers, body, stream = response
        length = () if stream is not None or status in {204, 304} else ((b"content-length", b"%d" % len(body)),)
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
        if stream is not None:
            await self._pieces(body)
            await self._stream(stream, receive)
        elif len(body) > PIECE_BYTES:
            await self._pieces(body)
        else:
            self.sent = len(body)
            await self._send({"type": "http.response.body", "body": body})
            return
        await self._send({"type": "http.response.body", "body": b""})

    async def _pieces(self, body: bytes) -> None:
        for start in range(0, len(body), PIECE_BYTES):
            piece = body[start : start + PIECE_BYTES]
            async with asyncio.timeout(SLOW_READER_SECONDS):
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self.sent += len(piece)

    async def _stream(self, stream: Stream, receive: Receive) -> None:
        """Send a stream until it ends, or the client leaves."""
        left = asyncio.ensure_future(_until_disconnected(receive))
        try:
            while (piece := await _next_unless(left, stream)) is not None:
                await self._pieces(piece)
        finally:
            await _cancelled(left)


async def _next_unless(left: "asyncio.Future[None]", stream: Stream) -> bytes | None:
    """The next piece of a stream; None at its end, and when the client has left."""
    piece = asyncio.ensure_future(_next(stream))
    try:
        await asyncio.wait((piece, left), return_when=asyncio.FIRST_COMPLETED)
        return None if left.done() else piece.result()
    finally:
        await _cancelled(piece)


async def _next(stream: Stream) -> bytes | None:
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return None


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
