"""What goes wrong around the calls, and the ledger of it: every fault is numbered, allowed or left out, and counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from oncefold_lab.simulator.faults import Fault, Faults
from oncefold_lab.world.scheduler import ProcessEnded


class FaultLedger:
    """Numbers faults from 1 on and says which of them happen."""

    def __init__(self, only: frozenset[int] | None = None) -> None:
        """`only` these numbers happen; None: all."""
        self.counts: Counter[str] = Counter()
        self.admitted: list[int] = []
        self._only = only
        self._number = 0
        self.open = True
        """Whether faults happen at all."""

    def admit(self, what: str) -> bool:
        """Whether a fault that was drawn happens. It is counted if so."""
        if not self.open:
            return False
        self._number += 1
        if self._only is not None and self._number not in self._only:
            return False
        self.admitted.append(self._number)
        self.counts[what] += 1
        return True

    def note(self, what: str, times: int = 1) -> None:
        """Count something that came of it."""
        if times:
            self.counts[what] += times


class LedgerCallFaults(Faults):
    """Faults of a service that the ledger admits."""

    def __init__(self, random: Random, rates: Mapping[Fault, float], ledger: FaultLedger) -> None:
        super().__init__(random, rates)
        self._ledger = ledger

    def draw(self, operation: str) -> Fault | None:
        """The fault of the next call."""
        if not self._ledger.open:
            return None
        fault = super().draw(operation)
        return fault if fault is not None and self._ledger.admit(f"drawn: {fault}") else None


CRASH_BEFORE, CRASH_AFTER = "crash before a call", "crash after a call"
CRASH_START, CRASH_END = "crash before all calls", "crash after all calls"
STALL, ZOMBIE, RECUT, REPEAT = "stall", "zombie", "batch cut anew", "batch delivered twice"
INVOCATION_FAULTS = (CRASH_BEFORE, CRASH_AFTER, CRASH_START, CRASH_END, STALL, ZOMBIE, RECUT, REPEAT)
"""What may be drawn, by the name under which it is counted."""

_STALLS = (2.0, 15.0, 60.0, 660.0)
_FREEZES = (0.0, 3.0, 60.0, 660.0)
"""Seconds; the longest are beyond the life of a transaction's token."""
_LATENCY = (0.002, 0.02)
_SLOW_CHANCE, _SLOW_SECONDS = 0.08, 0.8


class Crash(ProcessEnded):
    """The environment of an invocation is gone."""


@dataclass
class InvocationFaults:
    """Faults of invocations and deliveries, drawn for a world's functions and mappings."""

    random: Random
    ledger: FaultLedger
    rates: Mapping[str, float] = field(default_factory=dict)
    """By names of INVOCATION_FAULTS; a name that is missing never happens."""

    def strikes(self, what: str) -> bool:
        """Whether it happens now."""
        rate = self.rates.get(what, 0.0)
        return self.ledger.open and rate > 0.0 and self.random.random() < rate and self.ledger.admit(what)

    def latency(self) -> float:
        """Seconds that a call takes on one way, mostly few."""
        seconds = self.random.uniform(*_LATENCY)
        if self.ledger.open and self.random.random() < _SLOW_CHANCE:
            seconds += self.random.random() * _SLOW_SECONDS
        return seconds + self.random.choice(_STALLS) if self.strikes(STALL) else seconds

    def freeze(self) -> float | None:
        """Seconds after which an invocation that ran out of time goes on; None: never."""
        return self.random.choice(_FREEZES) if self.strikes(ZOMBIE) else None

    def retry_size(self, failed: int, most: int) -> int:
        """See Disturbance of event source mappings."""
        return self.random.randint(1, most) if self.strikes(RECUT) else failed

    def repeat_after(self) -> int | None:
        """See Disturbance of event source mappings."""
        return self.random.randrange(8) if self.strikes(REPEAT) else None
