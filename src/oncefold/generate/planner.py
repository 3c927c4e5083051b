"""The plan of a stream: which event comes when. Pure, vectorised in blocks, in bounded memory beyond the keys.

The kinds of all events are fixed in number (`Workload.counts`) and spread evenly over blocks; within a block
their order is random. In each block

1. new keys take the next ordinals, modifications and deletes take any key that has arrived;
2. each event that carries a key's newest version raises it by one, or by more where out-of-order events of
   this block will fill the versions left out: those come later in the block, with what was true before;
3. duplicates repeat any of the `WINDOW` last events that are not duplicates themselves.

So a pair (key, version) is planned once, and two contents can never share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oncefold.generate.randomness import Ints, Purpose, below, cents, chance, ordering, words
from oncefold.generate.workload import NANOS_PER_SECOND, TICKS_PER_SECOND, Counts, Workload

Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]


class Kind(IntEnum):
    """Why an event was planned. Up to `DELETE`, it carries the greatest version of its key so far."""

    KEY = 0
    MODIFICATION = 1
    DELETE = 2
    OUT_OF_ORDER = 3
    DUPLICATE = 4


class ExpectedOutcome(IntEnum):
    """How a reader that takes the events in order must see an event."""

    ACCEPTED = 0
    DUPLICATE = 1
    STALE = 2


@dataclass(frozen=True, slots=True)
class Events:
    """Consecutive events of one stream, a column for each property."""

    key: Ints
    """Ordinal of the key, from 0 in order of first arrival."""
    version: Ints
    leaf: Ints
    cents: Ints
    ticks: Ints
    """Event time in ten-thousandths of a second since 1970."""
    deleted: Bools
    moved: Bools
    """Whether a modification also goes to another leaf."""
    kind: Codes
    outcome: Codes

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.key)

    def part(self, first: int, last: int) -> Events:
        """Return the events from `first` up to but not including `last`, without copying."""
        return Events(*(getattr(self, f.name)[first:last] for f in fields(self)))

    def parts(self, size: int) -> Iterator[Events]:
        """Yield all events in order, at most `size` at a time."""
        for first in range(0, len(self), size):
            yield self.part(first, first + size)


class Latest:
    """The greatest version and the leaf of every key so far: 8 bytes for each key."""

    def __init__(self) -> None:
        self.keys = 0
        self.version: NDArray[np.int32] = np.zeros(1024, dtype=np.int32)
        self.leaf: NDArray[np.int32] = np.zeros(1024, dtype=np.int32)

    def extend(self, keys: int) -> None:
        """Make room for the keys 0 to `keys` - 1; a new key has version 0 and leaf 0."""
        self.keys = max(self.keys, keys)
        if self.keys > len(self.version):
            more = max(self.keys, 2 * len(self.version)) - len(self.version)
            self.version = np.concatenate((self.version, np.zeros(more, dtype=np.int32)))
            self.leaf = np.concatenate((self.leaf, np.zeros(more, dtype=np.int32)))

    def put(self, key: Ints, version: Ints, leaf: Ints) -> None:
        """Set keys, in order: of two entries with one key, the later one stays."""
        self.version[key] = version
        self.leaf[key] = leaf


BLOCK = 65_536
"""Events planned at a time, about."""
WINDOW = 65_536
"""How far back a duplicate reaches, in events that are not duplicates."""

_NANOS_PER_TICK = NANOS_PER_SECOND // TICKS_PER_SECOND
_POSITION_BITS = 32


def plan(workload: Workload) -> Iterator[Events]:
    """Yield the events of the workload in order, in blocks of about `BLOCK`."""
    latest = Latest()
    recent: Events | None = None
    first = 0
    for counts in _blocks(workload.counts):
        draft = _Draft.of(workload, counts, first)
        originals = draft.originals(latest)
        pool = originals if recent is None else _concatenate(recent, originals)
        block = draft.with_duplicates(latest, pool, len(pool) - len(originals))
        newest = originals.kind <= Kind.DELETE
        latest.put(originals.key[newest], originals.version[newest], originals.leaf[newest])
        recent = pool.part(max(0, len(pool) - WINDOW), len(pool))
        first += len(block)
        yield block


def _blocks(counts: Counts) -> Iterator[Counts]:
    """Spread the counts evenly over blocks; the first has a new key, and out-of-order events have company."""
    blocks = -(-counts.events // BLOCK)
    before = Counts(0, 0, 0, 0, 0)
    for block in range(1, blocks + 1):
        keys = -(-counts.keys * block // blocks)
        changes = counts.modifications * block // blocks
        deletes = counts.deletes * block // blocks
        late = counts.out_of_order * (keys + changes + deletes) // counts.newest
        duplicates = counts.duplicates * block // blocks
        upto = Counts(keys, changes, deletes, late, duplicates)
        yield Counts(*(now - then for now, then in zip(upto, before, strict=True)))
        before = upto


class _Late(NamedTuple):
    """The out-of-order events of a block: their positions, what they follow, and how many versions behind."""

    position: Ints
    follows: Ints
    behind: Ints


@dataclass(frozen=True, slots=True)
class _Draft:
    """The order of kinds in one block, before keys and versions are known."""

    workload: Workload
    first: int
    kind: Codes
    late: _Late

    @classmethod
    def of(cls, workload: Workload, counts: Counts, first: int) -> _Draft:
        """Shuffle the kinds, with a new key in front of the whole stream."""
        order = ordering(words(workload.seed, Purpose.ORDER, first, counts.events))
        kind = np.repeat(np.arange(len(Kind), dtype=np.int8), counts)[order]
        if first == 0:
            index = int(np.argmax(kind == Kind.KEY))
            kind[0], kind[index] = kind[index], kind[0]
        return cls(workload, first, kind, _pair(workload.seed, first, kind))

    def drawn(self, purpose: Purpose, position: Ints) -> np.typing.NDArray[np.uint64]:
        """Return the random words for `purpose` at these positions of the block."""
        return words(self.workload.seed, purpose, self.first, len(self.kind))[position]

    def originals(self, latest: Latest) -> Events:
        """Return all events of the block but the duplicates, in order of position."""
        newest = self._newest(latest)
        if not len(self.late.position):
            return newest
        late = self._late_events(newest)
        both = _concatenate(newest, late)
        position = np.concatenate((np.flatnonzero(self.kind <= Kind.DELETE), self.late.position))
        return _take(both, ordering(position << _POSITION_BITS))

    def _newest(self, latest: Latest) -> Events:
        """Give each event that carries a newest version its key, version and leaf."""
        w = self.workload
        position = np.flatnonzero(self.kind <= Kind.DELETE)
        kind = self.kind[position]
        arrived = latest.keys + np.cumsum(kind == Kind.KEY)
        picked = below(self.drawn(Purpose.KEY, position), arrived)
        key = np.where(kind == Kind.KEY, arrived - 1, picked)
        latest.extend(int(arrived[-1]) if len(arrived) else 0)
        step = 1 + np.bincount(self.late.follows, minlength=len(self.kind))[position]
        shift = self._shifts(position, kind)
        version, leaf = _run_up(key, step, shift, latest)
        leaf %= w.leaves
        return Events(
            key=key,
            version=version,
            leaf=leaf,
            cents=cents(w.seed, key, version),
            ticks=w.start + (position + self.first) * w.spacing // _NANOS_PER_TICK,
            deleted=kind == Kind.DELETE,
            moved=(kind == Kind.MODIFICATION) & (shift != 0),
            kind=kind,
            outcome=np.full(len(kind), ExpectedOutcome.ACCEPTED, dtype=np.int8),
        )

    def _shifts(self, position: Ints, kind: Codes) -> Ints:
        """Return by how many leaves each event moves its key; a new key starts from leaf 0."""
        leaves = self.workload.leaves
        drawn = self.drawn(Purpose.LEAF, position)
        moves = (kind == Kind.MODIFICATION) & chance(self.drawn(Purpose.MOVE, position), self.workload.moves)
        away = below(drawn, leaves - 1) + 1 if leaves > 1 else np.zeros(len(position), dtype=np.int64)
        return np.where(kind == Kind.KEY, below(drawn, leaves), np.where(moves, away, 0))

    def _late_events(self, newest: Events) -> Events:
        """Fill the versions that the newest ones left out, with the leaf and a time from before them."""
        w = self.workload
        row = np.cumsum(self.kind <= Kind.DELETE)[self.late.follows] - 1
        after = _take(newest, row)
        version = after.version - self.late.behind
        steps = 1 + np.bincount(self.late.follows, minlength=len(self.kind))[self.late.follows]
        nanos = (self.late.follows + self.first) * w.spacing - w.spacing * self.late.behind // steps
        n = len(row)
        return Events(
            key=after.key,
            version=version,
            leaf=self._leaf_before(after),
            cents=cents(w.seed, after.key, version),
            ticks=w.start + nanos // _NANOS_PER_TICK,
            deleted=np.zeros(n, dtype=np.bool_),
            moved=np.zeros(n, dtype=np.bool_),
            kind=np.full(n, Kind.OUT_OF_ORDER, dtype=np.int8),
            outcome=np.full(n, ExpectedOutcome.STALE, dtype=np.int8),
        )

    def _leaf_before(self, after: Events) -> Ints:
        """Return the leaf that a modified key had before; a new key has always been where it is."""
        shift = self._shifts(self.late.follows, self.kind[self.late.follows])
        leaf: Ints = np.where(after.kind == Kind.KEY, after.leaf, (after.leaf - shift) % self.workload.leaves)
        return leaf

    def with_duplicates(self, latest: Latest, pool: Events, before: int) -> Events:
        """Return the whole block: its originals (in `pool` from `before` on) and repeats of recent events."""
        repeats = self.kind == Kind.DUPLICATE
        arrived = before + np.cumsum(~repeats)
        position = np.flatnonzero(repeats)
        reach = np.minimum(arrived[position], WINDOW)
        back = below(self.drawn(Purpose.SOURCE, position), reach)
        source = arrived - 1
        source[position] -= back
        block = _take(pool, source)
        block.kind[position] = Kind.DUPLICATE
        block.moved[position] = False
        block.outcome[position] = _seen_again(block, self.kind <= Kind.DELETE, position, latest)
        return block


def _pair(seed: int, first: int, kind: Codes) -> _Late:
    """Pair each out-of-order event with one of newest version, and put the latter in front (in `kind`)."""
    late = np.flatnonzero(kind == Kind.OUT_OF_ORDER)
    if not len(late):
        return _Late(late, late, late)
    newest = np.flatnonzero(kind <= Kind.DELETE)
    newest = newest[ordering(words(seed, Purpose.PAIR, first, len(newest)))]
    group = np.arange(len(late)) % len(newest)
    front = newest.copy()
    np.minimum.at(front, group, late)
    what = kind[newest]
    kind[newest] = Kind.OUT_OF_ORDER
    kind[front] = what
    late = np.where(late == front[group], newest[group], late)
    return _Late(late, front[group], 1 + np.arange(len(late)) // len(newest))


def _run_up(key: Ints, step: Ints, shift: Ints, latest: Latest) -> tuple[Ints, Ints]:
    """Add up the steps of version and leaf of each key, in order, from its latest state."""
    order = ordering(key << _POSITION_BITS)
    grouped = key[order]
    begins = np.flatnonzero(np.diff(grouped, prepend=-1))
    sizes = np.diff(begins, append=len(grouped))
    results = []
    for table, change in ((latest.version, step), (latest.leaf, shift)):
        total = np.cumsum(change[order])
        base = table[grouped[begins]] - (total[begins] - change[order][begins])
        result = np.empty(len(key), dtype=np.int64)
        result[order] = total + np.repeat(base, sizes)
        results.append(result)
    return results[0], results[1]


def _seen_again(block: Events, newest: Bools, position: Ints, latest: Latest) -> Codes:
    """Distinguish the repeats of a key's newest version (duplicates) from those of an older one (stale)."""
    rows = np.flatnonzero(newest)
    sorted_rows = np.sort((block.key[rows] << _POSITION_BITS) | rows)
    wanted = (block.key[position] << _POSITION_BITS) | position
    found = np.searchsorted(sorted_rows, wanted) - 1
    hit = sorted_rows[found] if len(sorted_rows) else np.full(len(position), -1, dtype=np.int64)
    here = (found >= 0) & (hit >> _POSITION_BITS == block.key[position])
    row = np.where(here, hit & ((1 << _POSITION_BITS) - 1), 0)
    current = np.where(here, block.version[row], latest.version[block.key[position]])
    same = current == block.version[position]
    return np.where(same, ExpectedOutcome.DUPLICATE, ExpectedOutcome.STALE).astype(np.int8)


def _take(events: Events, row: Ints) -> Events:
    return Events(*(getattr(events, f.name)[row] for f in fields(events)))


def _concatenate(left: Events, right: Events) -> Events:
    return Events(*(np.concatenate((getattr(left, f.name), getattr(right, f.name))) for f in fields(left)))
