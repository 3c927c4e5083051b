"""The ingest as the event loop sees it: who is let in, what waits, and how it is handed to the ingest thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from oncefold.embedded.run import Decoded
from oncefold.embedded.session import Ingested, Session
from oncefold.serve.ingest.budget import Budget
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.faults import BrokenOff, Crowded
from oncefold.serve.ingest.forms import Form
from oncefold.serve.ingest.group import Settle
from oncefold.serve.ingest.loop import IngestLoop
from oncefold.serve.ingest.messages import Call, End, Part
from oncefold.serve.ingest.pipe import BodyPipe, Pipe
from oncefold.serve.ingest.priority import give_way, processors_to_compute
from oncefold.serve.ingest.reading import BLOCK_BYTES, Hold, Reading, read_body
from oncefold.serve.ingest.refusal import RETRY_SOON, Refusal, Refused
from oncefold.serve.operations.health import Health
from oncefold.sources.blocks import TableBlock, TextBlock

STREAM_BYTES: Final = 4 * BLOCK_BYTES
"""What a streamed body takes: in its pipe, as a block being cut, and its part of what is decoded."""

_DECODED_BLOCKS: Final = 4
"""Blocks of all bodies together that are decoded and not folded: one thread folds them all."""
_MOST_STREAMS: Final = 64
_LOOK_SECONDS: Final = 0.1
"""How often a thread that cannot hand on its block looks whether anyone still wants it."""
_Found = TypeVar("_Found")

_FULL = Refusal(
    429, "Too many events at a time", "The server holds as many events as it may; send them again.", (RETRY_SOON,)
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is let in."""

    max_waiting: int
    max_inflight_bytes: int
    max_body: int | None
    max_line: int
    idle_seconds: float
    min_bytes_per_second: int


def settler(loop: asyncio.AbstractEventLoop) -> Settle:
    """Tells an event loop of deliveries that are settled."""

    def settle(deliveries: list[Delivery]) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(_all_settled, deliveries)

    return settle


class Ingest:
    """Belongs to one event loop."""

    def __init__(self, loop: IngestLoop, reading: Reading, limits: Limits, health: Health) -> None:
        self.limits, self._loop, self._reading, self._health = limits, loop, reading, health
        self.waiting_requests = 0
        """Requests that were let in and are not answered."""
        self._budget = Budget(limits.max_inflight_bytes)
        self._room = threading.Semaphore(_DECODED_BLOCKS)
        self._decoding = threading.Semaphore(processors_to_compute())
        self._streams = ThreadPoolExecutor(_MOST_STREAMS, "oncefold-stream", give_way)
        self._wholes = ThreadPoolExecutor(1, "oncefold-bodies", give_way)
        self.add = loop.arrivals.add
        """Take a delivery whose body is whole, small, and JSON Lines."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are held for requests."""
        return self._budget.taken

    @property
    def keys(self) -> int:
        """Keys ever met."""
        return self._loop.keys

    def enter(self) -> None:
        """Let a request in, to `leave` later. Raises Refused: 503 if nothing can be committed, 429 if too many wait."""
        if why := self._health.why_not:
            raise Refused(Refusal(503, "Not now", f"Events cannot be taken: {why}. Send them again.", (RETRY_SOON,)))
        if self.waiting_requests >= self.limits.max_waiting:
            raise Refused(_FULL)
        self.waiting_requests += 1

    def leave(self) -> None:
        """A request that was let in is answered."""
        self.waiting_requests -= 1

    def hold(self, count: int) -> None:
        """Hold so many bytes, to `let_go` later. Raises Refused, 429, if there are too many."""
        if not self._budget.take(count):
            raise Refused(_FULL)

    def let_go(self, count: int) -> None:
        """So many bytes are not held any more."""
        self._budget.give(count)

    def read_whole(self, delivery: Delivery, form: Form, body: bytes) -> None:
        """Read a body that is here as a whole."""
        self._wholes.submit(self._read, delivery, form, BodyPipe.whole(body), lambda _: None)

    def read_stream(self, delivery: Delivery, form: Form, pipe: Pipe) -> None:
        """Read a body as it comes; STREAM_BYTES are held for it."""
        self._streams.submit(self._read_stream, delivery, form, pipe)

    async def redrive(self) -> Ingested:
        """Read every reject again. Raises OncefoldError if that, or its commit, fails."""
        return await self._alone(Session.redrive)

    async def discard(self, ids: Sequence[int]) -> int:
        """Take these rejects off the list; how many of them were on it. Raises as `redrive` does."""
        return await self._alone(lambda session: session.discard(ids))

    async def stop(self) -> None:
        """Commit all that was handed over, and end the ingest."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._loop.stop()
        self._streams.shutdown(cancel_futures=True)
        self._wholes.shutdown(cancel_futures=True)

    async def _alone(self, work: Callable[[Session], _Found]) -> _Found:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Found] = loop.create_future()

        def done(found: _Found, error: BaseException | None) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_set, future, found, error)

        self._loop.post(Call(work, done))
        return await future

    def _read_stream(self, delivery: Delivery, form: Form, pipe: Pipe) -> None:
        extra = 0

        def hold(count: int) -> None:
            nonlocal extra
            more = max(0, 2 * (count - BLOCK_BYTES)) - extra
            if more > 0 and not self._budget.take_within(more, self.limits.idle_seconds):
                raise Crowded
            if more < 0:
                self._budget.give(-more)
            extra += more

        try:
            self._read(delivery, form, pipe, hold)
        finally:
            self._budget.give(extra)

    def _read(self, delivery: Delivery, form: Form, pipe: Pipe, hold: Hold) -> None:
        try:
            for block in read_body(self._reading, form, pipe, hold):
                if delivery.why_not:
                    break
                self._wait_for_room()
                self._loop.post(Part(delivery, self._decoded(block), self._room.release))
        except BrokenOff:
            pass  # whoever broke it off answers
        except Exception as error:  # whoever waits for the answer turns it into one
            delivery.fault = error
        finally:
            pipe.let_go()
            self._loop.post(End(delivery))

    def _wait_for_room(self) -> None:
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            if self._loop.ended:
                raise BrokenOff

    def _decoded(self, block: TextBlock | TableBlock) -> Decoded:
        try:
            with self._decoding:
                batch, oversize = self._reading.decoder.decode(block)
        except BaseException:
            self._room.release()
            raise
        return Decoded(batch, oversize, None, block.consumed_bytes)


def _all_settled(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        if not delivery.settled:
            delivery.settled = True
            delivery.tell(delivery)


def _set(future: "asyncio.Future[Any]", found: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(found)
    else:
        future.set_exception(error)
