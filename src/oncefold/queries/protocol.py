"""The queries that every backend answers, and how a backend says that it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from oncefold.core.errors import QueryError

if TYPE_CHECKING:
    from types import TracebackType

    from oncefold.queries.arguments import AsOf, Key, Node
    from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
    from oncefold.queries.model import SearchResult, Series, Shape, Totals, Verification
    from oncefold.queries.status_model import Status


class UnsupportedQueryError(QueryError):
    """A backend cannot answer such a query; the message says which one can, or what to do instead."""


class Progress(Protocol):
    """Called while a long query reads: what is being read, and how much of it so far."""

    def __call__(self, what: str, seen: int, /) -> None:
        """So many of these were read."""
        ...


def no_progress(what: str, seen: int, /) -> None:
    """Report to nobody."""


class Closing:
    """A context that is closed at the end of its `with` statement."""

    def close(self) -> None:
        """Release what is open; without effect when closed."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


class Reader(Protocol):
    """Queries to a store, a server or a stack.

    A node is written as its labels joined by `/`, or given as a sequence of them; a composite key likewise. A rollup is
    named where there are several. All queries raise QueryError if they name what does not exist, with what there is,
    InvalidQueryError if they cannot be read, UnsupportedQueryError if this backend has no answer, and another
    OncefoldError if the backend cannot be read.
    """

    @property
    def name(self) -> str:
        """What is read: a file's path, a server's URL, a stack's name."""
        ...

    @property
    def shape(self) -> Shape:
        """The trees, measures and versions of the pipeline."""
        ...

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

        Nodes below it without live keys are left out.

        Args:
            node: the node; the root if left out.
            rollup: the tree, by name; needed where there are several.
            depth: how many levels below the node.
            as_of: a past state: a commit's number, a datetime or an RFC 3339 text (the last commit at or before it).
            after: only children with a label beyond this one; then `depth` must be 1.
            limit: at most so many children; then `depth` must be 1, and `Totals.more` says whether there are more.
            sort: the children by `label`, by `count` or by a measure, the greatest first; then `depth` must be 1.
            ascending: the least first; labels ascend unless this is false.
            matching: only children whose label holds this text, in either case; then `depth` must be 1.

        """
        ...

    def series(self, node: Node = "", *, rollup: str | None = None, points: int = 60, since: AsOf = None) -> Series:
        """How a node came to its totals: its totals as of at most `points` commits, the last of them now.

        They begin with the commit that was the newest at `since`, a commit's number or a time, if that is kept.
        """
        ...

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> SearchResult:
        """Live nodes whose label holds the text, and keys that are or begin with it; at most `limit` of each."""
        ...

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
        """The keys that count in a node: `limit` of them (None: all), without the first `after`.

        With a measure those that make it what it is: of a least or greatest value the keys that have it, of a first or
        last one the key that has it, of the others the keys that take part; of a `distinct` those of one value.
        """
        ...

    def history(self, key: Key, *, every: bool = False) -> History:
        """The events that became the state of a key, oldest first; `every` one: duplicates, stale and lost ones too."""
        ...

    def rejects(self, limit: int | None = None, *, after: int = 0, newest_first: bool = False) -> Rejects:
        """Events that could not be read, at most `limit`, after the id `after` in the order; 0 is its beginning."""
        ...

    def conflicts(self, limit: int | None = None, *, after: int = 0) -> Conflicts:
        """Events of one key and version with different content, at most `limit`, after the id `after`; 0 is the first.

        Those of a store come newest first, so that the ids fall.
        """
        ...

    def verify(self) -> Verification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        ...

    def status(self) -> Status:
        """Everything as a whole: how far it is, what became of the events, how fresh it is."""
        ...

    def close(self) -> None:
        """Release what is open; without effect when closed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
