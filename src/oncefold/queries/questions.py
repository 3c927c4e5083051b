"""Everything that can be asked of a store."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from oncefold.core.errors import OncefoldError
from oncefold.core.timestamps import format_timestamp
from oncefold.queries import branches, making
from oncefold.queries.answers import CheckedStore, Totals, Verification
from oncefold.queries.arguments import AsOf, Key, Node, commit_or_time, key_text, labels_of_node
from oncefold.queries.branches import Branch, Extent
from oncefold.queries.events import Conflicts, Explanation, History, Rejects
from oncefold.queries.overview import Overview
from oncefold.queries.search import Found, found_by
from oncefold.queries.series import Series, series_of
from oncefold.queries.snapshot import commit_of, snapshot_of
from oncefold.queries.values import Reading, to_datetime
from oncefold.store.check import check_store
from oncefold.store.reader import WHOLE_RAW, Reader


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

    def branch(
        self,
        node: Node = "",
        *,
        rollup: str | None = None,
        depth: int | None = 1,
        as_of: AsOf = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Branch:
        """What `query` answers, and how many live children each node has.

        With a `limit`, at most so many children, those beyond the label `after`; then `depth` must be 1.
        """
        with snapshot_of(self.reader) as snapshot:
            return branches.branch(
                Questions(snapshot, self._clock), snapshot, node, rollup, Extent(depth, as_of, after, limit)
            )

    def series(self, node: Node = "", *, rollup: str | None = None, points: int = 60) -> Series:
        """How a node came to its totals: its totals as of at most `points` commits, the last of them now.

        They reach back as far as the retention does, but no further than a bounded amount of reading.
        """
        with snapshot_of(self.reader) as snapshot:
            return series_of(snapshot, self._reading, rollup, labels_of_node(node), points)

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> Found:
        """Live nodes whose label holds the text, and keys that are or begin with it; at most `limit` of each."""
        with snapshot_of(self.reader) as snapshot:
            return found_by(snapshot, text, rollup, limit)

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

    def explain(self, node: Node, *, rollup: str | None = None, limit: int | None = 20, after: int = 0) -> Explanation:
        """The keys that count in a node, in order of their first appearance: `limit` (None: all) beyond `after`."""
        labels = labels_of_node(node)
        with snapshot_of(self.reader) as snapshot:
            (stored,) = snapshot.totals(rollup, labels, depth=0).rows
            found = snapshot.explain(rollup, labels, limit=making.limited(limit), after=making.limited(after))
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

    def rejects(
        self, limit: int | None = None, *, after: int = 0, most_bytes: int = WHOLE_RAW, newest_first: bool = False
    ) -> Rejects:
        """Events that could not be read, by rising ids or `newest_first` by falling ones, at most `limit`.

        They follow the id `after` in that order; 0 is the beginning. Of each event the first `most_bytes`.
        """
        making.checked(limit, "limit")
        with snapshot_of(self.reader) as snapshot:
            found = snapshot.rejects(limit=limit, after=after, most_bytes=most_bytes, newest_first=newest_first)
            total = snapshot.size_of("rejects")
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
