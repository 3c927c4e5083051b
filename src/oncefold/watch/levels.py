"""Which of many nodes to show where there is room for few."""

from collections.abc import Sequence

from oncefold.queries.model import NodeTotal


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
