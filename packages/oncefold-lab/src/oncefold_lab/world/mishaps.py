"""What goes wrong around the calls: invocations that crash, stall and live on, and deliveries as Lambda may make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from oncefold_lab.world.ledger import Ledger
from oncefold_lab.world.tasks import Ended

CRASH_BEFORE, CRASH_AFTER = "crash before a call", "crash after a call"
CRASH_START, CRASH_END = "crash before all calls", "crash after all calls"
STALL, ZOMBIE, RECUT, REPEAT = "stall", "zombie", "batch cut anew", "batch delivered twice"
MISHAPS = (CRASH_BEFORE, CRASH_AFTER, CRASH_START, CRASH_END, STALL, ZOMBIE, RECUT, REPEAT)
"""What chance may choose, by the name under which it is counted."""

_STALLS = (2.0, 15.0, 60.0, 660.0)
_FREEZES = (0.0, 3.0, 60.0, 660.0)
"""Seconds; the longest are beyond the life of a transaction's token."""
_LATENCY = (0.002, 0.02)
_SLOW_CHANCE, _SLOW_SECONDS = 0.08, 0.8


class Crash(Ended):
    """The environment of an invocation is gone."""


@dataclass
class Mishaps:
    """Chance, as the functions and mappings of a world meet it."""

    random: Random
    ledger: Ledger
    rates: Mapping[str, float] = field(default_factory=dict)
    """By names of MISHAPS; a name that is missing never happens."""

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
