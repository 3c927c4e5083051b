"""A stack on AWS as a source of looks. Every look reads, and is paid for: nothing there tells that nothing changed."""

from collections.abc import Callable

from oncefold.aws.reader import StackReader
from oncefold.core.errors import OncefoldError, QueryError
from oncefold.queries.answers import Tree
from oncefold.queries.model import AsOfTime, Totals
from oncefold.watch.levels import fitting
from oncefold.watch.looks import Look, NotYetError, StackMoment, Watched


class StackSource:
    """Looks at the totals that the functions have applied, and at what is pending."""

    def __init__(self, open_stack: Callable[[], StackReader], watched: Watched) -> None:
        self._open = open_stack
        self._watched = watched
        self._reader: StackReader | None = None
        self._met: dict[int, int] = {}
        """How many nodes the levels up to one had when they were last read."""

    def look(self, room: int | None) -> Look:
        """Look at the totals as they are now; see `oncefold.watch.looks.Source`."""
        try:
            if self._reader is None:
                self._reader = self._open()
            return self._look(self._reader, room)
        except OncefoldError:
            self._reader = None
            raise

    def _look(self, reader: StackReader, room: int | None) -> Look:
        self._watched.among(reader.pipeline)
        deepest = self._watched.levels_below(reader.pipeline)
        depth = self._known_to_fit(deepest, room)
        tree = self._query(reader, depth)
        while room is not None and depth < deepest and self._met.get(depth + 1, 0) <= room:
            depth += 1
            tree = self._query(reader, depth)
        rows, cut = fitting(tree.rows, room)
        return Look(reader.pipeline.name, Tree(rows, tree.rollup, tree.scales), cut or depth < deepest, _moment(tree))

    def _known_to_fit(self, deepest: int, room: int | None) -> int:
        """How many levels to read at once; those that were met not to fit wait until there is room for them."""
        if room is None:
            return deepest
        depth = min(deepest, 1)
        while depth < deepest and self._met.get(depth + 1, room + 1) <= room:
            depth += 1
        return depth

    def _query(self, reader: StackReader, depth: int) -> Totals:
        try:
            tree = reader.query(self._watched.node, rollup=self._watched.rollup, depth=depth)
        except QueryError as error:
            raise NotYetError(str(error)) from None
        self._met[depth] = len(tree)
        return tree


def _moment(tree: Totals) -> StackMoment:
    as_of = tree.as_of
    assert isinstance(as_of, AsOfTime)
    assert as_of.pending is not None, "a query counts the outbox"
    oldest = as_of.pending.oldest
    return StackMoment(
        stack=as_of.stack,
        time=as_of.time,
        time_text=as_of.time_text,
        deltas=as_of.pending.deltas,
        oldest_seconds=None if oldest is None else oldest.total_seconds(),
        complete=as_of.pending.complete,
    )
