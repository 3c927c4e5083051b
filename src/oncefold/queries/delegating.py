"""The queries of an object that has a reader of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncefold.queries.protocol import Closing

if TYPE_CHECKING:
    from oncefold.queries.arguments import AsOf, Key, Node
    from oncefold.queries.changes.subscription import Changes
    from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
    from oncefold.queries.model import SearchResult, Series, Totals, Verification
    from oncefold.queries.status_model import StoreStatus
    from oncefold.queries.store_reader import StoreReader


class Queries(Closing):
    """Answers every query of `Reader` by its `reader`; see there for the arguments and errors."""

    @property
    def reader(self) -> StoreReader:
        """What answers."""
        raise NotImplementedError

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
        """The totals of a node and of all at most `depth` levels below it (None: all of them)."""
        return self.reader.query(
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

    def series(self, node: Node = "", *, rollup: str | None = None, points: int = 60) -> Series:
        """How a node came to its totals: its totals as of at most `points` commits, the last of them now."""
        return self.reader.series(node, rollup=rollup, points=points)

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> SearchResult:
        """Live nodes whose label holds the text, and keys that are or begin with it; at most `limit` of each."""
        return self.reader.search(text, rollup=rollup, limit=limit)

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
        return self.reader.explain(node, rollup=rollup, limit=limit, after=after, measure=measure, value=value)

    def history(self, key: Key, *, every: bool = False) -> History:
        """The events that became the state of a key, oldest first; `every` one: duplicates, stale and lost ones too."""
        return self.reader.history(key, every=every)

    def rejects(self, limit: int | None = None, *, after: int = 0, newest_first: bool = False) -> Rejects:
        """Events that could not be read, at most `limit`, after the id `after` in the order; 0 is its beginning."""
        return self.reader.rejects(limit, after=after, newest_first=newest_first)

    def conflicts(self, limit: int | None = None, *, after: int = 0) -> Conflicts:
        """Events of one key and version with different content, the newest first, at most `limit`, after this id."""
        return self.reader.conflicts(limit, after=after)

    def changes(
        self, *nodes: Node, rollup: str | None = None, depth: int | None = None, since: int | None = None
    ) -> Changes:
        """Subscribe to what changes in these nodes and `depth` levels below (None: all); without nodes, to every node.

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
        return self.reader.changes(*nodes, rollup=rollup, depth=depth, since=since)

    def verify(self) -> Verification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        return self.reader.verify()

    def status(self) -> StoreStatus:
        """The store as a whole: how far its sources are folded, what became of the events, how fresh it is."""
        return self.reader.status()
