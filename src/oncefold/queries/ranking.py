"""The children of a node in the order of a value, and those whose label holds a text: the same on every backend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from oncefold.core.errors import InvalidQueryError

if TYPE_CHECKING:
    from decimal import Decimal

    from oncefold.queries.model import NodeTotal, Shape, Totals

BY_LABEL: Final = "label"
BY_COUNT: Final = "count"


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which children of a node are wanted, and in which order."""

    sort: str | None = None
    """`label`, `count` or a measure; None is the order of labels."""
    ascending: bool | None = None
    """The least first; None: labels ascend, values descend."""
    matching: str = ""
    """Only children whose label holds this text, in either case."""

    def __bool__(self) -> bool:
        """Whether anything but all children by ascending labels is wanted."""
        return self.sort not in {None, BY_LABEL} or self.ascending is False or bool(self.matching)

    def require(self, shape: Shape, depth: int | None, after: str | None) -> None:
        """Raises InvalidQueryError for what cannot be ranked, or not so."""
        names = [BY_LABEL, BY_COUNT, *shape.scales]
        if self.sort is not None and self.sort not in names:
            raise InvalidQueryError(f"there is no value {self.sort!r} to sort by; there is: {', '.join(names)}")
        if self and depth != 1:
            raise InvalidQueryError("sort and filter are about the children of a node; with them depth is 1")
        if self and after is not None:
            raise InvalidQueryError("after continues in the order of labels; with sort or filter give a greater limit")

    def of(self, found: Totals, limit: int | None) -> Totals:
        """Of an answer with all children of a node those that are wanted, at most `limit`, in their order.

        Equal values are in the order of their labels. Children without a value come last.
        """
        text = self.matching.casefold()
        children = [row for row in found.rows[1:] if text in row.label.casefold()]
        chosen = self._in_order(children)
        most = len(chosen) if limit is None else limit
        return replace(found, rows=(found.rows[0], *chosen[:most]), more=len(chosen) > most)

    def _in_order(self, children: list[NodeTotal]) -> list[NodeTotal]:
        if self.sort in {None, BY_LABEL}:
            return children[::-1] if self.ascending is False else children
        valued: list[tuple[Decimal | int, NodeTotal]] = []
        without: list[NodeTotal] = []
        for row in children:
            value = row.count if self.sort == BY_COUNT else row.sums[self.sort or ""]
            if value is None:
                without.append(row)
            else:
                valued.append((value, row))
        valued.sort(key=lambda pair: pair[0], reverse=not self.ascending)
        return [*(row for _, row in valued), *without]
