"""A case: everything that one seed draws, as frozen values, so that it can be shown, repeated and made smaller."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from math import exp, log
from random import Random
from types import ModuleType
from typing import Any

from oncefold.engine import run
from oncefold.store import load
from oncefold.store.compaction import Levels
from oncefold.store.retention import Retention
from oncefold.store.schema import PAGE_SIZE
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.writer import Tuning
from oncefold_lab.disk.faults import ENDS, WHILE, DiskFault, FaultKind, Operation, Survival, Traits
from oncefold_lab.embedded.workload import DiskWorkload, shape, workload

_PACKAGES = ("oncefold.store.", "oncefold.engine.")


@dataclass(frozen=True, slots=True)
class EngineLimits:
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


_REACH = {
    Operation.OPEN: 4,
    Operation.READ: 60,
    Operation.WRITE: 250,
    Operation.SYNC: 25,
    Operation.TRUNCATE: 3,
    Operation.DELETE: 2,
    Operation.RENAME: 1,
    Operation.LOCK: 5,
    Operation.SIZE: 10,
    Operation.ACCESS: 3,
    None: 400,
}
"""About how many steps of each operation a life has; faults strike within it, early ones more likely."""

_BEFORE = (None, Operation.SYNC)
"""What a process ends before: any step, or one that makes something durable, where what belongs together may part."""
_LASTING = 1_000_000
_RELAPSES = 0.5
"""How likely two lives of a case make a relapse."""
_OPENING_STEPS = 120
"""About how many steps it takes to open a store that has a log."""

_USUAL = (
    *(FaultKind.ERROR, FaultKind.ERROR, FaultKind.FULL, FaultKind.TORN, FaultKind.BUSY, FaultKind.FORGOTTEN),
    *(FaultKind.KILL, FaultKind.POWER, FaultKind.POWER),
)


class Ending(StrEnum):
    """How a life of the process ends, after an error or when its commits are made."""

    CLOSE = "close"
    KILL = "kill"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Life:
    """One process, from opening the store to the end of it."""

    faults: tuple[DiskFault, ...]
    commits: int
    """It ends when it has made so many."""
    ending: Ending
    survival: Survival
    """What survives if the power goes, whenever that is."""

    def __str__(self) -> str:
        faults = ", ".join(map(str, self.faults)) or "no faults"
        return f"{faults}; {self.commits} commits, then {self.ending}; {self.survival} survives a loss of power"


@dataclass(frozen=True, slots=True)
class Case:
    """All of it. After its lives comes one without faults, which finishes the work."""

    seed: int
    definition: str
    workload: DiskWorkload
    limits: EngineLimits
    retention: Retention
    traits: Traits
    lives: tuple[Life, ...]

    @property
    def faults(self) -> int:
        """How many faults are scheduled, ends of lives included."""
        return sum(len(life.faults) + (life.ending is not Ending.CLOSE) for life in self.lives)


def draw(seed: int, *, lies: bool = False) -> Case:
    """The case of a seed; with `lies`, syncs lie in it."""
    given = Random(f"{seed}/given")  # noqa: S311 - it has to be repeatable, not secret
    schedule = Random(f"{seed}/schedule")  # noqa: S311
    kinds = [*_USUAL, *[FaultKind.LIE] * len(_USUAL)] if lies else list(_USUAL)
    return Case(
        seed=seed,
        definition=shape(given),
        workload=workload(given),
        limits=_limits(given),
        retention=given.choice((timedelta(seconds=1), timedelta(seconds=4), timedelta(seconds=15), "forever")),
        traits=Traits(given.choice((512, 4_096)), given.random() < 0.7, given.choice((0, 0, 0xFF, 0x5A))),
        lives=_lives(schedule, kinds),
    )


def _limits(rng: Random) -> EngineLimits:
    return EngineLimits(
        fan_out=rng.choice((2, 3, 8)),
        full_bytes=rng.choice((600, 2_000, 20_000)),
        wal_pages=rng.choice((1, 8, 30, 1_000)),
        page_rows=rng.choice((2, 4, 16)),
        window_rows=rng.choice((2, 6, 20)),
    )


def _lives(rng: Random, kinds: list[FaultKind]) -> tuple[Life, ...]:
    lives = [_life(rng, kinds) for _ in range(rng.randint(2, 5))]
    if rng.random() < _RELAPSES:
        at = rng.randint(0, len(lives) - 1)
        lives[at : at + 1] = _relapse(rng)
    return tuple(lives)


def _relapse(rng: Random) -> tuple[Life, Life]:
    """A sync fails for good and the process dies; the power goes while the next one is opening the store."""
    fails = DiskFault(FaultKind.FORGOTTEN, Operation.SYNC, rng.randint(3, 12), rng.choice((1, _LASTING)))
    early = DiskFault(FaultKind.POWER, None, _early(rng, _OPENING_STEPS))
    survival = rng.choice(list(Survival))
    return Life((fails,), 8, Ending.KILL, survival), Life((early,), 8, Ending.POWER, survival)


def _early(rng: Random, reach: int) -> int:
    """A step within reach, the first ones more likely."""
    return int(exp(rng.uniform(0, log(reach)))) - 1


def _life(rng: Random, kinds: list[FaultKind]) -> Life:
    return Life(
        faults=tuple(_fault(rng, kinds) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))),
        commits=rng.choice((1, 2, 4, 8)),
        ending=rng.choice((Ending.CLOSE, Ending.CLOSE, Ending.KILL, Ending.POWER, Ending.POWER)),
        survival=rng.choice(list(Survival)),
    )


def _fault(rng: Random, kinds: list[FaultKind]) -> DiskFault:
    kind = rng.choice(kinds)
    operation = rng.choice(_BEFORE if kind in ENDS else WHILE[kind])
    at = _early(rng, _REACH[operation])
    times = 1 if kind in ENDS else rng.choice((1, 1, 2, _LASTING))
    return DiskFault(kind, operation, at, times, rng.choice((0.0, 0.1, 0.5, 0.99)))
