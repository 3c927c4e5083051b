"""`StackReader`: every query that a stack can answer, with the options of the command line."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeVar

from oncefold.aws.connect import aws_errors_explained, client
from oncefold.aws.names import Names
from oncefold.aws.operations.drain import Drain
from oncefold.aws.reader import rejects, status, totals, verification
from oncefold.aws.tables import Stack, live_epoch, open_tables
from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError
from oncefold.core.fold import Node
from oncefold.core.timestamps import format_timestamp
from oncefold.queries.arguments import AsOf, Key, labels_of_node
from oncefold.queries.arguments import Node as NamedNode
from oncefold.queries.converters import to_datetime
from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
from oncefold.queries.model import AsOfTime, SearchResult, Series, Shape, Totals, Verification
from oncefold.queries.protocol import Closing, Progress, UnsupportedQueryError, no_progress
from oncefold.queries.ranking import Ranking
from oncefold.queries.status_model import StackStatus

TRIES = 3
"""How often `verify` reads everything while the pipeline changes, by default."""
EPOCH_TRIES = 3
"""How often a query is answered until no rebuild switches meanwhile."""

Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How a stack is read; see `open_stack`."""

    progress: Progress = no_progress
    exact: bool = False
    count: bool = False
    drain: bool = False
    tries: int = TRIES


class StackReader(Closing):
    """Queries to one stack: a `Reader` (`oncefold.queries.protocol`) with the rows of a store of the same events.

    All reads are consistent: an answer has everything that was applied before its time, and may have some of what
    came later. Queries raise QueryError if they name what does not exist, UnsupportedQueryError for what a stack
    does not keep (past totals, histories, an index of labels), and OncefoldError if AWS cannot or may not answer.

        with open_stack("oncefold-risk") as reader:
            for row in reader.query("Delta", depth=2):
                print(row.path, row.count, row.sums["value"])
    """

    def __init__(
        self,
        stack: Stack,
        options: StackOptions | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
        clients: status.StatusClients | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`clock` is in nanoseconds since 1970; `clients` are those of `status`, by default the standard ones."""
        self._sleep = sleep
        self.stack = stack
        self.pipeline = stack.pipeline
        self._options = options or StackOptions()
        self._clock = clock
        self._clients = clients
        self._shape = Shape.of(stack.pipeline)

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.stack.names.stack

    @property
    def shape(self) -> Shape:
        """The trees, measures and versions of the pipeline."""
        return self._shape

    def query(  # noqa: PLR0913 - the parts of a query
        self,
        node: NamedNode = "",
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
        """The totals of a node and of all at most `depth` levels below it; see `Reader.query`.

        Totals of a stack lag behind its keys by the deltas in the outbox; `as_of.pending` says how many these are,
        and whether they are added.
        """
        if as_of is not None:
            self._unsupported("a stack keeps no past totals; leave out as_of, or query a store of the same events")
        wanted, levels = self._node(node, rollup), _checked(depth, "depth")
        ranking = Ranking(sort, ascending, matching)
        ranking.require(self.shape, depth, after)
        page = totals.ChildPage(None, None) if ranking else totals.ChildPage(after, _checked(limit, "limit"))
        if page and depth != 1:
            raise InvalidQueryError("limit and after page through the children of a node; with them depth is 1")
        query = totals.query_exact if self._options.exact else totals.query
        found = self._of_one_epoch(
            lambda stack: query(totals.Subtree(stack, wanted, levels), page, self._as_of(), self._clock)
        )
        return ranking.of(found, _checked(limit, "limit")) if ranking else found

    def series(
        self,
        node: NamedNode = "",  # noqa: ARG002
        *,
        rollup: str | None = None,  # noqa: ARG002
        points: int = 60,  # noqa: ARG002
        since: AsOf = None,  # noqa: ARG002
    ) -> Series:
        """Raises UnsupportedQueryError: a stack keeps no past totals."""
        self._unsupported("a stack keeps no past totals; query a store of the same events")

    def search(self, text: str, *, rollup: str | None = None, limit: int = 20) -> SearchResult:  # noqa: ARG002
        """Raises UnsupportedQueryError: a stack has no index of labels and keys."""
        self._unsupported("a stack has no index of labels and keys; search a store of the same events")

    def explain(
        self,
        node: NamedNode,
        *,
        rollup: str | None = None,
        limit: int | None = 20,
        after: int = 0,
        measure: str | None = None,
        value: str | None = None,
    ) -> Explanation:
        """The keys that count in a node, by their texts: `limit` of them (None: all), without the first `after`.

        Raises UnsupportedQueryError for the keys of one measure.
        """
        if measure is not None or value is not None:
            self._unsupported("a stack lists all keys that count in a node; leave out measure and value")
        found, most = self._node(node, rollup), _checked(limit, "limit")
        skipped = _checked(after, "after") or 0
        listing = verification.Listing(most, skipped)
        return self._of_one_epoch(
            lambda stack: verification.explain(stack, found, listing, self._as_of(), self._options.progress)
        )

    def history(self, key: Key, *, every: bool = False) -> History:  # noqa: ARG002
        """Raises UnsupportedQueryError: a stack keeps the current version of each key alone."""
        self._unsupported("a stack keeps the current version of each key alone; query a store of the same events")

    def rejects(self, limit: int | None = None, *, after: int = 0, newest_first: bool = False) -> Rejects:
        """Events that could not be read, in order of their arrival or, with `newest_first`, against it."""
        if after:
            self._unsupported("rejects of a stack have no numbers; leave out after")
        most = _checked(limit, "limit")
        with aws_errors_explained(self.name):
            return rejects.rejects(self.stack, most, self._as_of(), self._options.progress, newest_first=newest_first)

    def conflicts(self, limit: int | None = None, *, after: int = 0) -> Conflicts:
        """Events of one key and version with different content, by key and version, at most `limit`."""
        if after:
            self._unsupported("conflicts of a stack have no numbers; leave out after")
        most = _checked(limit, "limit")
        with aws_errors_explained(self.name):
            return rejects.conflicts(self.stack, most, self._as_of(), self._options.progress)

    def verify(self) -> Verification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        options = self._options
        if options.tries < 1:
            raise QueryError(f"tries is {options.tries}; give 1 or more")
        if options.drain:
            with aws_errors_explained(self.name):
                Drain.of(self.stack).once(options.progress)
        return self._of_one_epoch(
            lambda stack: verification.verify(stack, self._as_of(), options.progress, options.tries, self._sleep)
        )

    def status(self) -> StackStatus:
        """The stack as a whole: stream, functions, outbox, lists and failures."""
        with aws_errors_explained(self.name):
            self.stack = replace(self.stack, epoch=live_epoch(self.stack))
            clients = self._clients or status.StatusClients.connect()
            inspection = status.Inspection(self.stack, clients, self._clock)
            return inspection.status(self._as_of(), self._options.progress, counting=self._options.count)

    def close(self) -> None:
        """Nothing is held open."""

    def _of_one_epoch(self, query: Callable[[Stack], Answered]) -> Answered:
        """The answer to a query from the totals of one epoch: from the live one, if it still is when all is read.

        The totals before are deleted once a rebuild has switched, so what was read of them may be a part of them.
        """
        with aws_errors_explained(self.name):
            for _ in range(EPOCH_TRIES):
                self.stack = replace(self.stack, epoch=live_epoch(self.stack))
                try:
                    answer = query(self.stack)
                except QueryError:
                    if live_epoch(self.stack) == self.stack.epoch:
                        raise
                else:
                    if live_epoch(self.stack) == self.stack.epoch:
                        return answer
        raise OncefoldError(f"stack {self.name}: its totals were made anew while they were read; query again")

    def _node(self, node: NamedNode, rollup: str | None) -> Node:
        return Node(self.pipeline.find_rollup(rollup), labels_of_node(node))

    def _as_of(self) -> AsOfTime:
        now = self._clock()
        return AsOfTime(self.name, to_datetime(now), format_timestamp(now))

    def _unsupported(self, reason: str) -> NoReturn:
        raise UnsupportedQueryError(f"stack {self.name}: {reason}")


def open_stack(
    name: str,
    /,
    *,
    progress: Progress = no_progress,
    exact: bool = False,
    count: bool = False,
    drain: bool = False,
    tries: int = TRIES,
    dynamodb: Any = None,
) -> StackReader:
    """Open a stack by its name. Raises OncefoldError if it is not there or AWS does not answer.

    Args:
        name: the stack's name.
        progress: is called while tables are read.
        exact: `query` adds the deltas in the outbox to the totals.
        count: `status` counts keys and nodes now, by reading their tables.
        drain: `verify` applies the pending deltas first.
        tries: how often `verify` reads everything while the pipeline moves.
        dynamodb: a boto3 client; the standard one if left out.
    """
    names = Names(name)
    with aws_errors_explained(names.stack):
        stack = open_tables(names, client("dynamodb") if dynamodb is None else dynamodb)
    return StackReader(stack, StackOptions(progress, exact, count, drain, tries))


def _checked(number: int | None, name: str) -> int | None:
    if number is not None and number < 0:
        raise InvalidQueryError(f"{name} is {number}; give 0 or more, or None for all")
    return number
