"""The engine with small limits, so that everything that takes millions of events happens within dozens."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from oncefold.core.definition import Pipeline
from oncefold.engine.session import Session
from oncefold.store.compaction import Levels
from oncefold.store.schema import PAGE_SIZE
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.writer import Store, Tuning
from tests.store.model import SECOND, ManualClock

RETENTION = timedelta(seconds=30)
TUNING = Tuning(Levels(fan_out=2, full_bytes=1_000), wal_bytes=12 * PAGE_SIZE)
PAGE_ROWS = 4
WINDOW_ROWS = 6
BLOCK_BYTES = 400

_PAGED = ("store.snapshots", "store.load", "store.verify", "store.keys", "store.check_blobs", "store.check")
_PAGED += ("engine.engine",)


@contextmanager
def small_limits() -> Iterator[None]:
    """Pages of a few rows, taken often; every block is a commit, so that what is in which does not hang on time."""
    with ExitStack() as stack:
        for name in _PAGED:
            stack.enter_context(patch.object(import_module(f"oncefold.{name}"), "PAGE_ROWS", PAGE_ROWS))
        stack.enter_context(
            patch("oncefold.store.load.SnapshotSchedule", partial(SnapshotSchedule, min_window=WINDOW_ROWS))
        )
        stack.enter_context(patch("oncefold.engine.run.COMMIT_ROWS", 0))
        yield


def open_small(path: Path, pipeline: Pipeline, clock: ManualClock, **options: Any) -> Session:
    """A session with small levels, a short retention and a clock of its own."""
    store = Store.open(path, pipeline, retention=RETENTION, clock=clock, tuning=TUNING, **options)
    try:
        return Session(store, clock)
    except BaseException:
        store.close()
        raise


def tick(clock: ManualClock, seconds: int = 1) -> None:
    clock.now += seconds * SECOND


def on_commit(session: Session, act: Callable[[Callable[[Any], int], Any], int]) -> None:
    """Replace the session's `store.commit(content)` by `act(commit, content)`."""
    store: Any = session._store
    commit = store.commit
    store.commit = lambda content, *callbacks: act(lambda same: commit(same, *callbacks), content)
