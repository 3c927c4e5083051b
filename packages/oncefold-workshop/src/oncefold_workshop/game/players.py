"""Who can play: anything that can be deployed into an arena, says its totals, and tells how it went wrong."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from oncefold.core.fold import Node
from oncefold_workshop.game.accounts import Account
from oncefold_workshop.game.arena import Arena
from oncefold_workshop.game.truth import Row, Truth, Wrong

FLOATS = Decimal("0.00001")
"""The workshop's own scoreboard takes a total for right when it is nearer than this."""
EXACT = Decimal(0)


class Player(Protocol):
    """A pipeline that plays. It is made for one game and deployed once.

    Messages are put into the stream `NAMES.stream` of `search/deployment.py`; the first mapping reads it. The others
    read streams of tables, and the last one feeds the totals.
    """

    @property
    def name(self) -> str:
        """In one word."""

    @property
    def tolerance(self) -> Decimal:
        """How far a total may be off."""

    def deploy(self, arena: Arena) -> None:
        """Make its tables, stream, functions and mappings."""

    def kept(self, node: Node, row: Row) -> Row | None:
        """What of a node's truth it keeps: None for a node that it has not, and in the row for a number."""

    def rows(self) -> dict[Node, Row]:
        """Its totals as they are now, without a call."""

    def look(self, number: int) -> None:
        """Note what lies in its streams, in the round of this number, before it may be trimmed."""

    def account(self, wrong: Wrong, truth: Truth, touched: Iterable[str]) -> Account:
        """What is to blame for a node that is wrong. `touched`: keys that were sent since the last time."""
