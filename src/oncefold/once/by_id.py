"""The way `id`: a record counts once, for ever, by its id.

The ledger keeps each id, put on the condition that it is not there in the very transaction that adds to the counters.
Nothing is read before: what comes again makes the condition fail, and the others of its transaction are tried anew.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from oncefold.dynamodb.calls import READ_KEYS, OutOfTime, slices
from oncefold.dynamodb.packing import pack
from oncefold.once.counts import Counts, add
from oncefold.once.ledger import id_write, record_key, record_of
from oncefold.once.writing import Entry, Outcomes, Tried, Writer, halves, weigh


class ById:
    """Counts entries by their ids; of several of one id the first counts."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def count(self, entries: Iterable[Entry]) -> Outcomes:
        """Count what the ledger has not, as far as the time suffices."""
        outcomes = Outcomes()
        waiting = deque(pack(self._different(entries, outcomes), lambda entry: weigh(entry, 1)))
        while waiting:
            chunk = waiting.popleft()
            try:
                waiting.extendleft(reversed(self._rest(chunk, outcomes)))
            except OutOfTime:
                for some in (chunk, *waiting):
                    outcomes.out_of_time(some)
                break
        return outcomes

    def _different(self, entries: Iterable[Entry], outcomes: Outcomes) -> list[Entry]:
        first: dict[str, Entry] = {}
        for entry in entries:
            if entry.record in first:
                outcomes.note("repeated")
                first[entry.record].names += entry.names
            else:
                first[entry.record] = entry
        return list(first.values())

    def _rest(self, chunk: Sequence[Entry], outcomes: Outcomes) -> list[list[Entry]]:
        """Count a chunk, or say what is to be tried in its place."""
        counts: Counts = {}
        for entry in chunk:
            add(counts, entry.counts)
        tried = self._writer.write([self._keep(entry) for entry in chunk], counts)
        if tried.done:
            outcomes.note("counted", len(chunk))
            return []
        if tried.refused is None:
            new = self._new(chunk, tried)
            outcomes.note("repeated", len(chunk) - len(new))
            return [new] if new else []
        if len(chunk) == 1:
            outcomes.leave("refused", chunk, tried.refused)
            return []
        return halves(chunk)

    def _keep(self, entry: Entry) -> dict[str, object]:
        return id_write(self._writer.ledger, entry.record, entry.text)

    def _new(self, chunk: Sequence[Entry], tried: Tried) -> list[Entry]:
        """What of a chunk nobody has counted."""
        if tried.overtaken:
            return [entry for index, entry in enumerate(chunk) if index not in tried.overtaken]
        keys = [record_key("id", entry.record) for entry in chunk]
        dynamo = self._writer.dynamo
        found = (item for some in slices(keys, READ_KEYS) for item in dynamo.read(self._writer.ledger, some))
        there = {record_of("id", item) for item in found}
        return [entry for entry in chunk if entry.record not in there]
