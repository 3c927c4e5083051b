"""The queries to a running server over its HTTP API, with the values of the model as answers."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlencode

from oncefold.core.errors import OncefoldError
from oncefold.core.nodepath import join
from oncefold.core.timestamps import format_timestamp
from oncefold.queries import parse
from oncefold.queries.arguments import AsOf, Key, Node, checked, commit_or_time, labels_of_node, rollup_of
from oncefold.queries.http_client import Client, address_of
from oncefold.queries.protocol import Closing
from oncefold.queries.ranking import Ranking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oncefold.queries.changes.subscription import Changes
    from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
    from oncefold.queries.model import Answer, SearchResult, Series, Shape, Totals, Verification
    from oncefold.queries.status_model import StoreStatus

    Found = TypeVar("Found", bound=Answer[Any] | SearchResult)
    Listed = TypeVar("Listed", Rejects, Conflicts)

MOST_REMEMBERED = 64
"""Answers that are kept with their entity tags, the latest."""
QUERY_SECONDS = 300.0
"""Without a byte from the server, which may read its whole store for an answer."""
CHILDREN_OF_PAGE = 10_000
KEYS_OF_PAGE = 100_000
LISTED_OF_PAGE = 1_000
ARRIVALS_OF_PAGE = 10_000
_PAGES_TRIES = 3


class HttpReader(Closing):
    """Queries to one server; a `Reader`, see there for the arguments and errors.

    One connection is kept open. An answer that the server says is unchanged is the one that was given before.

        with HttpReader.open("http://127.0.0.1:8321", token=None) as reader:
            print(reader.query("Delta").node.count)
    """

    def __init__(self, client: Client, clock: Callable[[], int] = time.time_ns) -> None:
        """Query through this client; the clock is in nanoseconds since the epoch."""
        self._client = client
        self._clock = clock
        self._shape: Shape | None = None
        self._kept: OrderedDict[str, tuple[str, Any]] = OrderedDict()
        self._closed = False

    @classmethod
    def open(cls, url: str, token: str | None = None) -> Self:
        """Name a server, which is reached with the first query. Raises OncefoldError for what is no server's URL."""
        return cls(Client(address_of(url), token, QUERY_SECONDS))

    @property
    def name(self) -> str:
        """The server's URL."""
        return self._client.url

    @property
    def shape(self) -> Shape:
        """The trees, measures and versions of the pipeline."""
        if self._shape is None:
            self.status()
        assert self._shape is not None
        return self._shape

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
        target, moment = self._of_node("totals", rollup, node), _as_of_text(as_of)
        levels = "all" if checked(depth, "depth") is None else depth
        ranking = Ranking(sort, ascending, matching)
        ranking.require(self.shape, depth, after)
        if ranking and (limit is None or limit > CHILDREN_OF_PAGE):
            return ranking.of(self.query(node, rollup=rollup, depth=depth, as_of=as_of), limit)
        order = None if ascending is None else "ascending" if ascending else "descending"
        ranked = {"sort": sort, "order": order, "filter": matching or None}

        def page(size: int | None, start: str | None) -> Totals:
            parameters = {"depth": levels, "as_of": moment, "after": start, "limit": size, **ranked}
            return self._answer(target, parameters, lambda found: parse.totals(self.shape, found))

        if depth != 1 or (checked(limit, "limit") is not None and (limit or 0) <= CHILDREN_OF_PAGE):
            return page(limit, after)
        wanted = float("inf") if limit is None else limit

        def whole() -> Totals | None:
            found = last = page(None if limit is None else CHILDREN_OF_PAGE, after)
            while last.more and len(found) - 1 < wanted:
                last = page(int(min(CHILDREN_OF_PAGE, wanted - len(found) + 1)), found.rows[-1].label)
                if last.commit != found.commit:
                    return None
                found = replace(found, rows=(*found.rows, *last.rows[1:]), more=last.more)
            return found

        return self._of_one_commit(whole)

    def series(self, node: Node = "", *, rollup: str | None = None, points: int = 60, since: AsOf = None) -> Series:
        """How a node came to its totals: its totals as of at most `points` commits from `since` to now."""
        target, parameters = self._of_node("series", rollup, node), {"points": points, "since": _as_of_text(since)}
        return self._answer(target, parameters, lambda found: parse.series(self.shape, found))

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> SearchResult:
        """Live nodes whose label holds the text, and keys that are or begin with it; at most `limit` of each."""
        return self._answer(
            "search", {"q": text, "rollup": rollup, "limit": limit}, lambda found: parse.search(self.shape, found)
        )

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
        target = self._of_node("explain", rollup, node)

        def page(size: int, start: int) -> Explanation:
            parameters = {"limit": size, "after": start, "measure": measure, "value": value}
            return self._answer(target, parameters, lambda found: parse.explanation(self.shape, found, start))

        if checked(limit, "limit") is not None and (limit or 0) <= KEYS_OF_PAGE:
            return page(limit or 0, after)
        wanted = float("inf") if limit is None else limit

        def whole() -> Explanation | None:
            found = last = page(KEYS_OF_PAGE, after)
            while last.more and len(found) < wanted:
                last = page(int(min(KEYS_OF_PAGE, wanted - len(found))), after + len(found))
                if last.commit != found.commit:
                    return None
                found = replace(found, rows=(*found.rows, *last.rows))
            return found

        return self._of_one_commit(whole)

    def history(self, key: Key, *, every: bool = False) -> History:
        """The events that became the state of a key, oldest first; `every` one: duplicates, stale and lost ones too."""
        target = f"history/{quote(_key_text(key), safe='')}"

        def page(start: int) -> History:
            parameters = {"every": "true" if every else "false", "limit": ARRIVALS_OF_PAGE, "after": start}
            return self._answer(target, parameters, lambda found: parse.history(self.shape, found))

        def whole() -> History | None:
            found = last = page(0)
            while last.more:
                last = page(len(found))
                if last.commit != found.commit:
                    return None
                found = replace(found, rows=(*found.rows, *last.rows), more=last.more)
            return found

        return self._of_one_commit(whole)

    def rejects(self, limit: int | None = None, *, after: int = 0, newest_first: bool = False) -> Rejects:
        """Events that could not be read, at most `limit`, after the id `after` in the order; of each the beginning."""
        checked(limit, "limit")

        def page(size: int, start: int) -> Rejects:
            parameters = {"limit": size, "after": start, "order": "newest" if newest_first else "oldest"}
            return self._answer("rejects", parameters, lambda found: parse.rejects(self.shape, found))

        return self._listed(page, limit, after)

    def conflicts(self, limit: int | None = None, *, after: int = 0) -> Conflicts:
        """Events of one key and version with different content, the newest first, at most `limit`, after this id."""
        checked(limit, "limit")

        def page(size: int, start: int) -> Conflicts:
            parameters = {"limit": size, "after": start}
            return self._answer("conflicts", parameters, lambda found: parse.conflicts(self.shape, found))

        return self._listed(page, limit, after)

    def verify(self) -> Verification:
        """Recompute every total from the keys and compare, in the server; it needs a token with the admin scope."""
        return self._answer("verify", {}, lambda found: parse.verification(self.shape, found))

    def status(self) -> StoreStatus:
        """The server's store as a whole, and what the server is doing."""
        found = self._answer("status", {}, lambda read: parse.status(read, self._clock()))
        self._shape = found.shape
        return found

    def changes(
        self, *nodes: Node, rollup: str | None = None, depth: int | None = None, since: int | None = None
    ) -> Changes:
        """Subscribe to what changes in these nodes and `depth` levels below (None: all); without nodes, to every node.

        It begins after the commit `since`, or now. A server that is away for up to a minute is waited for, and nothing
        that changed meanwhile is left out.
        """
        from oncefold.queries.changes.server_feed import ServerFeed, target_of
        from oncefold.queries.changes.subscription import Changes

        start = self.status().commit.number if since is None else since
        return Changes(ServerFeed(self._client.another(), target_of(nodes, rollup, depth), start))

    def close(self) -> None:
        """Close the connection and forget what was read; without effect when closed."""
        self._closed = True
        self._client.close()
        self._shape = None
        self._kept.clear()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{', closed' if self._closed else ''}>"

    def _of_node(self, route: str, rollup: str | None, node: Node) -> str:
        name, path = rollup_of(self.shape, rollup).name, join(labels_of_node(node))
        return "/".join([route, quote(name, safe=""), *([quote(path, safe="/")] if path else [])])

    def _answer(self, target: str, parameters: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Found]) -> Found:
        """The answer to a GET, read from its document; or the one before, where the server says it is unchanged."""
        self._check_open()
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        address = f"/{target}?{query}" if query else f"/{target}"
        kept = self._kept.get(address)
        reply = self._client.get(address, None if kept is None else kept[0])
        if reply.document is None and kept is not None:
            self._kept.move_to_end(address)
            before: Found = kept[1]
            return before
        try:
            found = read(reply.document)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise OncefoldError(f"{self.name}: its answer cannot be read ({error!r}); is it a newer version?") from None
        if "etag" in reply.headers:
            self._kept[address] = reply.headers["etag"], found
            if len(self._kept) > MOST_REMEMBERED:
                self._kept.popitem(last=False)
        return found

    def _check_open(self) -> None:
        if self._closed:
            raise OncefoldError(f"{self.name}: the client is closed; connect again")

    def _listed(self, page: Callable[[int, int], Listed], limit: int | None, after: int) -> Listed:
        """At most `limit` items of a list, in pages of so many items after an id."""
        if limit is not None and limit <= LISTED_OF_PAGE:
            return page(limit, after)
        wanted = float("inf") if limit is None else limit

        def whole() -> Listed | None:
            found: Listed = page(LISTED_OF_PAGE, after)
            last: Listed = found
            while len(last) == LISTED_OF_PAGE and len(found) < wanted:
                last = page(int(min(LISTED_OF_PAGE, wanted - len(found))), int(found.rows[-1].id or 0))
                if last.commit != found.commit:
                    return None
                found = replace(found, rows=(*found.rows, *last.rows))
            return found

        return self._of_one_commit(whole)

    def _of_one_commit(self, read: Callable[[], Found | None]) -> Found:
        """What several pages say, all as of one commit."""
        for _ in range(_PAGES_TRIES):
            found = read()
            if found is not None:
                return found
        raise OncefoldError(f"{self.name}: events were committed between the pages of the answer; query fewer rows")


def _as_of_text(as_of: AsOf) -> str | None:
    """What a server takes for a past state."""
    if as_of is None or isinstance(as_of, str):
        return None if as_of is None else as_of
    commit, moment = commit_or_time(as_of)
    return str(commit) if moment is None else format_timestamp(moment)


def _key_text(key: Key) -> str:
    if isinstance(key, str | int):
        return str(key)
    parts = [str(part) for part in key]
    return parts[0] if len(parts) == 1 else join(parts)
