"""`drain`: apply the deltas of the outbox now, by the same code as ReduceLambda.

It may run beside the functions: a delta is applied on the condition that it is still there.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

from oncefold.aws.connect import aws_errors_explained
from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.tables import Stack, count_items, scan
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter
from oncefold.dynamodb.items import Item
from oncefold.queries.protocol import Progress, no_progress

BATCH_DELTAS = 500
"""Deltas that are planned together."""
BATCH_SECONDS = 60.0
"""How long these are tried when DynamoDB is busy or does not answer."""
PAUSE_SECONDS = 0.5
"""Between two passes over an outbox that fills up again."""


@dataclass(slots=True)
class Drained:
    """What a drain did."""

    applied: int = 0
    """Deltas applied by it; others may have applied some meanwhile."""
    left: int = 0
    """Deltas of the last pass that are not known to be applied."""
    refused: dict[str, str] = field(default_factory=dict)
    """Ids of deltas that DynamoDB refuses to add, with its message; they stay in the outbox."""

    @property
    def empty(self) -> bool:
        """Whether nothing was left of what was found."""
        return not self.left and not self.refused


@dataclass(frozen=True)
class Drain:
    """Applies the deltas of one stack. Times are in seconds of a monotonic clock."""

    stack: Stack
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """With the clock and random numbers of this machine."""
        return cls(stack, time.monotonic, time.sleep, random.random)

    def once(self, progress: Progress) -> Drained:
        """Apply every delta that is in the outbox when it is read."""
        drained = Drained()
        self._pass(drained, progress, float("inf"))
        return drained

    def until_empty(self, progress: Progress, seconds: float) -> Drained:
        """Apply deltas until none is there, for so long at most; those that are refused are not waited for."""
        deadline = self.clock() + seconds
        drained = Drained()
        while self._pass(drained, progress, deadline) > len(drained.refused):
            if self.clock() + PAUSE_SECONDS >= deadline:
                drained.left = max(0, self._waiting() - len(drained.refused))
                break
            self.sleep(PAUSE_SECONDS)
        return drained

    def _pass(self, drained: Drained, progress: Progress, deadline: float) -> int:
        """Go through the outbox once; how many deltas were found."""
        found = drained.left = 0
        with aws_errors_explained(self.stack.names.stack):
            for some in _batches(scan(self.stack, self.stack.names.reduce_table, no_progress, "pending deltas")):
                reduced = self._reduce(deadline).apply_items(some)
                found += len(some)
                drained.applied += reduced.deltas
                drained.left += len(reduced.left)
                drained.refused |= reduced.refused
                progress("pending deltas applied", drained.applied)
        return found

    def _reduce(self, deadline: float) -> ReduceFunction:
        """The function, with a while to go on when DynamoDB does not answer."""
        backoff = Backoff(self.clock, self.sleep, self.random, min(deadline, self.clock() + BATCH_SECONDS))
        stack = self.stack
        dynamo = Dynamo(stack.dynamodb, backoff, Meter())
        return ReduceFunction(stack.kept, stack.names, dynamo, EpochCache(stack.names))

    def _waiting(self) -> int:
        with aws_errors_explained(self.stack.names.stack):
            return count_items(self.stack, self.stack.names.reduce_table, no_progress, "pending deltas")


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while some := list(islice(items, BATCH_DELTAS)):
        yield some
