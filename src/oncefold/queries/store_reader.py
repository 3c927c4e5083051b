"""The queries to a store file, each answered as of one commit while a writer goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from oncefold.core.errors import OncefoldError
from oncefold.queries.arguments import AsOf, Key, Node, checked, key_text, labels_of_node, limited
from oncefold.queries.converters import Converter, as_of_commit, commit_of, rejected, store_status
from oncefold.queries.model import (
    AsOfCommit,
    Conflicts,
    Explanation,
    FoundKey,
    FoundNode,
    History,
    Rejects,
    SearchResult,
    Verification,
)
from oncefold.queries.sources import progress_of
from oncefold.queries.status_model import CheckedStore
from oncefold.queries.store_totals import Extent, totals_of
from oncefold.store.check import check_store
from oncefold.store.keys import find_keys
from oncefold.store.nodes import find_nodes
from oncefold.store.reader import WHOLE_RAW, StoreFile
from oncefold.store.rows import read_counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from oncefold.core.definition import Pipeline
    from oncefold.queries.model import Series, Shape, Totals
    from oncefold.queries.status_model import StoreStatus

MOST_SEARCHED = 500_000
"""Nodes that a search looks through, the oldest."""
NEWEST_KEYS = 300_000
"""Keys whose beginning a search looks at, about so many of the newest."""


class StoreReader:
    """Queries to one store file; a `Reader`, see there for the arguments and errors.

    Sums are exact. Each answer names the commit that it is as of.

    Raises QueryError for what does not exist, with what there is, and StoreError if the store cannot be read.

        with StoreReader.open("risk.db") as reader:
            for row in reader.query("Delta", depth=2):
                print(row.path, row.count, row.sums["value"])
    """

    def __init__(self, file: StoreFile, clock: Callable[[], int] = time.time_ns) -> None:
        """Read this file; the clock, in nanoseconds since the epoch, says how old the newest event is."""
        self.file = file
        self._clock = clock
        self._convert = Converter(file.pipeline)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a store, whether or not it is being written. Raises StoreError if it cannot be read."""
        return cls(StoreFile.open(path))

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.file.path)

    @property
    def pipeline(self) -> Pipeline:
        """The definition that the store was made with."""
        return self.file.pipeline

    @property
    def shape(self) -> Shape:
        """The trees, measures and versions of the pipeline."""
        return self._convert.shape

    def query(
        self,
        node: Node = "",
        *,
        rollup: str | None = None,
        depth: int | None = 1,
        as_of: AsOf = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Totals:
        """The totals of a node and of all at most `depth` levels below it (None: all of them)."""
        with self.file.at_one_commit():
            return totals_of(self.file, self._convert, node, rollup, Extent(depth, as_of, after, limit))

    def series(self, node: Node = "", *, rollup: str | None = None, points: int = 60) -> Series:
        """How a node came to its totals: its totals as of at most `points` commits, the last of them now.

        They reach back as far as the retention does, but no further than a bounded amount of reading.
        """
        from oncefold.queries.series import series_of

        with self.file.at_one_commit():
            return series_of(self.file, self._convert, rollup, labels_of_node(node), points)

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> SearchResult:
        """Live nodes whose label holds the text, and keys that are or begin with it; at most `limit` of each."""
        pipeline = self.pipeline
        name = None if rollup is None else pipeline.rollups[pipeline.find_rollup(rollup)].name
        with self.file.at_one_commit() as connection:
            nodes = find_nodes(connection, text, name, limit, MOST_SEARCHED) if text else []
            keys = find_keys(connection, len(pipeline.measures), text, limit, NEWEST_KEYS)
            return SearchResult(
                as_of=self._as_of(),
                nodes=tuple(FoundNode(node.rollup, node.path, node.count) for node in nodes),
                keys=tuple(FoundKey(key.key, key.live) for key in keys),
            )

    def explain(self, node: Node, *, rollup: str | None = None, limit: int | None = 20, after: int = 0) -> Explanation:
        """The keys that count in a node, in order of their first appearance: `limit` (None: all) after `after`."""
        labels, index = labels_of_node(node), self.pipeline.find_rollup(rollup)
        with self.file.at_one_commit():
            (stored,) = self.file.totals(rollup, labels, depth=0).rows
            found = self.file.explain(rollup, labels, limit=limited(limit), after=limited(after))
            as_of = self._as_of()
        return Explanation(
            as_of=as_of,
            shape=self.shape,
            rows=tuple(
                self._convert.counted_key(index, state.key, state.version, state.labels or (), state.measures)
                for state in found.states
            ),
            rollup=found.rollup,
            path=found.path,
            count=found.total,
            sums=self._convert.amounts(found.sums),
            total=self._convert.amounts_of(stored.count, stored.sums),
            after=after,
        )

    def history(self, key: Key, *, every: bool = False) -> History:
        """The events that became the state of a key, oldest first; `every` one: duplicates, stale and lost ones too."""
        with self.file.at_one_commit():
            found, as_of = self.file.history(key_text(self.pipeline, key), every=every), self._as_of()
        return History(
            as_of=as_of,
            shape=self.shape,
            rows=tuple(map(self._convert.arrival, found.arrivals)),
            key=found.key,
            current=self._convert.current_version(found.state),
            forgotten_to=None if found.since is None else commit_of(found.since.seq, found.since.at),
        )

    def rejects(
        self, limit: int | None = None, *, after: int = 0, most_bytes: int = WHOLE_RAW, newest_first: bool = False
    ) -> Rejects:
        """Events that could not be read, by rising ids, or falling ones with `newest_first`, at most `limit`.

        They follow the id `after` in that order; 0 is the beginning. Of each event the first `most_bytes`.
        """
        checked(limit, "limit")
        with self.file.at_one_commit():
            found = self.file.rejects(limit=limit, after=after, most_bytes=most_bytes, newest_first=newest_first)
            total, as_of = self.file.size_of("rejects"), self._as_of()
        return Rejects(as_of=as_of, shape=self.shape, rows=tuple(map(rejected, found)), total=total)

    def conflicts(self, limit: int | None = None) -> Conflicts:
        """Events of one key and version with different content, the newest first, at most `limit`."""
        checked(limit, "limit")
        with self.file.at_one_commit():
            found, total, as_of = self.file.conflicts(limit=limit), self.file.size_of("conflicts"), self._as_of()
        rows = tuple(map(self._convert.contradiction, found))
        return Conflicts(as_of=as_of, shape=self.shape, rows=rows, total=total)

    def verify(self) -> Verification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        with self.file.at_one_commit():
            found, as_of = self.file.verify(), self._as_of()
        rows = tuple(map(self._convert.wrong_node, found.differences))
        return Verification(as_of=as_of, shape=self.shape, rows=rows, nodes=found.nodes, keys=found.keys)

    def status(self) -> StoreStatus:
        """The store as a whole: how far its sources are folded, what became of the events, how fresh it is."""
        status = self.file.status()
        sources = tuple(map(progress_of, status.positions))
        return store_status(self.file.path, status, sources, self._clock())

    def events(self) -> int:
        """Events ever met, rejected ones too."""
        with self.file.at_one_commit() as connection:
            return sum(read_counts(connection).values())

    def check(self) -> CheckedStore:
        """Examine the store file for damage, down to every checksum."""
        return check(self.file.path)

    def _as_of(self) -> AsOfCommit:
        head = self.file.head()
        return as_of_commit(commit_of(head.seq, head.at), head.newest_time)

    def close(self) -> None:
        """Close the file; without effect when closed."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check(path: str | Path) -> CheckedStore:
    """Examine a store file for damage; it may be one that cannot even be opened."""
    try:
        with StoreFile.open(path) as file:
            head = file.head()
            commit = commit_of(head.seq, head.at)
    except OncefoldError:
        commit = None
    return CheckedStore(commit, tuple(check_store(path)))
