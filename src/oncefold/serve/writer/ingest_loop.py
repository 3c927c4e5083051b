"""The ingest thread: it alone owns the engine and the store. All others post it messages.

If a commit fails, or folding does, the requests in it are acknowledged as failed, and the store is opened again, after
ever longer pauses, at its last whole commit. What was acknowledged is in it; what was not is sent again by its clients,
and counts once. Where another attempt is of no use, without memory or without the store's file, the thread ends
instead, and says so.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError, StoreError
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.session import Ingested, Session
from oncefold.engine.tuning import process_seed
from oncefold.serve.channel.messages import (
    AttachedSources,
    CommitListener,
    Committed,
    SourceEnded,
    SourcesStarted,
)
from oncefold.serve.writer.attached_sources import SourceReader
from oncefold.serve.writer.capacity import Capacity, CapacityLimits
from oncefold.serve.writer.failures import is_final, reason_of, trace_of
from oncefold.serve.writer.group_commit import Acknowledge, GroupCommit, Part
from oncefold.serve.writer.joining import Arrivals
from oncefold.serve.writer.pending import PendingRequest

PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each further attempt to open the store again; the last for all that follow."""


_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more of a request comes."""

    request: PendingRequest


@dataclass(frozen=True, slots=True)
class Call:
    """Something to do with the session, alone: everything folded before is committed first."""

    work: Callable[[Session], Any]
    done: Callable[[Any, BaseException | None], object]
    """Called with its result or its error, in the ingest thread."""
    last: bool = False
    """Whether the loop ends once it has succeeded: the store has to be opened with another definition then."""


class _ReplacedError(Exception):
    """The store has another definition now."""


_REPLACED: Final = "its definition was replaced just now"


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """Another thread had no memory to go on."""

    error: MemoryError


class _LoopSignal(Enum):
    """What else the ingest thread is sent."""

    WAKE = "something may be due"
    FULL = "so much has arrived that it is folded now"
    STOP = "commit everything and end"


_Message = Part | Finish | Call | OutOfMemory | _LoopSignal


class AvailabilityObserver(Protocol):
    """Who is notified of whether events can be committed."""

    def ready(self) -> None:
        """They can, or can again."""
        ...

    def failed(self, reason: str) -> None:
        """They cannot, for this reason."""
        ...

    def ended(self, reason: str) -> None:
        """They cannot, for this reason, and will not until everything is started again."""
        ...


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the loop calls, and its clocks."""

    acknowledge: Acknowledge
    listeners: Sequence[CommitListener]
    availability: AvailabilityObserver
    logger: logging.Logger
    monotonic: Callable[[], float]
    clock: Callable[[], int]
    """Nanoseconds since the epoch."""
    sources: Callable[[SourcesStarted | SourceEnded], object] = lambda _: None
    """Called when attached sources begin, and when one ends."""


class IngestLoop:
    """Runs from `start` to `stop`."""

    def __init__(
        self,
        pipeline: Pipeline,
        opened: Callable[[], Session],
        attached: AttachedSources | None,
        callbacks: Callbacks,
        capacity: Capacity | None = None,
    ) -> None:
        """`opened` opens the store; without a capacity it may grow without limits."""
        self.capacity = capacity or Capacity(CapacityLimits(), Path())
        self._opened, self._attached, self._callbacks = opened, attached, callbacks
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self.post = self._inbox.put
        self.arrivals = Arrivals(lambda: self.post(_LoopSignal.WAKE), lambda: self.post(_LoopSignal.FULL))
        self.decoder = BlockDecoder(pipeline, process_seed())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oncefold-ingest", daemon=True)
        self.failure = ""
        """Why the store could not be written when the loop ended; empty if it could."""
        self._replaced = False

    @property
    def ended(self) -> bool:
        """Whether nothing that is posted is taken any more."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin; the store is open then. Raises as opening does, and SourceError for sources that are not there."""
        self._session, self._source_reader = self._begin()
        self._thread.start()

    def stop(self) -> None:
        """Commit all that was posted, close the store, and wait until that is done; without effect if not started."""
        self._stopping.set()
        self.post(_LoopSignal.STOP)
        if self._thread.ident is not None:
            self._thread.join()

    def _begin(self) -> tuple[Session, SourceReader | None]:
        session = self._opened()
        try:
            self.capacity.look(session.engine)
            if self._attached is None:
                return session, None
            return session, SourceReader(
                self._attached,
                session.positions,
                self.decoder,
                self.post,
                self._callbacks.logger,
                self.capacity,
                self._callbacks.sources,
            )
        except BaseException:
            session.close()
            raise

    def _run(self) -> None:
        while True:
            self._callbacks.availability.ready()
            group, final = self._group(), False
            try:
                self._serve(group)
                break
            except _ReplacedError:
                self._replaced = True
            except Exception as error:
                self.failure, final = reason_of(error), is_final(error)
                self._callbacks.logger.log(
                    logging.ERROR, "events cannot be committed: %s", self.failure, exc_info=trace_of(error)
                )
                self._callbacks.availability.failed(self.failure)
            finally:
                group.close()
                self._close()
            self._fail(group.unacknowledged(), self.failure or _REPLACED)
            if self._replaced or final or not self._open_again():
                break
        self._drain()
        if self.failure or self._replaced:
            if self.failure:
                self._callbacks.availability.ended(self.failure)
            while not self._stopping.wait(_LOOK_SECONDS):  # whoever still sends is answered
                self._drain()
            self._drain()

    def _group(self) -> GroupCommit:
        callbacks = self._callbacks
        return GroupCommit(
            self._session,
            self.arrivals,
            callbacks.acknowledge,
            self._notify,
            lambda: self.post(_LoopSignal.WAKE),
            callbacks.monotonic,
        )

    def _close(self) -> None:
        if self._source_reader is not None:
            self._source_reader.close()
            self._source_reader = None
        with suppress(Exception):
            self._session.close()

    def _serve(self, group: GroupCommit) -> None:
        """Take messages until the one to stop. Raises StoreError when a commit fails."""
        timeout = None
        while True:
            try:
                message = self._inbox.get(timeout=timeout)
            except queue.Empty:
                message = None
            if message is _LoopSignal.STOP:
                group.flush()
                return
            self._take(message, group)
            timeout = group.step(idle=message is None)
            if self.capacity.is_limited:
                self.capacity.look(self._session.engine)

    def _take(self, message: _Message | None, group: GroupCommit) -> None:
        if isinstance(message, Part):
            try:
                self._fold(message, group)
            finally:
                message.done()
        elif isinstance(message, Finish):
            if not message.request.failure:
                group.finish(message.request)
        elif message is _LoopSignal.FULL:
            group.fold_arrivals()
        elif isinstance(message, Call):
            group.flush()
            self._call(message)
        elif isinstance(message, OutOfMemory):
            raise message.error

    def _fold(self, part: Part, group: GroupCommit) -> None:
        if isinstance(part.origin, PendingRequest):
            if not part.origin.failure:
                group.add(part.origin, part.decoded)
        elif part.origin is self._source_reader:
            group.add(None, part.decoded)

    def _call(self, call: Call) -> None:
        began = self._callbacks.monotonic()
        before = self._session.engine.last_commit
        try:
            found = call.work(self._session)
        except Exception as error:
            call.done(None, error)
            if isinstance(error, OncefoldError) and not isinstance(error, StoreError):
                return
            raise
        after = self._session.engine.last_commit
        if after > before:
            counts = found.counts if isinstance(found, Ingested) else {}
            seconds = self._callbacks.monotonic() - began
            self._notify(Committed(after, self._callbacks.clock(), counts, sum(counts.values()), seconds, None))
        call.done(found, None)
        if call.last:
            raise _ReplacedError

    def _notify(self, committed: Committed) -> None:
        for listener in self._callbacks.listeners:
            try:
                listener(committed)
            except Exception:
                self._callbacks.logger.exception("a listener of commits failed")

    def _fail(self, requests: Iterable[PendingRequest], reason: str) -> None:
        failed = [request for request in requests if not request.failure]
        for request in failed:
            request.failure = reason
        if failed:
            self._callbacks.acknowledge(failed)

    def _open_again(self) -> bool:
        """Whether the store is open again; False if the loop is to stop."""
        tries = 0
        while not self._stopping.wait(PAUSES[min(tries, len(PAUSES) - 1)]):
            tries += 1
            try:
                self._session, self._source_reader = self._begin()
            except (OncefoldError, MemoryError, OSError) as error:
                self.failure = reason_of(error)
                self._callbacks.availability.failed(self.failure)
                if is_final(error):
                    return False
                continue
            self._callbacks.logger.warning("the store is open again, at commit %d", self._session.engine.last_commit)
            self.failure = ""
            return True
        return False

    def _drain(self) -> None:
        """Acknowledge as failed those whose messages nobody will take."""
        reason = self.failure or (_REPLACED if self._replaced else "the server has ended")
        left = self.arrivals.all()
        with suppress(queue.Empty):
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, Part):
                    message.done()
                elif isinstance(message, Finish):
                    left.append(message.request)
                elif isinstance(message, Call):
                    message.done(None, OncefoldError(reason))
        self._fail(left, reason)
