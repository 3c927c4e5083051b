"""What a subscription to changes gives: of each message the nodes that changed, with their values now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oncefold.core.nodepath import split
from oncefold.queries import parse
from oncefold.queries.model import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from oncefold.queries.model import Shape


@dataclass(frozen=True, slots=True)
class ChangedNode:
    """A node that changed, with its totals as of the commit; its count is 0 if it has gone from the totals."""

    rollup: str
    path: str
    """Its labels joined by `/`, with escapes."""
    labels: tuple[str, ...]
    count: int
    """Live keys below it."""
    sums: Mapping[str, Decimal | None]
    """Exact, by measure; None for an average, extreme, first or last value of nothing."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Change(Answer[ChangedNode]):
    """The nodes that changed since the change before, as of the last commit; none of them is left out."""

    counts: Mapping[str, int]
    """Events since the change before, by outcome."""
    reset: str = ""
    """Why it has no rows although nodes may have changed: query the totals again, and go on."""


def change_of(shape: Shape, event: str, found: Mapping[str, Any]) -> Change:
    """The change that a message is: of the kind `commit` or `reset`, with its document."""
    rows = found["rows"] if event == "commit" else ()
    return Change(
        as_of=parse.as_of_commit(found),
        shape=shape,
        rows=tuple(
            ChangedNode(
                row["rollup"], row["path"], split(row["path"]), row["count"], parse.node_measures(row["measures"])
            )
            for row in rows
        ),
        counts=found.get("counts", {}),
        reset=found.get("reason", ""),
    )
