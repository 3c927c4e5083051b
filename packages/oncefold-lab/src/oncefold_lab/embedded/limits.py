"""The engine with small limits, so that all that takes millions of events happens within dozens."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from oncefold.engine import run
from oncefold.store import load
from oncefold.store.compaction import Levels
from oncefold.store.schema import PAGE_SIZE
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.writer import Tuning

_PACKAGES = ("oncefold.store.", "oncefold.engine.")


@dataclass(frozen=True, slots=True)
class Limits:
    """When to merge, to empty the log, and to snapshot the keys' states."""

    fan_out: int
    full_bytes: int
    wal_pages: int
    page_rows: int
    window_rows: int

    @property
    def tuning(self) -> Tuning:
        """Those that a store is opened with."""
        return Tuning(Levels(self.fan_out, self.full_bytes), wal_bytes=self.wal_pages * PAGE_SIZE)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Meanwhile the others hold in this process, and every block of a source is a commit, whatever the time."""
        changes: list[tuple[ModuleType, str, Any]] = [
            (module, "PAGE_ROWS", self.page_rows)
            for name, module in sorted(sys.modules.items())
            if name.startswith(_PACKAGES) and hasattr(module, "PAGE_ROWS")
        ]
        changes += [
            (load, "SnapshotSchedule", partial(SnapshotSchedule, min_window=self.window_rows)),
            (run, "COMMIT_ROWS", 0),
        ]
        before = [(module, name, getattr(module, name)) for module, name, _ in changes]
        try:
            for module, name, value in changes:
                setattr(module, name, value)
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)
