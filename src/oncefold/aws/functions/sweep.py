"""The sweeper: applies the deltas whose stream records were lost, failed for good, or are older than 24 hours.

It may run beside any reducer: both apply a delta on the condition that it is still there.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.reduce import Reduced, ReduceFunction
from oncefold.aws.functions.state import Spread
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.dynamodb.calls import Dynamo, OutOfTime
from oncefold.dynamodb.items import Item

GRACE_SECONDS = 120
"""A younger delta is left to its stream record."""
_AT_ONCE = 500
"""Deltas that are planned together."""


@dataclass(slots=True)
class Swept:
    """What a sweep found and did."""

    reduced: Reduced
    found: int = 0
    """Deltas in the outbox, young ones included."""
    oldest_seconds: int = 0
    """Age of the oldest of them."""


def sweep(  # noqa: PLR0913, PLR0917 - what a stack is, and how to go through it
    pipeline: Pipeline,
    names: Names,
    dynamo: Dynamo,
    wall_clock: Callable[[], float],
    grace: float = GRACE_SECONDS,
    spread: Spread = map,
    segments: int = 1,
    wanted: Callable[[Item], bool] = lambda _: True,
    epochs: EpochCache | None = None,
) -> Swept:
    """Apply every delta that is older than `grace` seconds, and wanted, as far as the time suffices.

    The outbox is read in so many segments, each with what is applied of it by itself; `spread` runs several at a time.
    """
    now = wall_clock()

    def work(segment: int) -> Swept:
        swept = Swept(Reduced())
        reduce = ReduceFunction(pipeline, names, dynamo, epochs)
        items = filter(wanted, dynamo.scan(names.reduce_table, segment, segments))
        old = _old(items, now, grace, swept)
        try:
            while some := list(islice(old, _AT_ONCE)):
                _join(swept.reduced, reduce.apply_items(some))
        except OutOfTime:
            pass
        return swept

    whole = Swept(Reduced())
    for swept in spread(work, range(segments)):
        _join(whole.reduced, swept.reduced)
        whole.found += swept.found
        whole.oldest_seconds = max(whole.oldest_seconds, swept.oldest_seconds)
    return whole


def _old(items: Iterable[Item], now: float, grace: float, swept: Swept) -> Iterator[Item]:
    for item in items:
        age = now - int(item["created"]["N"])
        swept.found += 1
        swept.oldest_seconds = max(swept.oldest_seconds, int(age))
        if age >= grace:
            yield item


def _join(into: Reduced, more: Reduced) -> None:
    into.deltas += more.deltas
    into.nodes += more.nodes
    into.left |= more.left
    into.refused |= more.refused
