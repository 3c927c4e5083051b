"""What can be deployed into a world: a pipeline of functions that keeps totals."""

from collections.abc import Mapping
from typing import Protocol

from oncefold.core.fold import Node, Total
from oncefold_lab.world.world import World


class Violation(BaseException):
    """Something that never may be so, is. No `except Exception` of a function under test hides it."""


class System(Protocol):
    """A pipeline under test. It is made for one world and deployed once."""

    def deploy(self, world: World) -> None:
        """Make its tables, streams, functions, mappings and schedules."""

    def check(self) -> None:
        """Called after every write to a service, wherever it came from. Raises Violation."""

    def totals(self) -> Mapping[Node, Total]:
        """The totals as they are now; nodes that are zero may be left out. It makes no call."""

    def settled(self) -> bool:
        """Whether nothing is left to be done with what its mappings delivered."""

    def check_end(self) -> None:
        """Called when all is settled, beside the comparison of the totals. Raises Violation."""
