"""Group commit: whatever is folded while one commit is written becomes durable with the next, and is acknowledged then.

Small bodies of JSON Lines are not even decoded before that: all that wait are joined into one batch. A commit begins
when none is under way and

- as many requests wait for it as the last one acknowledged, or three of four that are known to take turns, since
  their clients tend to send again together;
- or some wait, and the last commit ended as long ago as it took (LINGER_SECONDS at most, and for many);
- or what is folded belongs to streams that go on, as `oncefold.engine.run` decides.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from oncefold.columnar.text import TextDecoder
from oncefold.engine.run import (
    COMMIT_BYTES,
    COMMIT_ROWS,
    IDLE_SECONDS,
    Decoded,
    Durable,
    RunProgress,
    due,
    fold,
)
from oncefold.engine.session import Session
from oncefold.serve.channel.messages import Committed
from oncefold.serve.writer.joining import Arrivals, Joined
from oncefold.serve.writer.pending import PendingRequest
from oncefold.serve.writer.resources import lower_priority

LINGER_SECONDS: Final = 0.02
"""A request waits at most so long for others before its commit begins."""
MANY_REQUESTS: Final = 32
"""When so many are awaited, they are worth the whole time: their commit is the cheaper for each."""

NO_OUTCOMES: Final = np.empty(0, np.uint8)

Acknowledge = Callable[[list[PendingRequest]], None]
"""Called with requests of which nothing more comes, and what did is durable or cannot be; in any thread."""


@dataclass(frozen=True, slots=True)
class Part:
    """Decoded events of a request, or of attached sources."""

    origin: object
    """The PendingRequest, or the SourceReader."""
    decoded: Decoded
    done: Callable[[], object]
    """To be called when it is folded, or is not going to be."""


class GroupCommit:
    """Folds into one session and commits it; belongs to one thread. Methods raise StoreError if a commit failed."""

    def __init__(
        self,
        session: Session,
        arrivals: Arrivals,
        acknowledge: Acknowledge,
        notify: Callable[[Committed], None],
        wake: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`wake` is called, in another thread, when a commit has ended: `step` has something to do then."""
        self._engine, self._text = session.engine, TextDecoder(session.pipeline, session.engine.seed)
        self._committer = session.committer(RunProgress(), self._ended)
        self._acknowledge, self._notify, self._wake, self._monotonic = acknowledge, notify, wake, monotonic
        self._arrivals = arrivals
        self._touched: dict[PendingRequest, None] = {}
        """Requests with events that are folded and in no commit yet."""
        self._finished: list[PendingRequest] = []
        """Those of which nothing more comes, arrivals apart."""
        self._carried: dict[PendingRequest, int] = {}
        """Requests in the commit under way, and how many of their events are durable then."""
        self._finishing: list[PendingRequest] = []
        """Those that are acknowledged with it."""
        self._since: float | None = None
        """When the oldest folded event that is in no commit was folded."""
        self._under_way = False
        self._in_bulk = False
        """Whether more than small bodies came; those alone are acknowledged sooner at the usual priority."""
        self._ended_at = 0.0

    def add(self, request: PendingRequest | None, part: Decoded) -> None:
        """Fold a part of a request, or of a source; from the first on, folding and committing have a lower priority."""
        if not self._in_bulk:
            self._in_bulk = True
            lower_priority()
        counts = fold(self._engine, part)
        self._since = self._monotonic() if self._since is None else self._since
        if request is not None:
            request.add(counts, [*part.oversize, *part.batch.rejects])
            self._touched[request] = None

    def finish(self, request: PendingRequest) -> None:
        """Nothing more of this request comes."""
        self._finished.append(request)

    def step(self, *, idle: bool) -> float | None:
        """Begin a commit if it is time; the seconds after which to call again, None if only a message calls for it.

        `idle` says that nothing came for IDLE_SECONDS or longer.
        """
        if not self._under_way:
            self._committer.wait()
        if self._is_due(self._monotonic(), idle=idle):
            self._begin()
        return self._timeout(self._monotonic())

    def flush(self) -> None:
        """Commit everything and wait until it is durable."""
        self._begin()
        self._committer.wait()

    def close(self) -> None:
        """Wait for the commit under way, however it ends."""
        self._committer.__exit__(None, None, None)

    def unacknowledged(self) -> Iterable[PendingRequest]:
        """Every request that was added and is not acknowledged; some may be already after a failure."""
        return dict.fromkeys(
            [*self._arrivals.take(), *self._touched, *self._finished, *self._carried, *self._finishing]
        )

    def fold_arrivals(self) -> None:
        """Fold what arrived so far, though its commit may not be due."""
        while arrived := self._arrivals.take():
            self._touched.update(dict.fromkeys(arrived))
            self._finished.extend(arrived)
            joined = Joined(arrived, self._text)
            self._engine.fold(joined.batch)
            joined.share(self._engine.pending_outcomes[-joined.events :] if joined.events else NO_OUTCOMES)

    @property
    def _gathered(self) -> int:
        return len(self._arrivals) + len(self._finished)

    @property
    def _linger(self) -> float:
        if self._arrivals.awaited >= MANY_REQUESTS:
            return LINGER_SECONDS
        return min(self._committer.last_seconds, LINGER_SECONDS)

    def _is_due(self, now: float, *, idle: bool) -> bool:
        if self._engine.pending_rows >= COMMIT_ROWS or self._engine.pending_bytes >= COMMIT_BYTES:
            return True
        if self._under_way:
            return False
        if self._gathered:
            return self._gathered >= self._arrivals.awaited or now >= self._ended_at + self._linger
        waited = None if self._since is None else now - self._since
        return due(self._engine, self._committer, waited, idle=idle)

    def _timeout(self, now: float) -> float | None:
        if self._under_way:
            return None
        if self._gathered:
            return max(0.0, self._ended_at + self._linger - now)
        return None if self._since is None else IDLE_SECONDS

    def _begin(self) -> None:
        self._committer.wait()
        self.fold_arrivals()
        touched, finishing = self._touched, self._finished
        self._touched, self._finished, self._since = {}, [], None
        if not self._engine.has_pending:
            self._finish_with(finishing, self._engine.last_commit)
            return
        self._carried = {request: request.events for request in touched}
        self._finishing = finishing
        self._under_way = True
        self._committer.begin()

    def _ended(self, durable: Durable | None) -> None:
        """Called in the committing thread; `_begin` waits for it before it changes what is used here."""
        if self._in_bulk:
            lower_priority()
        if durable is not None:
            for request, events in self._carried.items():
                request.commit, request.committed_events = durable.seq, events
            finishing, self._carried, self._finishing = self._finishing, {}, []
            self._await(len(finishing))
            self._notify(_committed(durable))
            self._finish_with(finishing, durable.seq)
        self._ended_at = self._monotonic()
        self._under_way = False
        self._wake()

    def _await(self, acknowledged: int) -> None:
        """Await as many requests as this commit acknowledged, or three of four that are known to take turns.

        A commit costs about as much for few as for many, and many clients take turns in groups that would stay small.
        """
        known = acknowledged + len(self._arrivals)
        self._arrivals.awaited = max(acknowledged, 3 * known // 4)

    def _finish_with(self, requests: list[PendingRequest], commit: int) -> None:
        for request in requests:
            request.commit = request.commit or commit
        if requests:
            self._acknowledge(requests)


def _committed(durable: Durable) -> Committed:
    commit = durable.commit
    return Committed(durable.seq, commit.at, commit.counts, len(commit.changes), durable.seconds, commit.newest_time)
