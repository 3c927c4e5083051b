"""What differs between two looks."""

from collections.abc import Iterator

from oncefold.queries.answers import NodeTotal
from oncefold.watch.looks import Changed, Look

COUNT = "count"


def changed(before: Look | None, after: Look) -> Changed:
    """The values of `after` that are others than in `before`; none in a first look.

    A node that is new counts as changed altogether, unless `before` left nodes out and may have left out this one.
    """
    if before is None or before.tree.rows == after.tree.rows:
        return {}
    known = {row.path: row for row in before.tree}
    found = ((row.path, frozenset(_columns(known.get(row.path), row, before.cut))) for row in after.tree)
    return {path: columns for path, columns in found if columns}


def moved(before: Look | None, after: Look) -> bool:
    """Whether totals are others than before, or nodes are gone; a first look always moved."""
    return before is None or before.tree.rows != after.tree.rows


def _columns(before: NodeTotal | None, after: NodeTotal, cut: bool) -> Iterator[str]:  # noqa: FBT001
    if before is None and cut:
        return
    if before is None or before.count != after.count:
        yield COUNT
    for name, amount in after.sums.items():
        if before is None or before.sums.get(name) != amount:
            yield name
