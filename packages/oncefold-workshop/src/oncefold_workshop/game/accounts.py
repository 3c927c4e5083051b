"""Accounts of a wrong total: causes, the events behind each, and whether they add up to the difference."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

SAMPLE = 5
"""Events that are named of each cause."""


class What(StrEnum):
    """What happened to events."""

    LOST = "lost"
    DOUBLED = "counted more than once"
    STATE = "not their latest version"


@dataclass(frozen=True, slots=True)
class Blamed:
    """An event, and what it adds to the difference."""

    key: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Cause:
    """Events that went wrong together, and why."""

    what: What
    why: str
    round: int
    """The round in which it happened."""
    events: int
    amount: Decimal
    """What they add to the difference."""
    sample: tuple[Blamed, ...]

    @classmethod
    def of(cls, what: What, why: str, number: int, blamed: Iterable[Blamed]) -> "Cause":
        """A cause from all its events."""
        found = sorted(blamed, key=lambda one: one.key)
        return cls(what, why, number, len(found), sum((one.amount for one in found), Decimal(0)), tuple(found[:SAMPLE]))

    @property
    def words(self) -> str:
        """In one sentence."""
        events = "1 event" if self.events == 1 else f"{self.events:,} events"
        return f"round {self.round}: {events} {self.what}, {self.amount:+,f}: {self.why}"


@dataclass(frozen=True, slots=True)
class Account:
    """Why a node is wrong."""

    causes: tuple[Cause, ...]
    left: Decimal
    """What of the difference no cause explains."""
    hints: tuple[str, ...] = ()
    """Where a learner may go on."""

    @classmethod
    def of(cls, difference: Decimal, causes: Iterable[Cause]) -> "Account":
        """The account of a difference."""
        found = tuple(causes)
        return cls(found, difference - sum((cause.amount for cause in found), Decimal(0)))
