"""The workshop's hard mode: a function fails in a share of its invocations, after its write."""

from collections.abc import Callable
from dataclasses import dataclass


class InducedFailure(Exception):  # noqa: N818 - it is a rule of the game
    """The invocation fails although its write was made, so that the batch is delivered again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Fails at a rate from 0 to 1; `random` gives numbers from 0 up to but not including 1."""

    rate: float
    random: Callable[[], float]

    def strike(self) -> None:
        """Raises InducedFailure, or not."""
        if self.random() < self.rate:
            raise InducedFailure(f"one of the {self.rate:.0%} of the invocations that fail in hard mode")
