"""Things in as few transactions as their order gives, each within the limits of one. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from oncefold.dynamodb.items import TRANSACTION_BYTES, TRANSACTION_ITEMS

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Weight:
    """What a thing takes of a transaction."""

    items: int
    """Items of its own."""
    size: int
    """Bytes of its own, at most."""
    shared: Mapping[Any, int]
    """Items that others in the transaction may write too, then as one, with their bytes, at most."""


def pack(things: Iterable[Thing], weigh: Callable[[Thing], Weight]) -> Iterator[list[Thing]]:
    """The things in their order, cut where a transaction has no more room; one that has room nowhere is alone."""
    taken: list[Thing] = []
    shared: dict[Any, int] = {}
    items = size = 0
    for thing in things:
        weight = weigh(thing)
        grown = {place: most for place, most in weight.shared.items() if place not in shared}
        own = weight.size + sum(grown.values())
        if taken and (
            items + weight.items + len(shared) + len(grown) > TRANSACTION_ITEMS or size + own > TRANSACTION_BYTES
        ):
            yield taken
            taken, shared, items, size = [], {}, 0, 0
            grown, own = dict(weight.shared), weight.size + sum(weight.shared.values())
        taken.append(thing)
        shared |= grown
        items += weight.items
        size += own
    if taken:
        yield taken
