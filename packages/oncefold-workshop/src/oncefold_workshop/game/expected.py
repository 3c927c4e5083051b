"""What every node has to grow by in a round: the greatest version of each key counts, and no other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from oncefold.core import nodepath
from oncefold.core.definition import Pipeline
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node
from oncefold_lab.search.oracle import contribution, order, plus

FLOATS = Decimal("0.00001")
"""The workshop's own scoreboard takes a total for right when it is no farther off than this."""
EXACT = Decimal(0)

Row = tuple[Decimal | None, ...]
"""A node's count and sums; None for what a player does not keep."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """The first node that is not as it has to be."""

    node: Node
    path: str
    column: int
    """0 for the count, else the measure's number from 1 on."""
    expected: Decimal
    found: Decimal

    @property
    def by(self) -> Decimal:
        """By how much it is too much."""
        return self.found - self.expected


class ExpectedTotals:
    """What every player's totals have to grow by in a round, from all events so far."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.best: dict[str, Event] = {}
        """The event of each key that counts."""
        self._sums: dict[Node, tuple[int, ...]] = {}
        self._base: dict[Node, tuple[int, ...]] = {}
        """The sums when the round began."""
        self._nodes: dict[tuple[str, ...], list[Node]] = {}
        """The nodes that a leaf counts in."""
        self._rows: dict[Node, Row] | None = None

    def begin(self) -> None:
        """Let a round begin: what was there before does not count in it."""
        self._base = dict(self._sums)
        self._rows = None

    def add(self, events: Iterable[Event]) -> None:
        """Take in events, in any order."""
        for event in events:
            before = self.best.get(event.key)
            if before is None or order(event) > order(before):
                self.best[event.key] = event
                if before is not None:
                    self._count(before.content, -1)
                self._count(event.content, 1)
        self._rows = None

    def _count(self, content: Content, sign: int) -> None:
        if content.labels is None:
            return
        if content.labels not in self._nodes:
            self._nodes[content.labels] = list(contribution(self.pipeline, content))
        numbers = (sign, *(sign * number for number in content.measures))
        for node in self._nodes[content.labels]:
            self._sums[node] = plus(self._sums.get(node), numbers)

    def rows(self) -> dict[Node, Row]:
        """What every node's count and sums have to grow by in this round, in the order of the tree."""
        if self._rows is None:
            self._rows = {node: self._grown(node, numbers) for node, numbers in sorted(self._sums.items())}
        return self._rows

    def _grown(self, node: Node, numbers: tuple[int, ...]) -> Row:
        base = self._base.get(node)
        return self.row(numbers if base is None else (one - other for one, other in zip(numbers, base, strict=True)))

    def row(self, numbers: Iterable[int]) -> Row:
        """Whole numbers as a row: mantissas become the numbers that they are of."""
        scales = (0, *(amount.scale for amount in self.pipeline.amounts))
        return tuple(Decimal(number).scaleb(-scale) for number, scale in zip(numbers, scales, strict=True))

    def amounts(self, content: Content) -> dict[Node, Row]:
        """What one content adds to each node."""
        return {node: self.row(numbers) for node, numbers in contribution(self.pipeline, content).items()}


def path_of(node: Node) -> str:
    """A node's name, for a person."""
    return nodepath.join(node.labels) or "(root)"


def grown(rows: Mapping[Node, Row], base: Mapping[Node, Row]) -> dict[Node, Row]:
    """By how much every node has grown since the round began."""
    found: dict[Node, Row] = {}
    for node in rows.keys() | base.keys():
        now, before = rows.get(node), base.get(node)
        width = len(now or before or ())
        found[node] = tuple(_difference(now, before, column) for column in range(width))
    return found


def _difference(now: Row | None, before: Row | None, column: int) -> Decimal | None:
    one = Decimal(0) if now is None else now[column]
    other = Decimal(0) if before is None else before[column]
    return None if one is None or other is None else one - other


def first_wrong(expected: dict[Node, Row], found: dict[Node, Row], tolerance: Decimal) -> Wrong | None:
    """The first node, in the order of the tree, that is off by more than the tolerance.

    `expected` has only what the player keeps; a node that is missing is nothing.
    """
    for node in sorted(expected.keys() | found.keys()):
        wanted = expected.get(node)
        there = found.get(node)
        for column in range(len(wanted or there or ())):
            one = wanted[column] if wanted is not None else Decimal(0)
            other = there[column] if there is not None else Decimal(0)
            if one is None or other is None:
                continue
            if abs(other - one) > tolerance:
                return Wrong(node, path_of(node), column, one, other)
    return None
