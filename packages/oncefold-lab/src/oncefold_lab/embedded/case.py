"""A case: everything that one seed draws, as frozen values, so that it can be told, repeated and made smaller."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import exp, log
from random import Random

from oncefold.store.retention import Retention
from oncefold_lab.disk.faults import ENDS, WHILE, Fault, Kind, Operation, Survival, Traits
from oncefold_lab.embedded.limits import Limits
from oncefold_lab.embedded.shapes import shape
from oncefold_lab.embedded.workload import Workload, workload

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

_LASTING = 1_000_000
_RELAPSES = 0.2
"""How likely two lives of a case make a relapse."""
_OPENING_STEPS = 120
"""About how many steps it takes to open a store that has a log."""

_USUAL = (
    *(Kind.ERROR, Kind.ERROR, Kind.FULL, Kind.TORN, Kind.BUSY, Kind.FORGOTTEN),
    *(Kind.KILL, Kind.POWER, Kind.POWER),
)


class Ending(StrEnum):
    """How a life of the process ends, after an error or when its commits are made."""

    CLOSE = "close"
    KILL = "kill"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Life:
    """One process, from opening the store to the end of it."""

    faults: tuple[Fault, ...]
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
    workload: Workload
    limits: Limits
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
    kinds = [*_USUAL, *[Kind.LIE] * len(_USUAL)] if lies else list(_USUAL)
    return Case(
        seed=seed,
        definition=shape(given),
        workload=workload(given),
        limits=_limits(given),
        retention=given.choice((timedelta(seconds=1), timedelta(seconds=4), timedelta(seconds=15), "forever")),
        traits=Traits(given.choice((512, 4_096)), given.random() < 0.7, given.choice((0, 0, 0xFF, 0x5A))),
        lives=_lives(schedule, kinds),
    )


def _limits(rng: Random) -> Limits:
    return Limits(
        fan_out=rng.choice((2, 3, 8)),
        full_bytes=rng.choice((600, 2_000, 20_000)),
        wal_pages=rng.choice((1, 8, 30, 1_000)),
        page_rows=rng.choice((2, 4, 16)),
        window_rows=rng.choice((2, 6, 20)),
    )


def _lives(rng: Random, kinds: list[Kind]) -> tuple[Life, ...]:
    lives = [_life(rng, kinds) for _ in range(rng.randint(2, 5))]
    if rng.random() < _RELAPSES:
        at = rng.randint(0, len(lives) - 1)
        lives[at : at + 1] = _relapse(rng)
    return tuple(lives)


def _relapse(rng: Random) -> tuple[Life, Life]:
    """A sync fails for good and the process dies; the power goes while the next one is opening the store."""
    fails = Fault(Kind.FORGOTTEN, Operation.SYNC, rng.randint(3, 12), rng.choice((1, _LASTING)))
    early = Fault(Kind.POWER, None, _early(rng, _OPENING_STEPS))
    survival = rng.choice(list(Survival))
    return Life((fails,), 8, Ending.KILL, survival), Life((early,), 8, Ending.POWER, survival)


def _early(rng: Random, reach: int) -> int:
    """A step within reach, the first ones more likely."""
    return int(exp(rng.uniform(0, log(reach)))) - 1


def _life(rng: Random, kinds: list[Kind]) -> Life:
    return Life(
        faults=tuple(_fault(rng, kinds) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))),
        commits=rng.choice((1, 2, 4, 8)),
        ending=rng.choice((Ending.CLOSE, Ending.CLOSE, Ending.KILL, Ending.POWER, Ending.POWER)),
        survival=rng.choice(list(Survival)),
    )


def _fault(rng: Random, kinds: list[Kind]) -> Fault:
    kind = rng.choice(kinds)
    operation = None if kind in ENDS else rng.choice(WHILE[kind])
    at = _early(rng, _REACH[operation])
    times = 1 if kind in ENDS else rng.choice((1, 1, 2, _LASTING))
    return Fault(kind, operation, at, times, rng.choice((0.0, 0.1, 0.5, 0.99)))
