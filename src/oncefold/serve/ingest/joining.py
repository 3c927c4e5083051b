"""Small bodies of JSON Lines that wait together: joined into one block, decoded and folded once, told apart again."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from oncefold.columnar.arrays import Int64s, UInt8s
from oncefold.columnar.batch import NOT_AN_EVENT, Batch
from oncefold.columnar.text import TextDecoder
from oncefold.core.fold import Outcome
from oncefold.serve.ingest.delivery import Delivery

_OUTCOMES = tuple(Outcome)
_CODES = len(_OUTCOMES)

assert [int(outcome) for outcome in _OUTCOMES] == list(range(_CODES))


class Joined:
    """The bodies of some deliveries as one batch. Each body ends where the next begins, whole records in each."""

    def __init__(self, deliveries: Sequence[Delivery], decoder: TextDecoder) -> None:
        self._deliveries = deliveries
        bodies = [_terminated(delivery.body) for delivery in deliveries]
        self._starts: Int64s = np.array([*accumulate(map(len, bodies), initial=0)][:-1], np.int64)
        batch = decoder.json(b"".join(bodies), "", 0)
        where = np.asarray(batch.where)[batch.leaf != NOT_AN_EVENT]
        self._owners = np.searchsorted(self._starts, where, side="right") - 1
        """The delivery of each event that could be read."""
        self._refused: list[int] = []
        """The delivery of each reject."""
        self.batch = self._placed(batch)

    @property
    def events(self) -> int:
        """Events that could be read."""
        return len(self._owners)

    def share(self, outcomes: UInt8s) -> None:
        """Give every delivery what became of its events; `outcomes` are those of the batch's events, in order."""
        if len(self._deliveries) == 1:
            counted = np.bincount(outcomes, minlength=_CODES)[None]
        else:
            cells = self._owners * _CODES + outcomes
            counted = np.bincount(cells, minlength=len(self._deliveries) * _CODES).reshape(-1, _CODES)
        rows, codes = np.nonzero(counted)
        for row, code, count in zip(rows.tolist(), codes.tolist(), counted[rows, codes].tolist(), strict=True):
            self._deliveries[row].counts[_OUTCOMES[code]] = count
        for owner, reject in zip(self._refused, self.batch.rejects, strict=True):
            self._deliveries[owner].add({Outcome.REJECTED: 1}, [reject])

    def _placed(self, batch: Batch) -> Batch:
        """The batch with each reject where it stood in its own body."""
        if not batch.rejects:
            return batch
        placed = []
        for reject in batch.rejects:
            owner = int(np.searchsorted(self._starts, reject.position, side="right")) - 1
            position = reject.position - int(self._starts[owner])
            placed.append(replace(reject, source=self._deliveries[owner].source, position=position))
            self._refused.append(owner)
        return replace(batch, rejects=placed)


def _terminated(body: bytes) -> bytes:
    return body if not body or body.endswith(b"\n") else body + b"\n"
