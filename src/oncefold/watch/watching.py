"""A source of totals watched over time: looks, what changed since the last one, rates, and failures that may pass."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from oncefold.core.errors import OncefoldError, QueryError
from oncefold.core.nodepath import join
from oncefold.queries.arguments import Node, labels_of_node, rollup_of
from oncefold.queries.model import NodeTotal, RollupShape, Shape, Totals
from oncefold.queries.render.rows import MEASURE


class NotYetError(Exception):
    """There is nothing to look at yet, and there may be soon; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Which node to look at, and how far below it."""

    node: Node = ""
    rollup: str | None = None
    depth: int | None = None
    """Levels below the node; None for all."""

    def rollup_in(self, shape: Shape) -> RollupShape:
        """The rollup that is looked at. Raises QueryError for a node that it can never have."""
        rollup, labels = rollup_of(shape, self.rollup), labels_of_node(self.node)
        if len(labels) > len(rollup.levels):
            raise QueryError(
                f"there cannot be a node {join(labels)}: the rollup {rollup.name} has {len(rollup.levels)} levels"
            )
        return rollup

    def levels_below(self, rollup: RollupShape) -> int:
        """How many levels lie between the node and the deepest that is looked at."""
        most = len(rollup.levels) - len(labels_of_node(self.node))
        return most if self.depth is None else min(most, self.depth)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    where: str
    """The store's path, the server's URL, or the stack's name."""
    totals: Totals
    cut: bool
    """Whether more nodes were wanted than there was room for: then the deepest levels are left out, whole levels
    if possible."""
    events: int | None
    """Events ever seen, rejected ones too; None for a stack, where nothing counts them exactly."""


class Source(Protocol):
    """Where the totals are."""

    def look(self, room: int | None) -> Look:
        """Look now, at not more than `room` nodes (None: at all).

        Raises NotYetError where there is nothing to see yet, and OncefoldError where looking fails. Either way the
        next look begins afresh.
        """
        ...


Changed = Mapping[str, frozenset[str]]
"""By a node's path: which of its columns changed, as `oncefold.queries.render.rows` names them."""


def fitting(rows: Sequence[NodeTotal], room: int | None) -> tuple[tuple[NodeTotal, ...], bool]:
    """The rows of a tree for which there is room (None: for all), and whether some were left out.

    Levels are shown whole, the deepest are left out; of the node's children, the first, if not all of them fit.
    """
    if room is None or len(rows) <= room:
        return tuple(rows), False
    top = rows[0].depth
    for depth in range(max(row.depth for row in rows) - 1, top, -1):
        shallow = tuple(row for row in rows if row.depth <= depth)
        if len(shallow) <= room:
            return shallow, True
    return tuple(row for row in rows if row.depth <= top + 1)[: max(room, 1)], True


FAILURE_SECONDS = 30.0
"""How long a source may fail that could be seen before."""


WINDOW_SECONDS = 5.0
"""A rate is the mean of so long, since commits come in bursts."""

COUNT = "count"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look in its course."""

    look: Look | None
    """The last that succeeded; None before the first."""
    changed: Changed = field(default_factory=dict)
    """Since the look before."""
    moved: bool = False
    """Whether this look succeeded and its totals are others than in the last that did."""
    rate: float | None = None
    """Events per second, where that is known."""
    trouble: str = ""
    """Why this look did not succeed; empty if it did."""


class Watching:
    """Looks at a source again and again.

    What is not there yet is waited for. A source that was seen once may fail for a while, since files are replaced
    and networks fail; one that fails at first sight is not what the user meant.
    """

    def __init__(self, source: Source, monotonic: Callable[[], float]) -> None:
        """Times are seconds of this monotonic clock."""
        self._source = source
        self._monotonic = monotonic
        self._rate = MovingRate()
        self._last: Look | None = None
        self._good = 0.0

    def look(self, room: int | None = None) -> Seen:
        """Look now, at not more than `room` nodes. Raises OncefoldError for a failure that is not waited for."""
        try:
            look = self._source.look(room)
        except NotYetError as error:
            self._good = self._monotonic()
            return self._without(str(error))
        except OncefoldError as error:
            if self._last is None or self._monotonic() - self._good > FAILURE_SECONDS:
                raise
            return self._without(str(error))
        return self._with(look, self._monotonic())

    def _with(self, look: Look, now: float) -> Seen:
        before, self._last, self._good = self._last, look, now
        rate = None if look.events is None else self._rate.at(now, look.events)
        return Seen(look, changed(before, look), moved(before, look), rate)

    def _without(self, trouble: str) -> Seen:
        self._rate.forget()
        return Seen(self._last, trouble=trouble)


class MovingRate:
    """The mean rate at which a number grew during the window; times are seconds of a monotonic clock."""

    def __init__(self, window: float = WINDOW_SECONDS) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, time: float, number: int) -> float | None:
        """The rate, now that there are so many; None until it is known. A number that falls begins anew."""
        if self._seen and number < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((time, number))
        while len(self._seen) > 2 and time - self._seen[1][0] >= self._window:
            self._seen.popleft()
        began, first = self._seen[0]
        return (number - first) / (time - began) if time > began else None

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()


def changed(before: Look | None, after: Look) -> Changed:
    """The values of `after` that are others than in `before`; none in a first look.

    A node that is new counts as changed altogether, unless `before` left nodes out and may have left out this one.
    """
    if before is None or _amounts(before) == _amounts(after):
        return {}
    known = {row.path: row for row in before.totals}
    found = ((row.path, frozenset(_columns(known.get(row.path), row, before.cut))) for row in after.totals)
    return {path: columns for path, columns in found if columns}


def moved(before: Look | None, after: Look) -> bool:
    """Whether totals are others than before, or nodes are gone; a first look always moved."""
    return before is None or _amounts(before) != _amounts(after)


def _columns(before: NodeTotal | None, after: NodeTotal, cut: bool) -> Iterator[str]:  # noqa: FBT001
    if before is None and cut:
        return
    if before is None or before.count != after.count:
        yield COUNT
    for name, amount in after.sums.items():
        if before is None or before.sums.get(name) != amount:
            yield f"{MEASURE}{name}"


def _amounts(look: Look) -> list[tuple[object, ...]]:
    return [(row.path, row.count, row.sums) for row in look.totals]
