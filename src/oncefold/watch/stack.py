"""A stack on AWS as a source of looks. Every look reads, and is paid for: nothing there tells that nothing changed."""

from collections.abc import Callable

from oncefold.aws.reader import StackQuestions
from oncefold.aws.reader.answers import StackTree
from oncefold.core.errors import OncefoldError, QuestionError
from oncefold.queries.answers import Tree
from oncefold.watch.levels import fitting
from oncefold.watch.looks import Look, NotYetError, StackMoment, Watched


class StackSource:
    """Looks at the totals that the functions have applied, and at what is pending."""

    def __init__(self, open_stack: Callable[[], StackQuestions], watched: Watched) -> None:
        self._open = open_stack
        self._watched = watched
        self._ask: StackQuestions | None = None
        self._met: dict[int, int] = {}
        """How many nodes the levels up to one had when they were last read."""

    def look(self, room: int | None) -> Look:
        """Look at the totals as they are now; see `oncefold.watch.looks.Source`."""
        try:
            if self._ask is None:
                self._ask = self._open()
            return self._look(self._ask, room)
        except OncefoldError:
            self._ask = None
            raise

    def _look(self, ask: StackQuestions, room: int | None) -> Look:
        self._watched.among(ask.pipeline)
        deepest = self._watched.levels_below(ask.pipeline)
        depth = self._known_to_fit(deepest, room)
        tree = self._query(ask, depth)
        while room is not None and depth < deepest and self._met.get(depth + 1, 0) <= room:
            depth += 1
            tree = self._query(ask, depth)
        rows, cut = fitting(tree.rows, room)
        return Look(ask.pipeline.name, Tree(rows, tree.rollup, tree.scales), cut or depth < deepest, _moment(tree))

    def _known_to_fit(self, deepest: int, room: int | None) -> int:
        """How many levels to read at once; those that were met not to fit wait until there is room for them."""
        if room is None:
            return deepest
        depth = min(deepest, 1)
        while depth < deepest and self._met.get(depth + 1, room + 1) <= room:
            depth += 1
        return depth

    def _query(self, ask: StackQuestions, depth: int) -> StackTree:
        try:
            tree = ask.query(self._watched.node, rollup=self._watched.rollup, depth=depth)
        except QuestionError as error:
            raise NotYetError(str(error)) from None
        self._met[depth] = len(tree)
        return tree


def _moment(tree: StackTree) -> StackMoment:
    oldest = tree.outbox.oldest
    return StackMoment(
        stack=tree.read.stack,
        time=tree.read.time,
        time_text=tree.read.time_text,
        deltas=tree.outbox.deltas,
        oldest_seconds=None if oldest is None else oldest.total_seconds(),
        complete=tree.outbox.complete,
    )
