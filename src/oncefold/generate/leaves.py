"""The tree of labels: the workshop's 12 leaves, or as many as asked for with invented trade desks."""

from __future__ import annotations

from typing import NamedTuple

LEVELS = ("RiskType", "TradeDesk", "Region")
"""The levels of rollup `risk`, from the root down."""

_RISK_TYPES = ("PV", "Delta")
_REGIONS = ("EMEA", "APAC", "AMER")
_DESKS = ("FXSpot", "FXOptions")


class Leaf(NamedTuple):
    """One place in the tree, in the order in which the messages name it."""

    risk_type: str
    region: str
    trade_desk: str

    @property
    def nodes(self) -> tuple[str, str, str, str]:
        """The paths of the nodes above and at this leaf in rollup `risk`, root first."""
        desk = f"{self.risk_type}/{self.trade_desk}"
        return ("", self.risk_type, desk, f"{desk}/{self.region}")


def leaf(index: int) -> Leaf:
    """Return leaf number `index`; every index is another leaf, and the first 12 are the workshop's."""
    rest, risk = divmod(index, len(_RISK_TYPES))
    desk, region = divmod(rest, len(_REGIONS))
    name = _DESKS[desk] if desk < len(_DESKS) else f"Desk{desk + 1:05d}"
    return Leaf(_RISK_TYPES[risk], _REGIONS[region], name)


def leaves(count: int) -> list[Leaf]:
    """Return the first `count` leaves."""
    return [leaf(i) for i in range(count)]
