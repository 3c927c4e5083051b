"""The queries to a store file, each answered as of one commit while a writer goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from oncefold.core.errors import InvalidQueryError, OncefoldError
from oncefold.core.reasons import kind_of
from oncefold.queries.arguments import AsOf, Key, Node, checked, commit_or_time, key_text, labels_of_node, limited
from oncefold.queries.converters import Converter, as_of_commit, commit_of, rejected
from oncefold.queries.event_model import Conflicts, Explanation, History, RejectReason, RejectReasons, Rejects
from oncefold.queries.model import AsOfCommit, FoundKey, FoundNode, SearchResult, Totals, Verification
from oncefold.queries.protocol import Closing
from oncefold.queries.ranking import Ranking
from oncefold.queries.status_model import CheckedStore
from oncefold.queries.store_status import progress_of, store_status
from oncefold.store import commits, nodes
from oncefold.store.answers import CommitTime, TotalRow
from oncefold.store.contributors import Contributors
from oncefold.store.keys import find_keys
from oncefold.store.reader import WHOLE_RAW, StoreFile
from oncefold.store.rows import read_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from oncefold.core.definition import Pipeline
    from oncefold.queries.changes.subscription import Changes
    from oncefold.queries.model import Series, Shape
    from oncefold.queries.status_model import StoreStatus
    from oncefold.store.answers import KeyState
    from oncefold.store.connection import Connection

MOST_SEARCHED = 500_000
"""Nodes that a search looks through, the oldest."""
NEWEST_KEYS = 300_000
"""Keys whose beginning a search looks at, about so many of the newest."""


class StoreReader(Closing):
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
        self._converter = Converter(file.pipeline)

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
        """The definition that is in force."""
        self.file.refresh()
        return self.file.pipeline

    @property
    def _convert(self) -> Converter:
        """The converter for the definition in force."""
        if self._converter.pipeline is not self.file.pipeline:
            self._converter = Converter(self.file.pipeline)
        return self._converter

    @property
    def shape(self) -> Shape:
        """The trees, measures and versions of the pipeline that is in force."""
        self.file.refresh()
        return self._convert.shape

    def query(  # noqa: PLR0913 - the parts of a query
        self,
        node: Node = "",
        *,
        rollup: str | None = None,
        depth: int | None = 1,
        as_of: AsOf = None,
        after: str | None = None,
        limit: int | None = None,
        sort: str | None = None,
        ascending: bool | None = None,
        matching: str = "",
    ) -> Totals:
        """The totals of a node and of all at most `depth` levels below it (None: all of them).

        As of a commit before the definition was replaced they are those of the definition of that time.
        """
        if as_of is not None and (earlier := self.file.earlier(*commit_or_time(as_of))) is not None:
            return StoreReader(earlier, self._clock).query(
                node,
                rollup=rollup,
                depth=depth,
                as_of=as_of,
                after=after,
                limit=limit,
                sort=sort,
                ascending=ascending,
                matching=matching,
            )
        ranking = None
        if sort is not None or ascending is not None or matching:
            ranking = Ranking(sort, ascending, matching)
            ranking.require(self._convert.shape, depth, after)
        with self.file.at_one_commit():
            extent = _Extent(depth, as_of, after, limit, ranking or None)
            return _totals_of(self.file, self._convert, node, rollup, extent)

    def count_below(self, node: Node, *, rollup: str | None, depth: int | None, most: int) -> int:
        """How many nodes lie at most `depth` levels below a node (None: all); of more than `most` one more."""
        labels = labels_of_node(node)
        with self.file.at_one_commit() as connection:
            index = self.file.pipeline.find_rollup(rollup)
            name, levels = self.file.pipeline.rollups[index].name, len(self.file.pipeline.rollups[index].levels)
            id_ = nodes.find_node(connection, name, labels)
            deepest = levels if depth is None else len(labels) + depth
            if id_ is not None and depth == 1:
                return nodes.count_children(connection, id_, most)
            return 0 if id_ is None else nodes.count_below(connection, id_, deepest, most)

    def series(self, node: Node = "", *, rollup: str | None = None, points: int = 60, since: AsOf = None) -> Series:
        """How a node came to its totals: its totals as of at most `points` commits, the last of them now.

        They reach back as far as the retention does, but no further than a bounded amount of reading, nor than the
        commit that was the newest at `since`.
        """
        from oncefold.queries.series import series_of

        begin = (None, None) if since is None else commit_or_time(since)
        with self.file.at_one_commit():
            return series_of(self.file, self._convert, rollup, labels_of_node(node), points, begin)

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> SearchResult:
        """Live nodes whose label holds the text, and keys that are or begin with it; at most `limit` of each."""
        with self.file.at_one_commit() as connection:
            pipeline = self.file.pipeline
            name = None if rollup is None else pipeline.rollups[pipeline.find_rollup(rollup)].name
            found = nodes.find_nodes(connection, pipeline, text, name, (limit, MOST_SEARCHED)) if text else []
            keys = find_keys(connection, pipeline, text, limit, NEWEST_KEYS)
            return SearchResult(
                as_of=self._as_of(),
                nodes=tuple(
                    FoundNode(node.rollup, node.path, node.count, self._convert.amounts(node.sums)) for node in found
                ),
                keys=tuple(self._found_key(state) for state in keys),
            )

    def _found_key(self, state: KeyState) -> FoundKey:
        now = self._convert.current_version(state)
        return FoundKey(state.key, now.leaf is not None, now.version_text or None, now.leaf, now.values)

    def explain(
        self,
        node: Node,
        *,
        rollup: str | None = None,
        limit: int | None = 20,
        after: int = 0,
        measure: str | None = None,
        value: str | None = None,
    ) -> Explanation:
        """The keys that count in a node, in order of their first appearance: `limit` (None: all) after `after`.

        With a measure only those that make it what it is, and of a `distinct` those of one value.
        """
        labels = labels_of_node(node)
        with self.file.at_one_commit():
            index = self.file.pipeline.find_rollup(rollup)
            (stored,) = self.file.totals(rollup, labels, depth=0).rows
            contributors = Contributors(measure, value)
            found = self.file.explain(
                rollup, labels, limit=limited(limit), after=limited(after), contributors=contributors
            )
            as_of = self._as_of()
        return Explanation(
            as_of=as_of,
            shape=self._convert.shape,
            rows=tuple(
                self._convert.counted_key(
                    index, state.key, state.version, state.labels or (), state.measures, state.texts
                )
                for state in found.states
            ),
            rollup=found.rollup,
            path=found.path,
            count=found.total,
            sums=self._convert.amounts(found.sums),
            total=self._convert.amounts_of(stored.count, stored.sums),
            after=after,
            measure=measure,
            value=value,
        )

    def history(
        self, key: Key, *, every: bool = False, limit: int | None = None, after: int = 0, as_of: AsOf = None
    ) -> History:
        """The events that became the state of a key, oldest first; `every` one: duplicates, stale and lost ones too.

        At most `limit` of them (None: all), without the first `after`. As of a past commit: those up to it, as the
        definition of that time read them.
        """
        if as_of is not None and (earlier := self.file.earlier(*commit_or_time(as_of))) is not None:
            reader = StoreReader(earlier, self._clock)
            return reader.history(key, every=every, limit=limit, after=after, as_of=as_of)
        last = after + limited(limit)
        with self.file.at_one_commit() as connection:
            at, up_to = self._as_of(), None
            if as_of is not None:
                past = commits.resolve(connection, *commit_or_time(as_of))
                at, up_to = as_of_commit(commit_of(past.seq, past.at), self.file.newest_event(past.seq)), past.seq
            found = self.file.history(key_text(self.file.pipeline, key), every=every, up_to=up_to)
        return History(
            as_of=at,
            shape=self._convert.shape,
            rows=tuple(map(self._convert.arrival, found.arrivals[after:last])),
            more=len(found.arrivals) > last,
            key=found.key,
            current=self._convert.current_version(found.state),
            forgotten_to=None if found.since is None else commit_of(found.since.seq, found.since.at),
        )

    def rejects(
        self,
        limit: int | None = None,
        *,
        after: int = 0,
        most_bytes: int = WHOLE_RAW,
        newest_first: bool = False,
        reason: str | None = None,
    ) -> Rejects:
        """Events that could not be read, by rising ids, or falling ones with `newest_first`, at most `limit`.

        They follow the id `after` in that order; 0 is the beginning. Of each event the first `most_bytes`; with a
        `reason` as `reject_reasons` lists it only those of it.
        """
        checked(limit, "limit")
        with self.file.at_one_commit():
            reasons = None if reason is None else self._reasons_of(reason)
            found = self.file.rejects(
                limit=limit, after=after, most_bytes=most_bytes, newest_first=newest_first, reasons=reasons
            )
            total, as_of = self.file.size_of("rejects"), self._as_of()
        return Rejects(as_of=as_of, shape=self._convert.shape, rows=tuple(map(rejected, found)), total=total)

    def reject_reasons(self) -> RejectReasons:
        """Why events are on the reject list, the most frequent reason first; values and numbers are left out of it."""
        kinds: dict[str, RejectReason] = {}
        with self.file.at_one_commit():
            for found in self.file.reject_reasons():
                kind = kind_of(found.reason)
                one = kinds.get(kind, RejectReason(kind, 0, 0, 0))
                newest, commit = max(one.newest, found.newest), max(one.newest_commit, found.newest_commit)
                kinds[kind] = RejectReason(kind, one.events + found.events, newest, commit)
            total, as_of = self.file.size_of("rejects"), self._as_of()
        rows = tuple(sorted(kinds.values(), key=lambda one: (-one.events, one.reason)))
        return RejectReasons(as_of=as_of, shape=self._convert.shape, rows=rows, total=total)

    def reject_ids(self, reason: str, up_to: int) -> list[int]:
        """The ids of the rejected events of a reason, as `reject_reasons` lists it, up to an id."""
        with self.file.at_one_commit():
            return self.file.reject_ids(self._reasons_of(reason), up_to)

    def _reasons_of(self, kind: str) -> list[str]:
        return [found.reason for found in self.file.reject_reasons() if kind_of(found.reason) == kind]

    def conflicts(self, limit: int | None = None, *, after: int = 0) -> Conflicts:
        """Events of one key and version with different content, the newest first, at most `limit`, after this id."""
        checked(limit, "limit")
        with self.file.at_one_commit():
            found = self.file.conflicts(limit=limit, after=after)
            total, as_of, earlier = self.file.size_of("conflicts"), self._as_of(), self.file.earlier_pipelines()
        converters = [(last, Converter(pipeline)) for last, pipeline in earlier]
        rows = tuple(
            next((one for last, one in converters if item.commit.seq <= last), self._convert).contradiction(item)
            for item in found
        )
        return Conflicts(as_of=as_of, shape=self._convert.shape, rows=rows, total=total)

    def verify(self) -> Verification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        with self.file.at_one_commit():
            found, as_of = self.file.verify(), self._as_of()
        rows = tuple(map(self._convert.wrong_node, found.differences))
        return Verification(as_of=as_of, shape=self._convert.shape, rows=rows, nodes=found.nodes, keys=found.keys)

    def status(self) -> StoreStatus:
        """The store as a whole: how far its sources are folded, what became of the events, how fresh it is."""
        status = self.file.status()
        sources = tuple(map(progress_of, status.positions))
        return store_status(self.file.path, status, sources, self._clock())

    def changes(
        self, *nodes: Node, rollup: str | None = None, depth: int | None = None, since: int | None = None
    ) -> Changes:
        """Subscribe to what changes in these nodes and `depth` levels below (None: all); without nodes, to every node.

        The subscription has a connection to the file of its own.

        Args:
            nodes: Labels joined by `/`, or sequences of them; they need not be there yet.
            rollup: The tree, by name; needed for nodes where there are several.
            depth: How many levels below each node, or below the roots.
            since: Begin after this commit; now if left out.

        Returns:
            The changes, one after the other, for `for` and for `async for`; close it, or use it in a `with` statement.

        Raises:
            QueryError: There is no such rollup.

        Example:
            >>> import oncefold
            >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "19.90"}
            >>> with oncefold.open("orders.db", "orders.toml") as store, store.changes("DE", depth=0) as changes:
            ...     done = store.ingest(order)
            ...     change = next(changes)
            >>> [(row.path, row.count, str(row.sums["amount"])) for row in change], change.counts
            ([('DE', 1, '19.90')], {'inserted': 1})
        """
        from oncefold.queries.changes.subscription import Changes, StoreFeed
        from oncefold.queries.changes.wanted import wanted

        deep = not nodes and depth is None
        wanted(self.pipeline, rollup, nodes, depth, deep=deep)
        start = self.file.head().seq if since is None else since
        return Changes(
            StoreFeed(
                self.file.path,
                lambda pipeline: wanted(pipeline, rollup, nodes, depth, deep=deep),
                start,
                self._clock,
            )
        )

    def events(self) -> int:
        """Events ever seen, rejected ones too."""
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

    def __repr__(self) -> str:
        return f"<StoreReader {self.name}, {self.file.pipeline.name}>"


def check(path: str | Path) -> CheckedStore:
    """Examine a store file for damage; it may be one that cannot even be opened."""
    from oncefold.store.check import check_store

    try:
        with StoreFile.open(path) as file:
            head = file.head()
            commit = commit_of(head.seq, head.at)
    except OncefoldError:
        commit = None
    return CheckedStore(commit, tuple(check_store(path)))


_Counted = list[tuple[TotalRow, int]]
"""Rows in tree order, each with how many live children it has."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much of a tree is wanted, as `StoreFile.query` takes it."""

    depth: int | None = 1
    as_of: AsOf = None
    after: str | None = None
    limit: int | None = None
    ranking: Ranking | None = None
    """The order of the children, and which of them; None is all of them by label."""

    @property
    def paged(self) -> bool:
        """Whether a part of the children is wanted."""
        return self.limit is not None or self.after is not None


def _totals_of(file: StoreFile, convert: Converter, node: Node, rollup: str | None, extent: _Extent) -> Totals:
    """The totals. Raises QueryError for what does not exist, InvalidQueryError for pages of several levels."""
    checked(extent.depth, "depth")
    checked(extent.limit, "limit")
    if extent.paged and extent.depth != 1:
        raise InvalidQueryError("limit and after page through the children of a node; with them depth is 1")
    tree = _Tree(convert, convert.rollup_index(rollup), labels_of_node(node))
    with file.at_one_commit() as connection:
        if extent.as_of is None:
            at = CommitTime(file.head().seq, file.head().at)
            found, more = tree.now(connection, extent)
        else:
            at = commits.resolve(connection, *commit_or_time(extent.as_of))
            found, more = tree.past(connection, at, extent)
        newest = file.newest_event(at.seq)
    return Totals(
        as_of=as_of_commit(commit_of(at.seq, at.at), newest),
        shape=convert.shape,
        rows=tuple(convert.row_total(row, children) for row, children in found),
        rollup=tree.rollup,
        more=more,
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """A node of a rollup, and what is below it."""

    convert: Converter
    index: int
    labels: tuple[str, ...]

    @property
    def rollup(self) -> str:
        return self.convert.pipeline.rollups[self.index].name

    def now(self, connection: Connection, extent: _Extent) -> tuple[_Counted, bool]:
        """The rows, and whether a limit left children out."""
        pipeline = self.convert.pipeline
        id_ = nodes.find_node(connection, self.rollup, self.labels)
        if id_ is None:
            return [(TotalRow("", 0, "", 0, (0,) * len(pipeline.amounts)), 0)], False
        if extent.ranking is not None:
            return self._ranked(connection, id_, extent.ranking, extent.limit)
        if extent.paged:
            most, few = extent.limit, extent.after is None and extent.limit is not None
            if not few or nodes.count_below(connection, id_, len(self.labels) + 1, most or 0) > (most or 0):
                return self._page(connection, id_, extent)
        if extent.depth is not None and extent.depth <= 1:
            return nodes.level(connection, pipeline, id_, extent.depth), False
        rows = self._below(connection, extent.depth, None)
        children = _children_of(rows)
        levels = len(pipeline.rollups[self.index].levels)
        deepest = levels if extent.depth is None else len(self.labels) + extent.depth
        if deepest < levels:
            children.update(nodes.children_of_level(connection, id_, deepest))
        return _counted(rows, children), False

    def past(self, connection: Connection, at: CommitTime, extent: _Extent) -> tuple[_Counted, bool]:
        """The same as of a past commit: one level more is read, to count the children of the deepest."""
        depth = None if extent.depth is None else extent.depth + 1
        rows = self._below(connection, depth, at.seq)
        children = _children_of(rows)
        if extent.depth is not None:
            rows = [row for row in rows if row.depth <= len(self.labels) + extent.depth]
        found = _counted(rows, children)
        if extent.ranking is not None:
            return self._ranked_past(found, extent.ranking, extent.limit)
        if not extent.paged:
            return found, False
        beyond = [item for item in found[1:] if extent.after is None or item[0].label > extent.after]
        limit = limited(extent.limit)
        return [found[0], *beyond[:limit]], len(beyond) > limit

    def _below(self, connection: Connection, depth: int | None, past: int | None) -> list[TotalRow]:
        return nodes.subtree(connection, self.convert.pipeline, self.index, self.labels, depth, past)

    def _ranked(self, connection: Connection, id_: int, ranking: Ranking, limit: int | None) -> tuple[_Counted, bool]:
        """The node and the wanted children. Of every child only what it is ranked by is read, and the rest of those."""
        pipeline, measure = self.convert.pipeline, self._measure_of(ranking)
        wanted = () if measure is None else pipeline.layout.amounts_of(measure)
        columns = nodes.child_columns(connection, pipeline, id_, wanted)
        values: Sequence[int | None] | None = None if ranking.by_label else columns.counts
        if measure is not None:
            rows = zip(*columns.amounts, strict=True)
            values = [pipeline.layout.value(measure, row) for row in rows]
        found, more = ranking.choose(columns.labels, values, limit)
        return nodes.chosen(connection, pipeline, [id_, *(columns.ids[index] for index in found)]), more

    def _ranked_past(self, rows: _Counted, ranking: Ranking, limit: int | None) -> tuple[_Counted, bool]:
        """The same of rows that are a node and all of its children."""
        layout, measure = self.convert.pipeline.layout, self._measure_of(ranking)
        children = rows[1:]
        values: Sequence[int | None] | None = None if ranking.by_label else [row.count for row, _ in children]
        if measure is not None:
            at = layout.amounts_of(measure)
            values = [layout.value(measure, row.sums[at.start : at.stop]) for row, _ in children]
        found, more = ranking.choose([row.label for row, _ in children], values, limit)
        return [rows[0], *(children[index] for index in found)], more

    def _measure_of(self, ranking: Ranking) -> int | None:
        """The number of the measure by which is ranked; None for labels and counts."""
        if ranking.by_label or ranking.by_count:
            return None
        names = [measure.name for measure in self.convert.pipeline.measures]
        return names.index(ranking.sort or "")

    def _page(self, connection: Connection, id_: int, extent: _Extent) -> tuple[_Counted, bool]:
        pipeline, limit = self.convert.pipeline, limited(extent.limit)
        ((top, own),) = nodes.level(connection, pipeline, id_, 0)
        found = nodes.page(connection, pipeline, id_, extent.after, min(limit, 2**62) + 1)
        shown = found[:limit]
        counts = nodes.children_of_page(connection, id_, shown[0].label, shown[-1].label) if shown else {}
        return [(top, own), *_counted(shown, counts)], len(found) > limit


def _counted(rows: Sequence[TotalRow], children: dict[str, int]) -> _Counted:
    return [(row, children.get(row.path, 0)) for row in rows]


def _children_of(rows: Sequence[TotalRow]) -> dict[str, int]:
    """How many of the rows are children of each, by path; the rows are in tree order."""
    found: dict[str, int] = {}
    above: list[str] = []
    top = rows[0].depth
    for row in rows:
        del above[row.depth - top :]
        if above:
            found[above[-1]] = found.get(above[-1], 0) + 1
        above.append(row.path)
    return found
