"""Everything that can be asked of a store."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from oncefold.core.errors import OncefoldError
from oncefold.core.timestamps import format_timestamp
from oncefold.questions import making
from oncefold.questions.answers import CheckedStore, Totals, Verification
from oncefold.questions.events import Conflicts, Explanation, History, Rejects
from oncefold.questions.naming import AsOf, Key, Node, commit_or_time, key_text, labels_of_node
from oncefold.questions.overview import Overview
from oncefold.questions.snapshot import commit_of, snapshot_of
from oncefold.questions.values import Reading, to_datetime
from oncefold.store.check import check_store
from oncefold.store.reader import Reader


class Questions:
    """The questions to one store. Each is answered as of one commit, which the answer names, while a writer goes on.

    A node is written as its labels joined by `/`, or given as a tuple of them; a composite key likewise. A rollup is
    named where there are several. Sums are exact. Questions raise QuestionError if they name what does not exist, with
    what there is, and StoreError if the store cannot be read.

        with Questions.open("risk.db") as ask:
            for row in ask.query("Delta", depth=2):
                print(row.path, row.count, row.sums["value"])
    """

    def __init__(self, reader: Reader, clock: Callable[[], int] = time.time_ns) -> None:
        """Ask this reader; the clock, in nanoseconds since the epoch, says how old the newest event is."""
        self.reader = reader
        self.pipeline = reader.pipeline
        self._clock = clock
        self._reading = Reading(reader.pipeline)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a store to ask, whether or not it is being written. Raises StoreError if it cannot be read."""
        return cls(Reader.open(path))

    def query(self, node: Node = "", *, rollup: str | None = None, depth: int | None = 1, as_of: AsOf = None) -> Totals:
        """The totals of a node and of all at most `depth` levels below it (None: all of them).

        Nodes below it without live keys are left out. `as_of` asks for the past: a commit's number, a datetime or an
        RFC 3339 text (the last commit at or before that time).
        """
        making.checked(depth, "depth")
        commit, moment = commit_or_time(as_of)
        labels = labels_of_node(node)
        with snapshot_of(self.reader) as snapshot:
            found = snapshot.totals(rollup, labels, depth=depth, commit=commit, time=moment)
            newest = snapshot.newest_event(found.as_of.seq)
        return Totals(
            commit=commit_of(found.as_of),
            rows=tuple(making.node_total(self._reading, row) for row in found.rows),
            rollup=found.rollup,
            newest_event=None if newest is None else to_datetime(newest),
            newest_event_text=None if newest is None else format_timestamp(newest),
            scales=self._reading.scales,
        )

    def verify(self) -> Verification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        found = self.reader.verify()
        return Verification(
            commit=commit_of(found.as_of),
            rows=tuple(making.wrong_node(self._reading, difference) for difference in found.differences),
            nodes=found.nodes,
            keys=found.keys,
            scales=self._reading.scales,
        )

    def explain(self, node: Node, *, rollup: str | None = None, limit: int | None = 20) -> Explanation:
        """The keys that count in a node, the first `limit` (None: all) in order of their first appearance."""
        labels = labels_of_node(node)
        with snapshot_of(self.reader) as snapshot:
            (stored,) = snapshot.totals(rollup, labels, depth=0).rows
            found = snapshot.explain(rollup, labels, limit=making.limited(limit))
        index = self.pipeline.rollup_index(found.rollup)
        return Explanation(
            commit=commit_of(found.as_of),
            rows=tuple(making.counted_key(self._reading, index, state) for state in found.states),
            rollup=found.rollup,
            path=found.path,
            count=found.total,
            sums=self._reading.amounts(stored.sums),
            scales=self._reading.scales,
            version_is_time=self._reading.version_is_time,
        )

    def history(self, key: Key, *, every: bool = False) -> History:
        """The events that became the state of a key, oldest first; `every` one: duplicates, stale and lost ones too."""
        with snapshot_of(self.reader) as snapshot:
            found = snapshot.history(key_text(self.pipeline, key), every=every)
            return making.history(self._reading, snapshot.last(), found)

    def rejects(self, limit: int | None = None) -> Rejects:
        """Events that could not be read, in order of their ids, at most `limit`."""
        with snapshot_of(self.reader) as snapshot:
            found, total = snapshot.rejects(limit=making.checked(limit, "limit")), snapshot.size_of("rejects")
            return Rejects(commit=snapshot.last(), rows=tuple(map(making.rejected, found)), total=total)

    def conflicts(self, limit: int | None = None) -> Conflicts:
        """Events of one key and version with different content, the newest first, at most `limit`."""
        with snapshot_of(self.reader) as snapshot:
            found, total = snapshot.conflicts(limit=making.checked(limit, "limit")), snapshot.size_of("conflicts")
            return Conflicts(
                commit=snapshot.last(),
                rows=tuple(making.contradiction(self._reading, item) for item in found),
                total=total,
                scales=self._reading.scales,
                version_is_time=self._reading.version_is_time,
            )

    def status(self) -> Overview:
        """The store as a whole: how far its sources are folded, what became of the events, how fresh it is."""
        return making.overview(self.reader.path, self.reader.status(), self._clock())

    def check(self) -> CheckedStore:
        """Examine the store file for damage, down to every checksum."""
        return check(self.reader.path)

    def close(self) -> None:
        """Close the reader; without effect when closed."""
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check(path: str | Path) -> CheckedStore:
    """Examine a store file for damage; it may be one that cannot even be opened."""
    try:
        with Reader.open(path) as reader, snapshot_of(reader) as snapshot:
            commit = snapshot.last()
    except OncefoldError:
        commit = None
    return CheckedStore(commit, tuple(check_store(path)))
