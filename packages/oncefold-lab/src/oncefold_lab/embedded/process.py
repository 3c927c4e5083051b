"""One life of the process: it opens the store, goes on from the positions there, and stops at the first error."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oncefold.commit import CommitContent
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.engine.session import Session
from oncefold.store import Store
from oncefold.store.wal import Files
from oncefold_lab.embedded.case import Case
from oncefold_lab.embedded.inputs import Inputs
from oncefold_lab.embedded.workload import SESSION

SECOND = 10**9
BEGIN = 1_000_000 * SECOND


@dataclass(slots=True)
class Clock:
    """Time that passes with each commit."""

    now: int = BEGIN

    def __call__(self) -> int:
        """Nanoseconds since the epoch."""
        return self.now


@dataclass(slots=True)
class Lived:
    """What came of a life."""

    made: bool = False
    """Whether the store was opened."""
    acknowledged: int = 0
    """The last commit that was said to be durable, in this life."""
    tried: int = 0
    """The last commit that was begun."""
    error: str = ""
    """What ended it, if it did not end by itself."""
    unexpected: bool = False
    """Whether that is no error that a user could be told of."""
    done: bool = False
    """Whether nothing is left to do."""
    commits: list[int] = field(default_factory=list)
    """Those acknowledged."""


class WatchedStore(Store):
    """A store that tells what it begins, and what it says is durable."""

    lived: Lived
    clock: Clock

    def commit(self, commit: CommitContent, on_durable: Callable[[int], None] = lambda _: None) -> int:
        """As the store does."""
        self.lived.tried = self.last_commit + 1

        def told(seq: int) -> None:
            self.lived.acknowledged = seq
            self.lived.commits.append(seq)
            on_durable(seq)

        seq = super().commit(commit, told)
        self.clock.now += SECOND
        return seq


@dataclass(frozen=True, slots=True)
class Process:
    """A program that folds a case's inputs into the store at `path`."""

    path: Path
    case: Case
    pipeline: Pipeline
    inputs: Inputs
    connect: Callable[[Path], Any]
    files: Files
    clock: Clock

    def live(self, commits: int, end: Callable[[], object]) -> Lived:
        """Make at least so many commits if there is work for them; `end` is called before the store is closed."""
        lived = Lived()
        session: Session | None = None
        try:
            session = self._opened(lived)
            lived.made = True
            self._work(session, lived, commits)
        except OncefoldError as error:
            lived.error = str(error)
        except Exception as error:
            lived.error, lived.unexpected = f"{type(error).__name__}: {error}", True
        end()
        if session is not None:
            session.close()
        return lived

    def _opened(self, lived: Lived) -> Session:
        store = WatchedStore.open(
            self.path,
            self.pipeline,
            retention=self.case.retention,
            clock=self.clock,
            connect=self.connect,
            files=self.files,
            tuning=self.case.limits.tuning,
        )
        store.lived, store.clock = lived, self.clock
        try:
            return Session(store, self.clock)
        except BaseException:
            store.close()
            raise

    def _work(self, session: Session, lived: Lived, commits: int) -> None:
        """Turn to one source after the other, as the inputs say, from where the store is."""
        at, passed = session.engine.last_commit, 0
        for source, number in self.inputs.runs:
            passed += number
            left = passed - max(at, passed - number)
            if left <= 0:
                continue
            if len(lived.commits) >= commits:
                return
            state = session.positions.get(source)
            if source == SESSION:
                data, position = self.inputs.batch(state)
                session.ingest(data, source=SESSION, position=position)
            else:
                session.run(self.inputs.blocks(source, state, left))
        lived.done = True
