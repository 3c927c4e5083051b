"""POST /events: a body in, a response out when its events are durable."""

import asyncio
from typing import Final

from oncefold.serve.channel.messages import SMALL_BYTES, Acknowledgement
from oncefold.serve.http.request import Disconnected, Request
from oncefold.serve.http.response import CLOSE, Problem, Response
from oncefold.serve.server.acknowledgements import response_to
from oncefold.serve.server.admission import Admission
from oncefold.serve.server.body_format import body_format, require_json
from oncefold.serve.server.writer_client import BodyStream, WriterClient
from oncefold.serve.settings import Limits


class EventsEndpoint:
    """Belongs to one event loop."""

    def __init__(self, writer: WriterClient, admission: Admission, limits: Limits) -> None:
        self._writer, self._admission, self._limits = writer, admission, limits
        self._small_bytes: Final = min(SMALL_BYTES, limits.max_line)
        self._idle = _IdleBodies(limits.body_idle_seconds)

    async def __call__(self, request: Request) -> Response:
        """Answer when the events are durable. Raises Problem and Disconnected."""
        headers = request.headers
        format_ = body_format(headers.get(b"content-type"), headers.get(b"content-encoding"), request.query)
        body = _BoundedBody(request, self._limits, self._idle)
        with self._admission.admit() as admitted:
            beginning = await body.next() if body.more else b""
            while body.more and len(beginning) <= self._small_bytes:
                beginning += await body.next()
            if not headers.get(b"content-type"):
                require_json(beginning, format_)
            if len(beginning) <= self._small_bytes:
                admitted.hold(len(beginning))
                return response_to(await self._writer.submit(format_, beginning))
            stream = self._writer.stream(format_, admitted.hold_stream())
            return response_to(await _stream(stream, beginning, body))


async def _stream(stream: BodyStream, beginning: bytes, body: "_BoundedBody") -> Acknowledgement:
    """Pass a body on as it comes, and wait for its acknowledgement. Raises Problem and Disconnected."""
    try:
        await _pass_on(stream, beginning, body)
    except Problem as problem:  # what was whole of it before is committed
        committed = (await stream.acknowledgement()).committed_events
        raise Problem(
            problem.status,
            problem.detail,
            *problem.headers,
            title=problem.title,
            members={"committed_events": committed},
        ) from None
    except Disconnected:
        await stream.acknowledgement()
        raise
    return await stream.acknowledgement()


async def _pass_on(stream: BodyStream, beginning: bytes, body: "_BoundedBody") -> None:
    """Pass a body on until it ends, or the writer has no use for more. Raises Problem and Disconnected."""
    whole = False
    try:
        await stream.send(beginning)
        while body.more and not stream.is_acknowledged:
            await stream.send(await body.next())
        whole = not body.more
    finally:
        stream.end(whole=whole)


class _IdleBodies:
    """Bodies of which the next bytes are awaited, the longest first: one timer for all gives up those that are idle.

    A timer for each would cost more than the rest of a small request.
    """

    def __init__(self, seconds: float) -> None:
        """A body is given up when nothing of it came for so long."""
        self._seconds = seconds
        self._waiting: dict[_BoundedBody, float] = {}
        """Since when; it is as ordered as it was filled."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, body: "_BoundedBody", now: float) -> None:
        """The next bytes of it are awaited from now on."""
        self._waiting[body] = now
        if self._timer is None:
            self._set_timer(now)

    def end(self, body: "_BoundedBody") -> None:
        """They came, or are awaited no longer."""
        self._waiting.pop(body, None)

    def _set_timer(self, now: float) -> None:
        oldest = next(iter(self._waiting.values()), None)
        wait = None if oldest is None else max(0.0, oldest + self._seconds - now)
        self._timer = None if wait is None else asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for body, since in list(self._waiting.items()):
            if since + self._seconds > now:
                break
            del self._waiting[body]
            body.give_up()
        self._set_timer(now)


class _BoundedBody:
    """A request's body as it arrives, within the limits of a server.

    Only the time that the server waits for its client counts, not the other way round.
    """

    def __init__(self, request: Request, limits: Limits, idle: _IdleBodies) -> None:
        """Raises Problem 413 for a body that says that it is too large."""
        self._body, self._limits, self._idle = request.body, limits, idle
        self._total = 0
        self._waited = 0.0
        """Seconds in which the server waited for the client."""
        self._loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._task, self._given_up = task, False
        if limits.max_body is not None:
            length = request.headers.get(b"content-length")
            self._require_room(int(length) if length.isdigit() else 0)

    @property
    def more(self) -> bool:
        """Whether more may come."""
        return self._body.more

    async def next(self) -> bytes:
        """The next bytes. Raises Problem, 408 if little or nothing comes, 413 if too much does, and Disconnected."""
        loop, idle = self._loop, self._idle
        began = loop.time()
        idle.begin(self, began)
        try:
            data = await self._body.next()
        except asyncio.CancelledError:
            if self._given_up and not self._task.uncancel():
                raise self._not_sent() from None
            raise
        finally:
            idle.end(self)
        self._total += len(data)
        self._waited += loop.time() - began
        self._require_room(self._total)
        if self.more:
            self._require_speed()
        return data

    def give_up(self) -> None:
        """Nothing came for too long: `next` raises Problem."""
        self._given_up = True
        self._task.cancel()

    def _not_sent(self) -> Problem:
        detail = f"Nothing of the body has come for {self._limits.body_idle_seconds:g} seconds; send it again."
        return Problem(408, detail, CLOSE, title="Body not sent")

    def _require_room(self, length: int) -> None:
        most = self._limits.max_body
        if most is not None and length > most:
            detail = f"A body may have {most:,} bytes here; send its events in several requests."
            raise Problem(413, detail, CLOSE, title="Body too large")

    def _require_speed(self) -> None:
        least = self._limits.min_body_bytes_per_second
        if self._total < least * (self._waited - self._limits.body_idle_seconds):
            detail = f"Less than {least:,} bytes of the body come in a second; send it again."
            raise Problem(408, detail, CLOSE, title="Body too slow")
