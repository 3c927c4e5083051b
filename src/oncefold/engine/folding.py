"""One open store with its engine, into which sources are folded: what `oncefold run` needs, and no query."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from oncefold.core.definition import Pipeline
from oncefold.engine.engine import Engine
from oncefold.engine.run import Committer, Durable, RunProgress, run
from oncefold.engine.tuning import process_seed
from oncefold.queries.protocol import Closing
from oncefold.sources.blocks import Block, Finding
from oncefold.store.retention import Retention
from oncefold.store.writer import Store


class Folding(Closing):
    """A store open for writing, by one thread at a time; it is closed at the end of a `with` statement."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        """Use `open`."""
        self.path = store.path
        self._clock = clock
        self._take(store)

    def _take(self, store: Store) -> None:
        """Go on with this store."""
        self.pipeline = store.pipeline
        self._store = store
        self._engine = Engine(store, self._clock, process_seed())

    @classmethod
    def open(
        cls,
        path: str | Path,
        pipeline: Pipeline,
        *,
        retention: Retention | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> Self:
        """Open or create a store; see `oncefold.open`."""
        store = Store.open(path, pipeline, retention=retention, clock=clock)
        try:
            return cls(store, clock)
        except BaseException:
            store.close()
            raise

    @property
    def positions(self) -> dict[str, str]:
        """The committed position of every source, as its state."""
        return dict(self._engine.positions)

    def run(
        self,
        blocks: Iterable[Block | Finding],
        on_progress: Callable[[RunProgress], None] = lambda _: None,
        stop: Callable[[], object] = lambda: None,
    ) -> RunProgress:
        """Fold and commit all blocks of sources; see `oncefold.engine.run`."""
        return run(self._engine, self._store, blocks, on_progress, stop=stop)

    @property
    def engine(self) -> Engine:
        """The engine, for another run loop; `committer` makes durable what it folds."""
        return self._engine

    def committer(self, progress: RunProgress, on_result: Callable[[Durable | None], None]) -> Committer:
        """A background committer of the engine; until it ends, no other method that commits may be called."""
        return Committer(self._store, self._engine, progress, on_result)

    def close(self) -> None:
        """Close the store; without effect when closed."""
        self._store.close()
