"""Faults that a service may have on any call, drawn from a seeded source and counted when they happened."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from botocore import exceptions

from oncefold_lab.simulator.errors import ENDPOINT, ServiceError


class Fault(StrEnum):
    """What may go wrong with a call."""

    THROTTLED = "throttled"
    """Refused before any effect, because there is too much to do."""
    ITEM_THROTTLED = "item throttled"
    """A transaction cancelled, because there is too much to do with one of its items."""
    FAILED = "failed"
    """Refused before any effect, by an error of the service."""
    UNSENT = "unsent"
    """The connection broke before the request arrived: no effect, no reply."""
    LOST_REPLY = "lost reply"
    """The effect is there, and no answer arrives."""
    LATE = "late"
    """No reply in time; the request arrives later, perhaps after the caller tried again."""
    UNFINISHED = "unfinished"
    """No reply in time; the transaction goes on, and holds its items until it ends."""
    CONFLICT = "conflict"
    """Another transaction is under way for an item."""
    PARTIAL = "partial"
    """A part of a batch is left unprocessed."""
    SHORT = "short"
    """A page ends earlier than it must."""
    STALE = "stale"
    """An eventually consistent read sees items as they were before their last change."""


_ANY = (Fault.THROTTLED, Fault.FAILED, Fault.UNSENT, Fault.LOST_REPLY)
_WRITE = (*_ANY, Fault.LATE, Fault.CONFLICT)
POSSIBLE: Mapping[str, tuple[Fault, ...]] = {
    "PutItem": _WRITE,
    "UpdateItem": _WRITE,
    "DeleteItem": _WRITE,
    "TransactWriteItems": (*_WRITE, Fault.UNFINISHED, Fault.ITEM_THROTTLED),
    "BatchWriteItem": (*_ANY, Fault.PARTIAL, Fault.LATE),
    "GetItem": (*_ANY, Fault.STALE),
    "BatchGetItem": (*_ANY, Fault.PARTIAL, Fault.STALE),
    "Query": (*_ANY, Fault.SHORT, Fault.STALE),
    "Scan": (*_ANY, Fault.SHORT, Fault.STALE),
    "TransactGetItems": (*_ANY, Fault.CONFLICT, Fault.ITEM_THROTTLED),
    "DescribeStream": _ANY,
    "GetShardIterator": _ANY,
    "GetRecords": (*_ANY, Fault.SHORT),
    "PutRecord": (*_ANY, Fault.LATE),
    "PutRecords": (*_ANY, Fault.LATE, Fault.PARTIAL),
    "ListShards": _ANY,
}
"""The faults that each operation knows; others, which make and describe tables, have none."""

_BEFORE = frozenset([Fault.THROTTLED, Fault.FAILED, Fault.UNSENT])
LATE_SECONDS = 30.0
"""Until when a late effect has come."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a service refuses a call that is in order: as too much for it, and as its own failure; (code, message)."""

    throttles: tuple[tuple[str, str], ...]
    failure: tuple[str, str]


class Faults:
    """How often each fault comes, and how often it came.

    One number is drawn per call that can fail, so what a run does depends on its seed and its calls alone.
    """

    def __init__(self, random: Random, rates: Mapping[Fault, float]) -> None:
        """`rates` are probabilities per call."""
        self.random = random
        self.rates = dict(rates)
        self.counts: Counter[Fault] = Counter()

    def stop(self) -> None:
        """No faults from now on."""
        self.rates.clear()

    def draw(self, operation: str) -> Fault | None:
        """The fault of the next call."""
        if not self.rates or operation not in POSSIBLE:
            return None
        point = self.random.random()
        for fault in POSSIBLE[operation]:
            point -= self.rates.get(fault, 0.0)
            if point < 0.0:
                return fault
        return None

    def happened(self, fault: Fault) -> None:
        """Count a fault that had its way."""
        self.counts[fault] += 1

    def before(self, fault: Fault | None, manners: Manners) -> Exception | None:
        """What a call ends with before it had any effect, if it does."""
        if fault not in _BEFORE:
            return None
        self.happened(fault)
        if fault is Fault.THROTTLED:
            return ServiceError(*self.random.choice(manners.throttles))
        return ServiceError(*manners.failure) if fault is Fault.FAILED else self._silence()

    def after(self, fault: Fault | None, manners: Manners) -> Exception | None:
        """What takes the place of a call's reply, if anything does.

        Source: "Error handling with DynamoDB": after a server error, a write may have succeeded.
        """
        if fault is not Fault.LOST_REPLY:
            return None
        self.happened(fault)
        return ServiceError(*manners.failure) if self.random.random() < 1 / 3 else self._silence()

    def late(self) -> tuple[float, Exception]:
        """By how many seconds an effect comes late, and what its caller gets meanwhile."""
        return self.random.uniform(0.0, LATE_SECONDS), exceptions.ReadTimeoutError(endpoint_url=ENDPOINT)

    def some(self, count: int) -> list[int]:
        """Some of `count` places, at least one of them and not all."""
        return sorted(self.random.sample(range(count), self.random.randint(1, count - 1)))

    def _silence(self) -> Exception:
        if self.random.random() < 0.5:
            return exceptions.ReadTimeoutError(endpoint_url=ENDPOINT)  # type: ignore[no-any-return]
        return exceptions.ConnectionClosedError(endpoint_url=ENDPOINT)  # type: ignore[no-any-return]


def no_faults() -> Faults:
    """The source of a service that never fails."""
    return Faults(Random(0), {})  # noqa: S311 - nothing is drawn from it


def rates(probability: float, kinds: Iterable[Fault] = tuple(Fault)) -> dict[Fault, float]:
    """The same chance for each of some kinds."""
    return dict.fromkeys(kinds, probability)
