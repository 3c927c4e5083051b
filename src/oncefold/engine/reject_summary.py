"""What was rejected in a run, by reason: how often, and where it came up first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from oncefold.commit import Reject, RejectColumns
from oncefold.core.reasons import kind_of

_MOST_KINDS: Final = 1_000
"""Reasons are kept apart up to so many; above that they are compared without numbers at once."""


@dataclass(slots=True)
class RejectedKind:
    """Rejects that differ at most in the values which their reasons quote."""

    first: Reject
    count: int = 0


class RejectSummary:
    """Counts rejects by reason; cheap, since a stream may consist of them."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], RejectedKind] = {}

    def add(self, rejects: Iterable[Reject]) -> None:
        """Count these, too."""
        if isinstance(rejects, RejectColumns):
            counts = np.bincount(rejects.reason, minlength=len(rejects.reasons))
            firsts = np.full(len(counts), len(rejects))
            np.minimum.at(firsts, rejects.reason, np.arange(len(rejects)))
            order = np.argsort(firsts)[: np.count_nonzero(counts)]
            for number, at, count in zip(order.tolist(), firsts[order].tolist(), counts[order].tolist(), strict=True):
                self._add(rejects.reasons[number], count, rejects, at)
        else:
            for reject in rejects:
                self._add(reject.reason, 1, (reject,), 0)

    def _add(self, reason: str, count: int, rejects: Sequence[Reject], at: int) -> None:
        kinds = self._kinds
        after = reason.rpartition("'")[2]
        key = (reason.partition("'")[0], after if len(after) < len(reason) else "")
        kind = kinds.get(key)
        if kind is None:
            if len(kinds) >= _MOST_KINDS:
                key = (kind_of(reason), "")
            kind = kinds.setdefault(key, RejectedKind(rejects[at]))
        kind.count += count

    def by_reason(self) -> Mapping[str, RejectedKind]:
        """The kinds in order of first appearance, by their reasons without what varies."""
        found: dict[str, RejectedKind] = {}
        for kind in self._kinds.values():
            known = found.setdefault(kind_of(kind.first.reason), RejectedKind(kind.first))
            known.count += kind.count
        return found
