"""The tree that the workshop sums along: RiskType > TradeDesk > Region, without a root.

A node is named by its labels with colons between, as in `Delta:FXSpot:AMER`.
"""

from collections.abc import Iterable, Mapping

LEVELS = ("RiskType", "TradeDesk", "Region")
SEPARATOR = ":"
MESSAGE_COUNT = "message_count"
"""The node that counts the changes of StateTable; the workshop's front end shows it."""

Leaf = tuple[str, ...]
"""One label a level."""
Sums = dict[str, float]
"""What to add to each node."""


def nodes(leaf: Leaf) -> list[str]:
    """The nodes above and at a leaf, from the top."""
    return [SEPARATOR.join(leaf[:depth]) for depth in range(1, len(leaf) + 1)]


def net(amounts: Iterable[tuple[Leaf, float]]) -> dict[Leaf, float]:
    """Floats added up by leaf, one after the other."""
    leaves: dict[Leaf, float] = {}
    for leaf, value in amounts:
        leaves[leaf] = leaves.get(leaf, 0.0) + value
    return leaves


def roll_up(leaves: Mapping[Leaf, float]) -> Sums:
    """Each leaf's float added to every node above and at it."""
    sums: Sums = {}
    for leaf, value in leaves.items():
        add(sums, dict.fromkeys(nodes(leaf), value))
    return sums


def add(sums: Sums, more: Mapping[str, float]) -> None:
    """Add to some of the nodes."""
    for node, value in more.items():
        sums[node] = sums.get(node, 0.0) + value
