"""Looks made by hand, and sources that give them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from oncefold.queries.converters import to_datetime
from oncefold.queries.model import AsOfCommit, Commit, NodeTotal, RollupShape, Shape, Totals
from oncefold.watch.watching import Look

SHAPE = Shape("shop", (RollupShape("place", ("country", "city")),), {"amount": 2}, "timestamp")

Numbers = tuple[int, str]


def row(path: str, count: int, amount: str) -> NodeTotal:
    labels = tuple(path.split("/")) if path else ()
    return NodeTotal(path, labels, len(labels), labels[-1] if labels else "", count, {"amount": Decimal(amount)})


def look(nodes: Mapping[str, Numbers], *, events: int = 0, cut: bool = False) -> Look:
    """A look at nodes by their paths, the first of them the one that is looked at."""
    rows = tuple(row(path, *numbers) for path, numbers in nodes.items())
    as_of = AsOfCommit(Commit(1, to_datetime(0), "1970-01-01T00:00:00Z"))
    return Look("shop.db", Totals(as_of=as_of, shape=SHAPE, rows=rows, rollup="place"), cut, events)


class Scripted:
    """A source that gives what was written for it, in turn."""

    def __init__(self, turns: Iterable[Look | Exception]) -> None:
        self._turns = iter(turns)

    def look(self, _room: int | None) -> Look:
        turn = next(self._turns)
        if isinstance(turn, Exception):
            raise turn
        return turn


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
