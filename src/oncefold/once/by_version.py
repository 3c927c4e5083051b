"""The way `version`: of each record the greatest version counts, and what stood before it is taken back.

The ledger keeps each record's version and what it added. A newer one replaces it on the condition that it still is what
was read, in the very transaction that changes the counters by the difference. What the conditions refuse is read again.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from oncefold.dynamodb.calls import READ_KEYS, OutOfTime, slices
from oncefold.dynamodb.packing import Weight, pack
from oncefold.once.counts import Counts, add, parse_counts
from oncefold.once.ledger import Kept, parse_kept, record_key, record_of, version_write
from oncefold.once.writing import Entry, Outcomes, Writer, halves, weigh


@dataclass
class VersionEntry(Entry):
    """A record's version."""

    version: str = "0"

    @property
    def kept(self) -> Kept:
        """What the ledger keeps of it."""
        return Kept(self.version, self.text)


@dataclass
class Change(Entry):
    """A record's version as it was read and as it is to be."""

    before: Kept | None = None
    after: Kept = field(default_factory=lambda: Kept("0", ""))
    taken_back: Counts = field(default_factory=dict)
    """What the version that was read had added."""
    others: int = 0
    """Arrivals of the record beside this one."""


class ByVersion:
    """Counts the greatest version of each record."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def count(self, entries: Iterable[Entry]) -> Outcomes:
        """Count what is newer than the ledger's, as far as the time suffices."""
        outcomes = Outcomes()
        arrivals: dict[str, list[VersionEntry]] = {}
        for entry in entries:
            assert isinstance(entry, VersionEntry)
            arrivals.setdefault(entry.record, []).append(entry)
        rounds = 0
        while arrivals:
            try:
                if rounds:
                    self._writer.dynamo.again(rounds)
                kept = self._read(arrivals)
            except OutOfTime:
                for some in arrivals.values():
                    outcomes.out_of_time(some)
                break
            changes = [self._change(some, kept.get(record), outcomes) for record, some in arrivals.items()]
            again = {*self._write([change for change in changes if change is not None], outcomes)}
            arrivals = {record: some for record, some in arrivals.items() if record in again}
            rounds += 1
        return outcomes

    def _read(self, records: Iterable[str]) -> dict[str, Kept]:
        keys = [record_key("version", record) for record in records]
        dynamo = self._writer.dynamo
        found = (item for some in slices(keys, READ_KEYS) for item in dynamo.read(self._writer.ledger, some))
        return {record_of("version", item): parse_kept(item) for item in found}

    def _change(self, arrivals: Sequence[VersionEntry], before: Kept | None, outcomes: Outcomes) -> Change | None:
        """What a record's arrivals make of the version that was read; None if nothing."""
        best = max(arrivals, key=lambda entry: entry.kept.rank)
        after = best.kept
        adopted = before is not None and not self._writer.counting
        if before is not None and (adopted or after.rank <= before.rank):
            for entry in arrivals:
                outcomes.note("repeated" if entry.kept == before else "stale")
            return None
        taken_back = {} if before is None else parse_counts(before.text, self._writer.places)
        names = [name for entry in arrivals for name in entry.names]
        return Change(best.record, best.counts, best.text, names, before, after, taken_back, len(arrivals) - 1)

    def _write(self, changes: Sequence[Change], outcomes: Outcomes) -> list[str]:
        """Write the changes; the records that have to be read again."""
        again: list[str] = []
        waiting = deque(pack(changes, _weigh))
        while waiting:
            chunk = waiting.popleft()
            try:
                tried = self._writer.write([self._keep(change) for change in chunk], self._net(chunk))
            except OutOfTime:
                for some in (chunk, *waiting):
                    outcomes.out_of_time(some)
                break
            if tried.done:
                for change in chunk:
                    outcomes.note("counted" if change.before is None else "corrected")
                    outcomes.note("stale", change.others)
            elif tried.refused is None:
                again += [change.record for change in chunk]
            elif len(chunk) == 1:
                outcomes.leave("refused", chunk, tried.refused)
            else:
                waiting.extendleft(reversed(halves(chunk)))
        return again

    def _keep(self, change: Change) -> dict[str, object]:
        return version_write(self._writer.ledger, change.record, change.before, change.after)

    def _net(self, chunk: Sequence[Change]) -> Counts:
        counts: Counts = {}
        for change in chunk:
            add(counts, change.counts)
            add(counts, change.taken_back, -1)
        return counts


def _weigh(change: Change) -> Weight:
    return weigh(change, 1, [change.taken_back])
