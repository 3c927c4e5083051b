"""The children of a node in the order of a value, and those whose label holds a text: the same on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
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
        children = found.rows[1:]
        values = None if self.by_label else [self._value_of(row) for row in children]
        chosen, more = self.choose([row.label for row in children], values, limit)
        return replace(found, rows=(found.rows[0], *(children[index] for index in chosen)), more=more)

    @property
    def by_label(self) -> bool:
        """Whether the order is that of labels, so that no values are needed."""
        return self.sort in {None, BY_LABEL}

    @property
    def by_count(self) -> bool:
        """Whether the order is that of the numbers of keys."""
        return self.sort == BY_COUNT

    def choose(
        self, labels: Sequence[str], values: Sequence[Decimal | int | None] | None, limit: int | None
    ) -> tuple[list[int], bool]:
        """Which children are wanted, in their order, as indexes; and whether the limit left some out.

        The children are in the order of their labels; `values` are needed unless `by_label`.
        """
        text = self.matching.casefold()
        found = (
            [index for index, label in enumerate(labels) if text in label.casefold()] if text else range(len(labels))
        )
        ordered: Sequence[int]
        if values is None:
            ordered = found[::-1] if self.ascending is False else found
        else:
            valued = [(value, index) for index in found if (value := values[index]) is not None]
            without = [index for index in found if values[index] is None]
            valued.sort(key=itemgetter(0), reverse=not self.ascending)
            ordered = [*(index for _, index in valued), *without]
        most = len(ordered) if limit is None else limit
        return list(ordered[:most]), len(ordered) > most

    def _value_of(self, row: NodeTotal) -> Decimal | int | None:
        return row.count if self.by_count else row.sums[self.sort or ""]
