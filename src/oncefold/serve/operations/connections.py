"""Connections and their limits: how many, how large a request's head, how long it may take, how slow a reader may be.

uvicorn has none of these limits with httptools. Who opens connections and says nothing, or little by little, holds a
file and some memory each, and is let go of after a while; see `oncefold.serve.ingest` for bodies.
"""

import socket
from asyncio import AbstractEventLoop, Transport
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from oncefold.serve.operations.express import Answers, Lane, WholeRequest
from oncefold.serve.operations.handover import EXTENSION, Handover
from oncefold.serve.operations.problem import problem_document
from oncefold.serve.operations.request import RequestIds

MOST_HEAD_BYTES = 64 * 2**10
"""Of a request line with its headers; each header counts for some more than its text."""
MOST_URL_BYTES = 32 * 2**10
SLOW_READER_SECONDS = 60.0
"""A client that takes nothing of an answer for so long is let go of."""
_SWEEP_SECONDS = 1.0
_HEADER_COST = 32
_SPARE_FILES = 128
"""Files that a server needs beside its connections."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """What is said to a client whose request never reached the application."""

    reason: str
    """In metrics."""
    status: int
    title: str
    detail: str


_CROWDED = _Refused(
    "crowded", 503, "Too many connections", "The server holds as many connections as it may; try again."
)
_SLOW = _Refused("slow_head", 408, "Request Timeout", "The request line and headers did not arrive in time.")
_LARGE = _Refused(
    "large_head", 431, "Headers too large", f"Request headers may have {MOST_HEAD_BYTES:,} bytes together."
)
_LONG = _Refused("long_url", 414, "URL too long", f"The path with its query may have {MOST_URL_BYTES:,} bytes.")
_MALFORMED = _Refused("malformed", 400, "Malformed request", "These bytes are no HTTP/1.1 request.")
_SLOW_READER = "slow_reader"
_IDLE = "idle"


class Connections:
    """All connections of one server; belongs to its event loop."""

    def __init__(self, most: int, head_seconds: float, ids: RequestIds) -> None:
        """`ids` are for requests that the server itself answers, too."""
        self._most, self._head_seconds, self.ids = most, head_seconds, ids
        self._open: set[LimitedProtocol] = set()
        self._sweeping = False
        self.lanes: Sequence[Lane] = ()
        """The express lanes, once there are some."""
        self.answers = Answers()
        """Of those lanes."""
        self.refused = Counter[str]()
        """Connections that the server itself ended, by reason."""

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self, **uvicorn: Any) -> "LimitedProtocol":
        """One connection's protocol; what uvicorn calls where it would make one of its own."""
        return LimitedProtocol(self, **uvicorn)

    def enter(self, protocol: "LimitedProtocol", loop: AbstractEventLoop) -> bool:
        """Take a connection in; False if there are too many."""
        if len(self._open) >= self._most:
            return False
        self._open.add(protocol)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(_SWEEP_SECONDS, self._sweep, loop)
        return True

    def leave(self, protocol: "LimitedProtocol") -> None:
        """A connection has ended."""
        self._open.discard(protocol)

    def _sweep(self, loop: AbstractEventLoop) -> None:
        """Let go of the slow ones. One timer for all costs less than one for each request."""
        now = loop.time()
        for protocol in list(self._open):
            protocol.let_go_if_slow(now, self._head_seconds)
        self._sweeping = bool(self._open)
        if self._sweeping:
            loop.call_later(_SWEEP_SECONDS, self._sweep, loop)


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with limits."""

    def __init__(self, connections: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._all = connections
        self._since = 0.0
        """Since when something is waited for that must come soon: the end of a head, or of a body that is answered
        already; else 0."""
        self._in_body = False
        self._head_bytes = 0
        self._paused_since = 0.0
        """Since when the client takes nothing of an answer; 0 if it does."""
        self._why = _MALFORMED
        self._upgrade = False
        """Whether the head that has come wishes for another protocol."""
        self._broken = False
        """Whether what comes cannot be parsed any more."""
        self._half_closed = False
        """Whether the client says no more, and still listens."""
        self._lane: Lane | None = None
        """The express lane that may take the request that is coming."""
        self._waiting: bytearray | None = None
        """The body, so far, of a request that goes to the express lane if all of it comes at once; else None."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take the connection in, or send it away."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if not self._all.enter(self, self.loop):
            self._refuse(_CROWDED)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._all.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; what is no request is answered and ends the connection."""
        self._unset_keepalive_if_required()
        if self._broken or self.transport.is_closing():
            return
        if not self._since and not self._in_body and self._is_free:
            self._since = self.loop.time()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._why)
        else:
            if self._waiting is not None:
                self._go_on_ordinarily()
            self._head_bytes += len(data) if self._since and not self._in_body else 0
            if self._head_bytes > 2 * MOST_HEAD_BYTES:  # one header that does not end
                self._refuse(_LARGE)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client says no more: what it has asked as a whole is still answered."""
        self._half_closed = not self._in_body and not self._is_free
        return self._half_closed

    def _feed(self, data: bytes) -> None:
        """Parse. A request that wishes for another protocol is parsed anew without the wish.

        The parser takes what follows such a head for the other protocol, and a body would be lost.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            rest = data[wish.args[0] :]
            head = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
            head += [name + b": " + value for name, value in _without_wish(self.headers)]
            self._upgrade = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(b"\r\n".join([*head, b"", rest]))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_bytes = 0
        if not self._since:
            self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        """A request's head is here."""
        if len(self.url) > MOST_URL_BYTES:
            self._why = _LONG
            raise ValueError(_LONG.title)
        size = 0
        for name, value in self.headers:
            size += len(name) + len(value) + _HEADER_COST
            if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                raise ValueError(_MALFORMED.title)  # where such a body ends, nobody can say
        if size > MOST_HEAD_BYTES:
            self._why = _LARGE
            raise ValueError(_LARGE.title)
        self._upgrade = self.parser.should_upgrade()
        if self._upgrade:
            if self.parser.get_method() == b"CONNECT":
                raise ValueError(_MALFORMED.title)
            return
        self._since, self._head_bytes, self._in_body = 0.0, 0, True
        self._lane = self._suiting_lane()
        if self._lane is not None:
            self._waiting = bytearray()
        else:
            self._begin_ordinarily()

    def on_body(self, body: bytes) -> None:
        """A piece of a request's body is here."""
        if self._waiting is not None:
            self._waiting += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is here as a whole."""
        if self._upgrade:
            return
        self._in_body = False
        if self._waiting is not None:
            if self._went_express():
                return
            self._go_on_ordinarily()
        if self._is_free:  # it was answered before its body had come: no timer waits for the next one
            self._since = self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is sent as a whole."""
        if self._in_body:
            self._since = self.loop.time()
        super().on_response_complete()
        if self._half_closed and self._is_free:
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not take what is written."""
        self._paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client takes it again."""
        self._paused_since = 0.0
        super().resume_writing()

    def let_go_if_slow(self, now: float, head_seconds: float) -> None:
        """End the connection if it is too slow."""
        if self._paused_since and now - self._paused_since > SLOW_READER_SECONDS:
            self._all.refused[_SLOW_READER] += 1
            self.transport.abort()
        elif self._since and now - self._since > head_seconds and self._is_free:
            if self._head_bytes:
                self._refuse(_SLOW)
            else:
                self._all.refused[_IDLE] += 1
                self.transport.close()

    @property
    def _is_free(self) -> bool:
        """Whether no answer is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _suiting_lane(self) -> Lane | None:
        """The express lane for the request, if nothing is under way, and nothing is special about it."""
        if (
            not self._is_free
            or self.flow.write_paused
            or self.expect_100_continue
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
        ):
            return None
        method = self.parser.get_method()
        return next((lane for lane in self._all.lanes if lane.suits(method, self.url)), None)

    def _went_express(self) -> bool:
        """Whether the express lane has taken the request that is here."""
        lane, body = self._lane, self._waiting
        if lane is None or body is None:
            return False
        before = self.cycle
        answers, ended = self._all.answers, self.on_response_complete
        request = WholeRequest(self.url, self.headers, bytes(body), self.client, answers, self._answer, ended)
        self.cycle = request  # type: ignore[assignment]
        if lane.take(request):
            self._waiting = None
            return True
        self.cycle = before
        return False

    def _go_on_ordinarily(self) -> None:
        """What waited for the express lane is the application's after all."""
        body, self._waiting = self._waiting, None
        self._begin_ordinarily()
        if body:
            super().on_body(bytes(body))

    def _begin_ordinarily(self) -> None:
        """The application is told of the request whose head is here."""
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: Handover(self._hand_over, self._take_back)}
        super().on_headers_complete()

    def _hand_over(self) -> socket.socket | None:
        """Leave the body that is coming to another reader, if all that came of it was received."""
        if not self._in_body or self.cycle.disconnected or self.cycle.body or self.transport.is_closing():
            return None
        taken: socket.socket = self.transport.get_extra_info("socket").dup()
        self.flow.pause_reading()
        self.parser = httptools.HttpRequestParser(self)  # it begins with the next request
        return taken

    def _take_back(self, whole: bool) -> None:  # noqa: FBT001 - called once
        """The other reader has ended; without the whole body nobody can tell where a next request begins."""
        self.cycle.more_body = False
        if whole:
            self._in_body = False
            self.flow.resume_reading()
        else:
            self._broken, self.cycle.keep_alive = True, False

    def _answer(self, answer: bytes, keep_alive: bool) -> None:  # noqa: FBT001 - called once
        """Write an answer of the express lane."""
        if not self.transport.is_closing():
            self.transport.write(answer)
            if not keep_alive:
                self.transport.close()

    def _refuse(self, why: _Refused) -> None:
        self._all.refused[why.reason] += 1
        if self.transport.is_closing():
            return
        if not self._is_free and not self._in_body:  # what was asked before is still answered
            self._broken, self.cycle.keep_alive = True, False
            return
        if not self._is_free and (self.pipeline or self.cycle.response_started):
            self.transport.abort()  # another answer now would be taken for one of those under way
            return
        request_id = self._all.ids.of(dict(self.headers or ()).get(b"x-request-id", b""))
        body = problem_document(why.status, why.title, why.detail, request_id)
        head = (
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
            f"x-request-id: {request_id}\r\nx-content-type-options: nosniff\r\n"
            f"{'retry-after: 1' + chr(13) + chr(10) if why is _CROWDED else ''}\r\n"
        )
        self.transport.write(STATUS_LINE[why.status] + head.encode("ascii") + body)
        self.transport.close()


def _without_wish(headers: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The headers without those that wish for another protocol."""
    for name, value in headers:
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            yield name, b", ".join(token for token in tokens if token.lower() not in {b"upgrade", b"http2-settings"})
        elif name not in {b"upgrade", b"http2-settings"}:
            yield name, value


def connections_allowed(most: int) -> int:
    """Let this process open as many files as so many connections need, if the system permits; how many it may have."""
    try:
        import resource  # noqa: PLC0415 - not there on every system
    except ImportError:
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit - _SPARE_FILES, 1)
