"""Small bodies of JSON Lines: left alone until their commit is due, then joined, decoded and folded as one block."""

import codecs
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

import numpy as np

from oncefold.columnar.arrays import Int64s, UInt8s
from oncefold.columnar.batch import Batch
from oncefold.columnar.text import TextDecoder
from oncefold.core.fold import Outcome
from oncefold.serve.channel.messages import BodyFormat
from oncefold.serve.writer.pending import PendingRequest
from oncefold.serve.writer.reading import is_dense
from oncefold.sources.document import lines_of
from oncefold.sources.shape import shape_of

JOINED_BYTES: Final = 2**20
"""Bytes of small bodies that are folded even while a commit is under way."""

_OUTCOMES = tuple(Outcome)
_CODES = len(_OUTCOMES)

assert [int(outcome) for outcome in _OUTCOMES] == list(range(_CODES))


def joinable_lines(format_: BodyFormat, body: bytes) -> bytes | None:
    """The body as JSON Lines, if it can be joined with others; None if it has to be read by itself."""
    if format_.compression is not None or body.startswith(codecs.BOM_UTF8):
        return None
    if format_.kind not in {"lines", "document"}:
        return None
    if format_.kind == "lines" and not _is_lines(body):
        return None
    lines = body if format_.kind == "lines" else lines_of(body)
    return None if lines is None or is_dense(lines) else lines


def _is_lines(body: bytes) -> bool:
    """Whether a body is an object per line, and not an array or objects over several lines."""
    end = body.find(b"\n")
    is_one_line = (end < 0 or end == len(body) - 1) and b"} {" not in body and b"\r" not in body[:-2]
    return (is_one_line and body.startswith(b"{")) or shape_of(body, whole=True) == "lines"


class Arrivals:
    """Requests that wait. Filled by any one thread, taken by another, woken only when it may have something to do."""

    def __init__(self, wake: Callable[[], None], full: Callable[[], None]) -> None:
        """`wake` is called at the first arrival and at the one that was awaited, `full` after every JOINED_BYTES."""
        self._wake, self._full = wake, full
        self._waiting: deque[PendingRequest] = deque()
        self._bytes = 0
        self.awaited = 0
        """So many requests were acknowledged by the last commit: as soon as as many wait, the next one begins."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: PendingRequest) -> None:
        """Let a request wait whose body is whole."""
        self._waiting.append(request)
        self._bytes += len(request.body)
        waiting = len(self._waiting)
        if self._bytes >= JOINED_BYTES:
            self._bytes = 0
            self._full()
        elif waiting in {1, self.awaited}:
            self._wake()

    def take(self) -> list[PendingRequest]:
        """Those that wait, in order, as far as they have JOINED_BYTES together, or one more."""
        taken: list[PendingRequest] = []
        size = 0
        while self._waiting and size < JOINED_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1].body)
        return taken

    def all(self) -> list[PendingRequest]:
        """All that wait, in order."""
        return [request for taken in iter(self.take, []) for request in taken]


class Joined:
    """The bodies of some requests as one batch. Each body ends where the next begins, whole records in each."""

    def __init__(self, requests: Sequence[PendingRequest], decoder: TextDecoder) -> None:
        self._requests = requests
        bodies = [_terminated(request.body) for request in requests]
        self._starts: Int64s = np.array([*accumulate(map(len, bodies), initial=0)][:-1], np.int64)
        batch = decoder.json(b"".join(bodies), "", 0)
        where = np.asarray(batch.where)[batch.is_event]
        self._owners = np.searchsorted(self._starts, where, side="right") - 1
        """The request of each event that could be read."""
        self._refused: list[int] = []
        """The request of each reject."""
        self.batch = self._placed(batch)

    @property
    def events(self) -> int:
        """Events that could be read."""
        return len(self._owners)

    def share(self, outcomes: UInt8s) -> None:
        """Give every request what became of its events; `outcomes` are those of the batch's events, in order."""
        if len(self._requests) == 1:
            counted = np.bincount(outcomes, minlength=_CODES)[None]
        else:
            cells = self._owners * _CODES + outcomes
            counted = np.bincount(cells, minlength=len(self._requests) * _CODES).reshape(-1, _CODES)
        rows, codes = np.nonzero(counted)
        for row, code, count in zip(rows.tolist(), codes.tolist(), counted[rows, codes].tolist(), strict=True):
            self._requests[row].counts[_OUTCOMES[code]] = count
        for owner, reject in zip(self._refused, self.batch.rejects, strict=True):
            self._requests[owner].add({Outcome.REJECTED: 1}, [reject])

    def _placed(self, batch: Batch) -> Batch:
        """The batch with each reject at its position in its own body."""
        if not batch.rejects:
            return batch
        placed = []
        for reject in batch.rejects:
            owner = int(np.searchsorted(self._starts, reject.position, side="right")) - 1
            position = reject.position - int(self._starts[owner])
            placed.append(replace(reject, source=self._requests[owner].format.source, position=position))
            self._refused.append(owner)
        return replace(batch, rejects=placed)


def _terminated(body: bytes) -> bytes:
    return body if not body or body.endswith(b"\n") else body + b"\n"
