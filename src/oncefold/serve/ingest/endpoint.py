"""POST /events: a body in, an answer out when its events are durable. Plain ASGI, since every request passes here."""

import asyncio
import socket
from collections.abc import MutableMapping
from typing import Any

from oncefold.serve.ingest.answer import answer_of, refused
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.forms import Head, read_head
from oncefold.serve.ingest.gate import STREAM_BYTES, Ingest, Limits
from oncefold.serve.ingest.pace import Pace
from oncefold.serve.ingest.refusal import CLOSE, Refusal, Refused
from oncefold.serve.ingest.small import small_bytes
from oncefold.serve.ingest.socket_pipe import Stream
from oncefold.serve.operations.handover import Handover, handover_of
from oncefold.serve.operations.problem import Receive, Send, send_answer
from oncefold.serve.operations.request import request_id_of


class _Gone(Exception):  # noqa: N818 - what happened to a client
    """The client has left; there is nobody to answer."""


class _Body:
    """A request's body as it arrives, within the limits of a server."""

    def __init__(self, receive: Receive, limits: Limits, pace: Pace) -> None:
        self._receive, self._most, self._patience, self._pace = receive, limits.max_body, limits.patience, pace
        self._total = 0
        self._waited = 0.0
        """Seconds in which the server waited for the client, and not the other way round."""
        self.more = True
        """Whether more may come."""

    def require_room(self, length: int) -> None:
        """Raises Refused, 413, for a body of more bytes than are allowed."""
        if self._most is not None and length > self._most:
            detail = f"A body may have {self._most:,} bytes here; send its events in several requests."
            raise Refused(Refusal(413, "Body too large", detail, (CLOSE,)))

    async def next(self) -> bytes:
        """The next bytes. Raises Refused, 408, when nothing comes or little, 413 when too much does, and _Gone."""
        try:
            message, seconds = await self._pace.wait(self._receive())
        except TimeoutError:
            raise Refused(self._patience.idle) from None
        if message["type"] == "http.disconnect":
            raise _Gone
        self.more = message.get("more_body", False)
        data: bytes = message.get("body", b"")
        self._total += len(data)
        self._waited += seconds
        self.require_room(self._total)
        if self.more and self._patience.is_slow(self._total, self._waited):
            raise Refused(self._patience.slow)
        return data

    async def beginning(self, size: int) -> bytes:
        """All of it, or its first bytes, of which there are more than `size` then. Raises as `next` does."""
        data = await self.next()
        while self.more and len(data) <= size:
            data += await self.next()
        return data


class EventsEndpoint:
    """Belongs to one event loop."""

    def __init__(self, ingest: Ingest) -> None:
        """To be made in that loop."""
        self._ingest = ingest
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(self._loop, ingest.limits.patience)
        self._small_bytes = small_bytes(ingest.limits)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        settled: asyncio.Future[None] = self._loop.create_future()

        def tell(_: Delivery) -> None:
            if not settled.done():
                settled.set_result(None)

        delivery = Delivery(tell)
        request_id = request_id_of(scope)
        try:
            head = read_head(scope["headers"], scope["query_string"])
            body = _Body(receive, self._ingest.limits, self._pace)
            body.require_room(head.length or 0)
            self._ingest.enter()
            try:
                await self._take(delivery, settled, head, body, handover_of(scope))
            finally:
                self._ingest.leave()
        except Refused as verdict:
            answer = refused(verdict.refusal, request_id, delivery.committed_events if delivery.begun else None)
        except _Gone:
            return
        else:
            answer = answer_of(delivery, request_id)
        await send_answer(send, answer.status, answer.headers, answer.body)

    async def _take(
        self, delivery: Delivery, settled: "asyncio.Future[None]", head: Head, body: _Body, handover: Handover | None
    ) -> None:
        """Hand the events over as they come, and wait until the delivery is settled. Raises Refused and _Gone."""
        delivery.form = head.form
        beginning = await body.beginning(self._small_bytes)
        is_stream = len(beginning) > self._small_bytes
        held = STREAM_BYTES if is_stream else len(beginning)
        self._ingest.hold(held)
        delivery.begun = True
        try:
            if not is_stream:
                self._ingest.take(delivery, beginning)
            elif handover is not None and head.length is not None and (connection := handover.take()) is not None:
                self._ingest.stream(delivery, Stream(connection, beginning, head.length - len(beginning)))
                await self._leave(delivery, settled, handover)
            else:
                await self._pass_on(delivery, settled, beginning, body)
            await settled
        finally:
            self._ingest.let_go(held)

    async def _leave(self, delivery: Delivery, settled: "asyncio.Future[None]", handover: Handover) -> None:
        """The rest of a body is read from its connection elsewhere."""
        try:
            await settled
        finally:
            self._ingest.finish(delivery, whole=settled.done())
            handover.give_back(delivery.rest.received, whole=delivery.rest.whole)
        if delivery.rest.gone:
            raise _Gone

    async def _pass_on(
        self, delivery: Delivery, settled: "asyncio.Future[None]", beginning: bytes, body: _Body
    ) -> None:
        """Pass the body on until it ends, or nobody reads it any more."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.settimeout(0)
            theirs.settimeout(0)
            self._ingest.stream(delivery, Stream(theirs, beginning, None))
            try:
                await self._feed(delivery, ours, body)
            except (Refused, _Gone):
                await settled
                raise

    async def _feed(self, delivery: Delivery, stream: socket.socket, body: _Body) -> None:
        """Feed a stream with the rest of a body, and say how it ended. Raises Refused and _Gone."""
        whole = False
        try:
            while body.more:
                await self._loop.sock_sendall(stream, await body.next())
            whole = True
        except OSError:
            pass  # whoever reads it has met something that ends it, and the answer says what
        finally:
            self._ingest.finish(delivery, whole=whole)
