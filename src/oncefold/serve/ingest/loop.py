"""The ingest thread: it alone owns the engine and the store. All others send it messages.

If a commit fails, or folding does, whoever waits is told so, and the store is opened again, after ever longer pauses,
at its last whole commit. What was answered is in it; what was not is sent again by its clients, and counts once.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError, StoreError
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.session import Ingested, Session
from oncefold.serve.ingest.arrivals import Arrivals
from oncefold.serve.ingest.beside import Beside, Named
from oncefold.serve.ingest.committed import Committed, Listener
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.group import GroupCommit, Settle
from oncefold.serve.ingest.messages import FULL, WAKE, Call, End, Full, Message, Part, Stop

PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each further try to open the store again; the last for all that follow."""


class Told(Protocol):
    """Who is told whether events can be committed."""

    def ready(self) -> None:
        """They can, or can again."""
        ...

    def failed(self, why: str) -> None:
        """They cannot, for this reason."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """What the loop tells and asks."""

    settle: Settle
    listeners: Sequence[Listener]
    health: Told
    logger: logging.Logger
    monotonic: Callable[[], float]
    clock: Callable[[], int]
    """Nanoseconds since the epoch."""


class IngestLoop:
    """Runs from `start` to `stop`."""

    def __init__(
        self, pipeline: Pipeline, opened: Callable[[], Session], named: Named | None, outside: Outside
    ) -> None:
        """`opened` opens the store."""
        self._opened, self._named, self._outside = opened, named, outside
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.post = self._inbox.put
        self.arrivals = Arrivals(lambda: self.post(WAKE), lambda: self.post(FULL))
        self.decoder = BlockDecoder(pipeline)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oncefold-ingest", daemon=True)
        self.failure = ""
        """Why the store could not be written when the loop ended; empty if it could."""

    @property
    def ended(self) -> bool:
        """Whether nothing that is posted is taken any more."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin; the store is open then. Raises as opening does, and SourceError for sources that are not there."""
        self._session, self._beside = self._begin()
        self._thread.start()

    def stop(self) -> None:
        """Commit all that was posted, close the store, and wait until that is done; without effect if not started."""
        self._stopping.set()
        self.post(Stop())
        if self._thread.ident is not None:
            self._thread.join()

    def _begin(self) -> tuple[Session, Beside | None]:
        session = self._opened()
        try:
            if self._named is None:
                return session, None
            return session, Beside(self._named, session.positions, self.decoder, self.post, self._outside.logger)
        except BaseException:
            session.close()
            raise

    def _run(self) -> None:
        while True:
            self._outside.health.ready()
            group = self._group()
            try:
                self._serve(group)
                break
            except Exception as error:
                self.failure = _words(error)
                self._outside.logger.log(
                    logging.ERROR, "events cannot be committed: %s", self.failure, exc_info=_trace(error)
                )
                self._outside.health.failed(self.failure)
            finally:
                group.close()
                self._close()
            self._fail(group.unsettled(), self.failure)
            if not self._open_again():
                break
        self._drain()

    def _group(self) -> GroupCommit:
        outside = self._outside
        return GroupCommit(
            self._session, self.arrivals, outside.settle, self._tell, lambda: self.post(WAKE), outside.monotonic
        )

    def _close(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None
        with suppress(Exception):
            self._session.close()

    def _serve(self, group: GroupCommit) -> None:
        """Take messages until told to stop. Raises StoreError when a commit fails."""
        patience = None
        while True:
            try:
                message = self._inbox.get(timeout=patience)
            except queue.Empty:
                message = None
            if isinstance(message, Stop):
                group.flush()
                return
            self._take(message, group)
            patience = group.step(idle=message is None)

    def _take(self, message: Message | None, group: GroupCommit) -> None:
        if isinstance(message, Part):
            try:
                self._fold(message, group)
            finally:
                message.done()
        elif isinstance(message, End):
            if not message.delivery.why_not:
                group.finish(message.delivery)
        elif isinstance(message, Full):
            group.fold_arrivals()
        elif isinstance(message, Call):
            group.flush()
            self._call(message)

    def _fold(self, part: Part, group: GroupCommit) -> None:
        if isinstance(part.origin, Delivery):
            if not part.origin.why_not:
                group.add(part.origin, part.decoded)
        elif part.origin is self._beside:
            group.add(None, part.decoded)

    def _call(self, call: Call) -> None:
        began = self._outside.monotonic()
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
            seconds = self._outside.monotonic() - began
            self._tell(Committed(after, self._outside.clock(), counts, sum(counts.values()), seconds, None))
        call.done(found, None)

    def _tell(self, committed: Committed) -> None:
        for listener in self._outside.listeners:
            try:
                listener(committed)
            except Exception:
                self._outside.logger.exception("a listener of commits failed")

    def _fail(self, deliveries: Iterable[Delivery], why: str) -> None:
        failed = [delivery for delivery in deliveries if not delivery.why_not]
        for delivery in failed:
            delivery.why_not = why
        if failed:
            self._outside.settle(failed)

    def _open_again(self) -> bool:
        """Whether the store is open again; False if the loop was told to stop."""
        tries = 0
        while not self._stopping.wait(PAUSES[min(tries, len(PAUSES) - 1)]):
            tries += 1
            try:
                self._session, self._beside = self._begin()
            except OncefoldError as error:
                self.failure = str(error)
                self._outside.health.failed(self.failure)
                continue
            self._outside.logger.warning("the store is open again, at commit %d", self._session.engine.last_commit)
            self.failure = ""
            return True
        return False

    def _drain(self) -> None:
        """Tell those whose messages nobody will take."""
        why = self.failure or "the server has ended"
        left = self.arrivals.all()
        with suppress(queue.Empty):
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, Part):
                    message.done()
                elif isinstance(message, End):
                    left.append(message.delivery)
                elif isinstance(message, Call):
                    message.done(None, OncefoldError(why))
        self._fail(left, why)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, OncefoldError) else f"{type(error).__name__}: {error}"


def _trace(error: Exception) -> Exception | None:
    return None if isinstance(error, OncefoldError) else error
