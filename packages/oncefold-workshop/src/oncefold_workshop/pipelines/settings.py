"""What the workshop sets: the age of a message, its event source mappings, its tables, and its induced faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

MAX_AGE_SECONDS = 60.0
"""StateLambda drops a message whose timestamp is older, silently."""
STATE_BATCH = 100
"""Kinesis records of a batch, at most."""
MAP_BATCH = 10_000
"""Records of StateTable's stream in a batch, at most."""
MAP_WINDOW_SECONDS = 3
"""Lambda gathers records of StateTable's stream for so long, at most."""
REDUCE_BATCH = 1_000
"""Records of ReduceTable's stream in a batch, at most; ReduceLambda runs once at a time."""


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names of one workshop's tables."""

    state: str
    reduce: str
    aggregate: str


@dataclass(frozen=True, slots=True)
class Rates:
    """The share of each function's invocations that fail after their write."""

    state: float = 0.0
    map: float = 0.0
    reduce: float = 0.0


HARD_MODE = Rates(state=0.05, map=0.10, reduce=0.10)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the functions find in their environment, all three the same."""

    tables: TableNames
    rates: Rates = Rates()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The settings of the variables WORKSHOP_*. Raises KeyError where one is missing."""
        return cls(
            TableNames(
                state=environment["WORKSHOP_STATE_TABLE"],
                reduce=environment["WORKSHOP_REDUCE_TABLE"],
                aggregate=environment["WORKSHOP_AGGREGATE_TABLE"],
            ),
            Rates(
                state=float(environment["WORKSHOP_STATE_FAILS"]),
                map=float(environment["WORKSHOP_MAP_FAILS"]),
                reduce=float(environment["WORKSHOP_REDUCE_FAILS"]),
            ),
        )

    def environment(self) -> dict[str, str]:
        """The inverse of `of`."""
        return {
            "WORKSHOP_STATE_TABLE": self.tables.state,
            "WORKSHOP_REDUCE_TABLE": self.tables.reduce,
            "WORKSHOP_AGGREGATE_TABLE": self.tables.aggregate,
            "WORKSHOP_STATE_FAILS": str(self.rates.state),
            "WORKSHOP_MAP_FAILS": str(self.rates.map),
            "WORKSHOP_REDUCE_FAILS": str(self.rates.reduce),
        }


class InducedFailure(Exception):  # noqa: N818 - it is a rule of the game
    """The invocation fails although its write was made, so that the batch is delivered again."""


@dataclass(frozen=True, slots=True)
class InducedFault:
    """Fails at a rate from 0 to 1; `random` gives numbers from 0 up to but not including 1."""

    rate: float
    random: Callable[[], float]

    def strike(self) -> None:
        """Raises InducedFailure, or not."""
        if self.random() < self.rate:
            raise InducedFailure(f"one of the {self.rate:.0%} of the invocations that fail in hard mode")
