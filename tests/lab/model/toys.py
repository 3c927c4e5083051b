"""Small graphs to explore: a state is a letter, its steps are the letters that follow; lower-case steps are faults."""

from collections.abc import Mapping
from typing import Any

from oncefold_lab.model.state import ModelStep, Op


class Toy:
    """Stands for a protocol. `ways` says what follows a state; a way into a lower-case letter is a fault."""

    def __init__(self, ways: Mapping[str, str], ends: str) -> None:
        self._ways = ways
        self._ends = ends

    def first(self) -> Any:
        return next(iter(self._ways)).upper()

    def steps(self, state: Any) -> list[ModelStep]:
        """The steps from a state."""
        return [
            ModelStep(Op.CRASHED if way.islower() else Op.READ, None, None, 0, way.upper())  # type: ignore[arg-type]
            for way in self._ways.get(state, "")
        ]

    def quiet(self, state: Any) -> bool:
        """Whether it is an end."""
        return state in self._ends
