"""The way `position`: a shard's position moves in the transaction that adds what lies before it.

The ledger keeps one item for each shard, whatever the number of records. So it holds for records that come in the order
of their shard, one batch at a time, and for those alone: see docs/ONCE.md.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from oncefold.dynamodb.calls import OutOfTime
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


class ByPosition:
    """Counts what lies behind the position of each lane."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def count(self, entries: Iterable[Entry]) -> Outcomes:
        """Count each lane in its order, as far as the time suffices."""
        outcomes = Outcomes()
        lanes: dict[str, dict[int, PositionEntry]] = {}
        for entry in entries:
            assert isinstance(entry, PositionEntry)
            there = lanes.setdefault(entry.record, {}).setdefault(entry.position, replace(entry, counts={}, names=[]))
            add(there.counts, entry.counts)
            there.names += entry.names
        for lane, places in lanes.items():
            ordered = [places[position] for position in sorted(places)]
            while ordered:
                ordered = self._lane(lane, ordered, outcomes)
        return outcomes

    def _lane(self, lane: str, ordered: Sequence[PositionEntry], outcomes: Outcomes) -> list[PositionEntry]:
        """Count what the lane's position has not passed; what is left if another moved it meanwhile."""
        try:
            before = self._read(lane)
        except OutOfTime:
            outcomes.out_of_time(ordered)
            return []
        new = [entry for entry in ordered if before is None or entry.position > int(before)]
        outcomes.note("repeated", len(ordered) - len(new))
        waiting = deque(pack(new, _weigh))
        while waiting:
            chunk = waiting.popleft()
            left = [entry for some in (chunk, *waiting) for entry in some]
            after = str(chunk[-1].position)
            try:
                tried = self._writer.write([self._keep(lane, before, after)], _sum(chunk))
                if not tried.done and tried.refused is None:
                    self._writer.dynamo.again(1)
                    return left
            except OutOfTime:
                outcomes.out_of_time(left)
                return []
            if tried.done:
                outcomes.note("counted", len(chunk))
                before = after
            elif len(chunk) == 1:
                assert tried.refused is not None
                outcomes.leave("refused", chunk, tried.refused)
                behind = [entry for some in waiting for entry in some]
                outcomes.leave("unfinished", behind, f"a record before it in {lane} is refused: {tried.refused}")
                return []
            else:
                waiting.extendleft(reversed(halves(chunk)))
        return []

    def _keep(self, lane: str, before: str | None, after: str) -> dict[str, object]:
        return position_write(self._writer.ledger, lane, before, after)

    def _read(self, lane: str) -> str | None:
        found = self._writer.dynamo.read(self._writer.ledger, [record_key("position", lane)])
        return str(found[0]["position"]["S"]) if found else None


def _sum(chunk: Sequence[Entry]) -> Counts:
    counts: Counts = {}
    for entry in chunk:
        add(counts, entry.counts)
    return counts


def _weigh(entry: PositionEntry) -> Weight:
    """The position is one item of all that are in a transaction."""
    weight = weigh(entry, 0)
    lane = 2 * len(entry.record.encode()) + _POSITION_BYTES
    return Weight(0, weight.size, {**weight.shared, "position": lane})
