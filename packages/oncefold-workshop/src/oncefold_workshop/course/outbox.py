"""What is left in ReduceTable where it is an outbox: sums that nobody has added yet."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from oncefold_lab.simulator.values import Item
from oncefold_workshop.game.accounts import Blamed, Cause, What
from oncefold_workshop.game.truth import Wrong
from oncefold_workshop.pipelines.tree import SEPARATOR

WHY = "their sums are still in ReduceTable"


def left_over(items: Iterable[Item], wrong: Wrong, number: int) -> Iterator[Cause]:
    """The items that would change a node, as a cause of this round. Raises KeyError and its like for other items."""
    name = SEPARATOR.join(wrong.node.labels)
    sums = {item["id"]["S"]: item["Sums"]["M"].get(name) for item in items}
    blamed = [Blamed(key, -Decimal(value["N"])) for key, value in sums.items() if value is not None]
    if blamed:
        yield Cause.of(What.LOST, WHY, number, blamed)
