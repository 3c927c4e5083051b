"""What went wrong in a run, and what came of it: every mishap is numbered, admitted or left out, and counted."""

from collections import Counter
from collections.abc import Mapping
from random import Random

from oncefold_lab.simulator.faults import Fault, Faults


class Ledger:
    """Numbers mishaps from 1 on and says which of them happen."""

    def __init__(self, only: frozenset[int] | None = None) -> None:
        """`only` these numbers happen; None: all."""
        self.counts: Counter[str] = Counter()
        self.admitted: list[int] = []
        self._only = only
        self._number = 0
        self.open = True
        """Whether mishaps happen at all."""

    def admit(self, what: str) -> bool:
        """Whether a mishap that chance has chosen happens. It is counted if so."""
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


class LedgerFaults(Faults):
    """Faults of a service that the ledger admits."""

    def __init__(self, random: Random, rates: Mapping[Fault, float], ledger: Ledger) -> None:
        super().__init__(random, rates)
        self._ledger = ledger

    def draw(self, operation: str) -> Fault | None:
        """The fault of the next call."""
        if not self._ledger.open:
            return None
        fault = super().draw(operation)
        return fault if fault is not None and self._ledger.admit(f"drawn: {fault}") else None
