"""ReduceLambda: deltas become totals, and leave the outbox, in one transaction.

A group of deltas is added to the totals by the very transaction that deletes those deltas, each on the condition that
it still is there. So a delta counts once, for ever, in whatever batches and by however many reducers at once.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import EpochCache, Epochs
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.plan import Group, group, groups
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.dynamodb import items
from oncefold.dynamodb.calls import READ_KEYS, Dynamo, OutOfTime, RequestRefused, slices
from oncefold.dynamodb.items import NUMBER_DIGITS, TRANSACTION_ITEMS, Item


@dataclass(slots=True)
class Reduced:
    """What became of some deltas."""

    deltas: int = 0
    """Applied by these calls, also those that the token of a repeated call shows to be applied."""
    nodes: int = 0
    left: set[str] = field(default_factory=set)
    """Ids of deltas that are not known to be applied."""
    refused: dict[str, str] = field(default_factory=dict)
    """Ids of deltas that DynamoDB refuses to add, with its message; they stay in the outbox."""


class ReduceFunction:
    """Adds deltas to one stack's totals."""

    def __init__(self, pipeline: Pipeline, names: Names, dynamo: Dynamo, epochs: EpochCache | None = None) -> None:
        """`pipeline` is the definition that keys are kept under.

        Without `epochs` the stack is taken for one whose definition is never replaced.
        """
        self._pipeline = pipeline
        self._names = names
        self._dynamo = dynamo
        self._cache = epochs
        self._epochs = Epochs()
        self._definitions: dict[int, Pipeline] = {}
        """Of the epochs, those that are known."""

    def apply_items(self, items: Iterable[Mapping[str, Any]]) -> Reduced:
        """Apply deltas as the outbox has them, each under the definition of its epoch.

        One of an epoch that is neither live nor being made is of no use to any totals, now or later, and is deleted.
        """
        found = list(items)
        try:
            unused = self._learn(found)
            for some in slices(unused, TRANSACTION_ITEMS):
                self._dynamo.transact([self._drop(item) for item in some])
        except OutOfTime:
            return Reduced(left={item["id"]["S"] for item in found})
        gone = {item["id"]["S"] for item in unused}
        return self.apply(self._parse(item) for item in found if item["id"]["S"] not in gone)

    def _learn(self, items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Know the epochs of these deltas; those deltas whose epoch there is no more."""
        if self._cache is None:
            return []
        self._epochs = self._cache.current(self._dynamo)
        if any(layout.epoch_of(item) not in self._epochs.kept for item in items):
            self._epochs = self._cache.read(self._dynamo)
        kept = self._epochs.kept
        self._definitions = {epoch: self._epochs.view(epoch, self._pipeline).pipeline for epoch in kept}
        return [item for item in items if layout.epoch_of(item) not in kept]

    def _drop(self, item: Mapping[str, Any]) -> Item:
        """Take a delta out, whether it is there or not."""
        return {"Delete": {"TableName": self._names.reduce_table, "Key": layout.delta_key(item["id"]["S"])}}

    def _definition(self, epoch: int) -> Pipeline:
        return self._definitions.get(epoch, self._pipeline)

    def _parse(self, item: Mapping[str, Any]) -> Delta:
        return layout.parse_delta(self._definition(layout.epoch_of(item)), item)

    def apply(self, deltas: Iterable[Delta]) -> Reduced:
        """Add each of the deltas that is still in the outbox to the totals, and take it out."""
        reduced = Reduced()
        waiting = deque(groups(self._pipeline, {delta.id: delta for delta in deltas}.values(), self._epochs))
        while waiting:
            tried = waiting.popleft()
            try:
                waiting.extendleft(self._rest(tried, reduced))
            except OutOfTime:
                reduced.left.update(delta.id for some in (tried, *waiting) for delta in some.deltas)
                break
        return reduced

    def _rest(self, tried: Group, reduced: Reduced) -> Iterator[Group]:
        """Apply a group as a whole, or else what is to be tried in its place."""
        try:
            adds = (self._add(change, tried.epoch) for change in tried.nodes.items())
            written = self._dynamo.transact([*map(self._delete, tried.deltas), *adds])
        except RequestRefused as error:
            yield from self._halves(tried, str(error), reduced)
            return
        if written.done:
            reduced.deltas += len(tried.deltas)
            reduced.nodes += len(tried.nodes)
            return
        if written.failed:
            there = [delta for index, delta in enumerate(tried.deltas) if index not in written.failed]
        else:
            there = self._still_there(tried.deltas)
        if there:
            yield group(there)

    def _halves(self, tried: Group, message: str, reduced: Reduced) -> Iterator[Group]:
        """Find the delta that DynamoDB refuses, so that the others are not held up."""
        if len(tried.deltas) == 1:
            (delta,) = tried.deltas
            reduced.refused[delta.id] = (
                f"{message} A total of more than {NUMBER_DIGITS} digits needs a measure of a smaller scale."
            )
            return
        middle = len(tried.deltas) // 2
        yield group(tried.deltas[:middle])
        yield group(tried.deltas[middle:])

    def _still_there(self, deltas: Sequence[Delta]) -> list[Delta]:
        keys = [layout.delta_key(delta.id) for delta in deltas]
        found = (item for some in slices(keys, READ_KEYS) for item in self._dynamo.read(self._names.reduce_table, some))
        ids = {item["id"]["S"] for item in found}
        return [delta for delta in deltas if delta.id in ids]

    def _delete(self, delta: Delta) -> Item:
        """Take a delta out, on the condition that nobody did."""
        return {
            "Delete": {
                "TableName": self._names.reduce_table,
                "Key": layout.delta_key(delta.id),
                "ConditionExpression": "attribute_exists(#id)",
                "ExpressionAttributeNames": {"#id": "id"},
            }
        }

    def _add(self, change: tuple[Node, Total], epoch: int) -> Item:
        """Add to a node's totals in an epoch; a node that is not there begins at nothing."""
        node, total = change
        pipeline = self._definition(epoch)
        names, values, clauses = {"#count": "count"}, {":count": {"N": str(total.count)}}, ["#count :count"]
        for index, (amount, value) in enumerate(zip(pipeline.amounts, total.sums, strict=True)):
            names[f"#{index}"] = amount.name
            values[f":{index}"] = items.number(value, amount.scale)
            clauses.append(f"#{index} :{index}")
        return {
            "Update": {
                "TableName": self._names.aggregate_table,
                "Key": layout.node_key(pipeline, node, epoch),
                "UpdateExpression": "ADD " + ", ".join(clauses),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }
