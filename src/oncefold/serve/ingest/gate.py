"""The ingest as the event loop sees it: who is let in, what waits, and whom it is handed to."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, TypeVar

from oncefold.engine.session import Ingested
from oncefold.serve.ingest.budget import Budget
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.pace import Patience
from oncefold.serve.ingest.refusal import RETRY_SOON, Refusal, Refused
from oncefold.serve.ingest.socket_pipe import Stream
from oncefold.serve.operations.health import Health
from oncefold.serve.settings import Settings

STREAM_BYTES: Final = 4 * 2**20
"""What a streamed body takes: as it comes, as a block being cut, and its part of what is decoded."""

_Found = TypeVar("_Found")
Done = Callable[[_Found | None, BaseException | None], object]
"""Called with what came of something, or with its error."""

FULL = Refusal(
    429, "Too many events at a time", "The server holds as many events as it may; send them again.", (RETRY_SOON,)
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is let in."""

    max_waiting: int
    max_inflight_bytes: int
    max_body: int | None
    max_line: int
    patience: Patience

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limits among a server's settings."""
        return cls(
            max_waiting=settings.max_waiting,
            max_inflight_bytes=settings.max_inflight_bytes,
            max_body=settings.max_body,
            max_line=settings.max_line,
            patience=Patience(settings.body_idle_seconds, settings.min_body_bytes_per_second),
        )


class Works(Protocol):
    """Who reads deliveries, folds and commits them, and settles each once. None of this blocks."""

    def take(self, delivery: Delivery, body: bytes) -> None:
        """Read a body that is here as a whole."""
        ...

    def stream(self, delivery: Delivery, stream: Stream) -> None:
        """Read a body as it comes."""
        ...

    def finish(self, delivery: Delivery, *, whole: bool) -> None:
        """All of a stream was fed; or it breaks off, and what is here need not be read."""
        ...

    def redrive(self, done: Done[Ingested]) -> None:
        """Read every reject again."""
        ...

    def discard(self, ids: Sequence[int], done: Done[int]) -> None:
        """Take these rejects off the list; done with how many of them were on it."""
        ...

    async def stop(self) -> None:
        """Commit all that was handed over, and end."""
        ...


class Ingest:
    """Belongs to one event loop."""

    def __init__(self, works: Works, limits: Limits, health: Health) -> None:
        self.limits, self._works, self._health = limits, works, health
        self.waiting_requests = 0
        """Requests that were let in and are not answered."""
        self._budget = Budget(limits.max_inflight_bytes)
        self.take, self.stream, self.finish = works.take, works.stream, works.finish

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are held for requests."""
        return self._budget.taken

    def enter(self) -> None:
        """Let a request in, to `leave` later. Raises Refused: 503 if nothing can be committed, 429 if too many wait."""
        if why := self._health.why_not:
            raise Refused(Refusal(503, "Not now", f"Events cannot be taken: {why}. Send them again.", (RETRY_SOON,)))
        if self.waiting_requests >= self.limits.max_waiting:
            raise Refused(FULL)
        self.waiting_requests += 1

    def leave(self) -> None:
        """A request that was let in is answered."""
        self.waiting_requests -= 1

    def hold(self, count: int) -> None:
        """Hold so many bytes, to `let_go` later. Raises Refused, 429, if there are too many."""
        if not self._budget.take(count):
            raise Refused(FULL)

    def let_go(self, count: int) -> None:
        """So many bytes are not held any more."""
        self._budget.give(count)

    async def redrive(self) -> Ingested:
        """Read every reject again. Raises OncefoldError if that, or its commit, fails."""
        return await _done(self._works.redrive)

    async def discard(self, ids: Sequence[int]) -> int:
        """Take these rejects off the list; how many of them were on it. Raises as `redrive` does."""
        return await _done(lambda done: self._works.discard(ids, done))

    async def stop(self) -> None:
        """Commit all that was handed over, and end the ingest."""
        await self._works.stop()


async def _done(begin: Callable[[Done[_Found]], None]) -> _Found:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Found] = loop.create_future()

    def done(found: _Found | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(_set, future, found, error)

    begin(done)
    return await future


def all_settled(deliveries: Sequence[Delivery]) -> None:
    """Tell whoever waits for them; to be called in the event loop."""
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
