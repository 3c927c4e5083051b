"""The way `position`: a shard's position moves in the transaction that adds what lies before it.

The ledger keeps one item for each shard, whatever the number of records. So it holds for records that come in the order
of their shard, one batch at a time, and for those alone: see docs/ONCE.md.

All that is added at one position goes into one transaction where it has room. Where it has not, the position says how
many of its additions are counted: `4959+120`. They have to come again in the order in which they came.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from oncefold.dynamodb.calls import OutOfTime
from oncefold.dynamodb.items import TRANSACTION_BYTES, TRANSACTION_ITEMS
from oncefold.dynamodb.packing import Weight, pack
from oncefold.once.counts import Counts, add
from oncefold.once.ledger import position_write, record_key
from oncefold.once.writing import Entry, Outcomes, Writer, halves, weigh

_POSITION_BYTES = 600
"""The item of a position, and its condition, beside the lane's name."""


@dataclass
class PositionEntry(Entry):
    """What lies at a position; the record's name is its lane."""

    position: int = 0
    number: int = 0
    """How many additions there were at the position before this one."""


@dataclass
class _Part(Entry):
    """Additions at one position that go together: all that are left there, or some."""

    after: str = ""
    """The lane's position when they are counted."""
    entries: int = 0


class ByPosition:
    """Counts what lies behind the position of each lane."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def count(self, entries: Iterable[Entry]) -> Outcomes:
        """Count each lane in its order, as far as the time suffices."""
        outcomes = Outcomes()
        lanes: dict[str, list[PositionEntry]] = {}
        numbers: dict[tuple[str, int], int] = {}
        for entry in entries:
            assert isinstance(entry, PositionEntry)
            place = entry.record, entry.position
            entry.number = numbers[place] = numbers.get(place, -1) + 1
            lanes.setdefault(entry.record, []).append(entry)
        for lane, arrived in lanes.items():
            ordered = sorted(arrived, key=lambda entry: (entry.position, entry.number))
            while ordered:
                ordered = self._lane(lane, ordered, outcomes)
        return outcomes

    def _lane(self, lane: str, ordered: Sequence[PositionEntry], outcomes: Outcomes) -> list[PositionEntry]:
        """Count what the lane's position has not passed; all once more if another moved it meanwhile."""
        try:
            before = self._read(lane)
        except OutOfTime:
            outcomes.out_of_time(ordered)
            return []
        passed = _passed(before)
        new = [entry for entry in ordered if (entry.position, entry.number) >= passed]
        waiting = deque(pack(list(_parts(new)), _weigh))
        counted = 0
        while waiting:
            chunk = waiting.popleft()
            left = new[counted:]
            try:
                tried = self._writer.write([self._keep(lane, before, chunk[-1].after)], _sum(chunk))
                if not tried.done and tried.refused is None:
                    self._writer.dynamo.again(1)
                    outcomes.note("counted", counted)
                    outcomes.note("repeated", len(ordered) - len(new))
                    return left
            except OutOfTime:
                outcomes.out_of_time(left)
                break
            if tried.done:
                counted += sum(part.entries for part in chunk)
                before = chunk[-1].after
            elif len(chunk) > 1:
                waiting.extendleft(reversed(halves(chunk)))
            else:
                assert tried.refused is not None
                refused = chunk[0].entries
                outcomes.leave("refused", left[:refused], tried.refused)
                outcomes.leave("unfinished", left[refused:], f"what lies before it in {lane} is refused")
                break
        outcomes.note("counted", counted)
        outcomes.note("repeated", len(ordered) - len(new))
        return []

    def _keep(self, lane: str, before: str | None, after: str) -> dict[str, object]:
        return position_write(self._writer.ledger, lane, before, after)

    def _read(self, lane: str) -> str | None:
        found = self._writer.dynamo.read(self._writer.ledger, [record_key("position", lane)])
        return str(found[0]["position"]["S"]) if found else None


def _passed(before: str | None) -> tuple[int, int]:
    """The first position, and the number of its first addition, that is not counted."""
    if before is None:
        return 0, 0
    position, plus, additions = before.partition("+")
    return (int(position), int(additions)) if plus else (int(position) + 1, 0)


def _parts(entries: Sequence[PositionEntry]) -> Iterator[_Part]:
    """What goes together: all of a position where a transaction has room for it, or else as much as it has."""
    for position, some in groupby(entries, key=lambda entry: entry.position):
        there = list(some)
        whole = _part(there, str(position))
        weight = _weigh(whole)
        size = weight.size + sum(weight.shared.values())
        if weight.items + len(weight.shared) <= TRANSACTION_ITEMS and size <= TRANSACTION_BYTES:
            yield whole
            continue
        for chunk in pack(there, _weigh):
            last = chunk[-1] is there[-1]
            yield _part(chunk, str(position) if last else f"{position}+{chunk[-1].number + 1}")


def _part(entries: Sequence[PositionEntry], after: str) -> _Part:
    names = [name for entry in entries for name in entry.names]
    return _Part(entries[0].record, _sum(entries), "", names, after, len(entries))


def _sum(chunk: Sequence[Entry]) -> Counts:
    counts: Counts = {}
    for entry in chunk:
        add(counts, entry.counts)
    return counts


def _weigh(entry: Entry) -> Weight:
    """The position is one item of all that are in a transaction."""
    weight = weigh(entry, 0)
    lane = 2 * len(entry.record.encode()) + _POSITION_BYTES
    return Weight(0, weight.size, {**weight.shared, "position": lane})
