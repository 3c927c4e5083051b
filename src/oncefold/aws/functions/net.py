"""NetLambda, in economy mode: changes of states become deltas, each once.

StateTable's stream has every change of a key's state with its old and new image, in a shard in their order and at least
once. A batch is netted as a whole, and one transaction writes its deltas and moves the shard's position behind it, on
the condition that the position is where it was. What is at or before the position is in the outbox or the totals
already, so that each change counts once, for ever, however batches are cut and whoever else works on the same shard.

The position never passes a change that was not netted as long as batches of a shard come in their order the first
time: one at a time, and without a limit of retries or age (`resources`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import EpochCache, Epochs
from oncefold.aws.functions.layout import Delta, StateChange
from oncefold.aws.functions.plan import delta_put, parts, row_bytes
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total, net
from oncefold.core.view import View
from oncefold.dynamodb.calls import Dynamo, OutOfTime
from oncefold.dynamodb.items import TRANSACTION_BYTES, TRANSACTION_ITEMS, Item, digest

_DELTA_OVERHEAD_BYTES = 1_000
"""Of a delta's request beside its nodes, at most."""
_MOST_DELTAS = TRANSACTION_ITEMS - 1
"""Of one transaction: the position is an item, too."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction does: some changes of a shard, from its front, as deltas."""

    changes: int
    last: int
    """The sequence number that the position moves to."""
    deltas: tuple[Delta, ...]


def plan(pipeline: Pipeline, shard: str, position: int | None, changes: Sequence[StateChange], epochs: Epochs) -> Step:
    """As many of the changes, from the first one on, as one transaction takes.

    The deltas' names follow from where they begin and end, which the position does once; tables that were restored may
    see it again, with another epoch.
    """
    count = len(changes)
    views = {epoch: epochs.view(epoch, pipeline) for epoch in epochs.kept}
    while True:
        last = changes[count - 1].sequence
        name = digest([shard, str(position), str(last), epochs.latest])
        deltas = [
            Delta(f"{name}-{epoch}-{number}", nodes, epoch)
            for epoch, view in views.items()
            for number, nodes in enumerate(_parts(view, epoch, changes[:count]))
        ]
        if count == 1 or _fits(views, deltas):
            return Step(count, last, tuple(deltas))
        count = -(-count // 2)


def _parts(view: View, epoch: int, changes: Sequence[StateChange]) -> Iterator[tuple[tuple[Node, Total], ...]]:
    seen = (tuple(map(view.seen, change.within(epoch))) for change in changes)
    return parts(view.pipeline, net(view.pipeline, ((before, after) for before, after in seen)))


def _fits(views: Mapping[int, View], deltas: Sequence[Delta]) -> bool:
    if len(deltas) > _MOST_DELTAS:
        return False
    rows = sum(row_bytes(views[delta.epoch].pipeline, node) for delta in deltas for node, _ in delta.nodes)
    return rows + (len(deltas) + 1) * _DELTA_OVERHEAD_BYTES <= TRANSACTION_BYTES


@dataclass(slots=True)
class Netted:
    """What became of a batch of changes."""

    changes: int = 0
    """Netted by this invocation."""
    known: int = 0
    """That were netted before."""
    deltas: int = 0
    nodes: int = 0
    overtaken: int = 0
    """Transactions that found the position moved."""
    unfinished: str | None = None
    """The sequence number of the first record that is not netted."""
    left: int = 0
    """Records that are not netted."""
    unreadable: list[str] = field(default_factory=list)
    """Sequence numbers of records that Oncefold did not write; they change nothing."""


class NetFunction:
    """Nets batches of StateTable's stream for one stack."""

    def __init__(
        self,
        pipeline: Pipeline,
        names: Names,
        dynamo: Dynamo,
        wall_clock: Callable[[], float],
        epochs: EpochCache | None = None,
    ) -> None:
        """`pipeline` is the definition that keys are kept under; `wall_clock` gives seconds since 1970.

        Without `epochs` the stack is taken for one that never is rebuilt.
        """
        self._pipeline = pipeline
        self._names = names
        self._dynamo = dynamo
        self._wall_clock = wall_clock
        self._cache = epochs
        self._epochs = Epochs()

    def handle(self, shard: str, records: Iterable[Mapping[str, Any]]) -> Netted:
        """Net the records of a shard's batch, as they are under `dynamodb`, in their order."""
        netted = Netted()
        waiting = sorted((self._change(record, netted) for record in records), key=lambda change: change.sequence)
        try:
            self._learn(waiting)
            attempt = 0
            while waiting:
                position = self._position(shard)
                new = waiting if position is None else [one for one in waiting if one.sequence > position]
                netted.known += len(waiting) - len(new)
                waiting = new
                while waiting:
                    step = plan(self._pipeline, shard, position, waiting, self._epochs)
                    if not self._dynamo.transact(self._writes(shard, position, step)).done:
                        netted.overtaken += 1
                        self._dynamo.again(attempt)
                        attempt += 1
                        break
                    netted.changes += step.changes
                    netted.deltas += len(step.deltas)
                    netted.nodes += sum(len(delta.nodes) for delta in step.deltas)
                    waiting, position = waiting[step.changes :], step.last
        except OutOfTime:
            netted.unfinished, netted.left = str(waiting[0].sequence), len(waiting)
        return netted

    def _change(self, record: Mapping[str, Any], netted: Netted) -> StateChange:
        try:
            return layout.parse_change(self._pipeline, record)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError):
            netted.unreadable.append(record["SequenceNumber"])
            return StateChange(int(record["SequenceNumber"]), None, None)

    def _learn(self, changes: Sequence[StateChange]) -> None:
        """Know the epochs: as they are now, if a mark says that there is a later one than was known."""
        if self._cache is not None and changes:
            self._epochs = self._cache.current(self._dynamo)
            if any(one.after is not None and one.after.mark > self._epochs.latest for one in changes):
                self._epochs = self._cache.read(self._dynamo)

    def _position(self, shard: str) -> int | None:
        item = self._dynamo.get(self._names.aggregate_table, layout.position_key(shard))
        return None if item is None else int(item["sequence"]["S"])

    def _writes(self, shard: str, position: int | None, step: Step) -> list[Item]:
        created = int(self._wall_clock())
        views = {epoch: self._epochs.view(epoch, self._pipeline) for epoch in self._epochs.kept}
        deltas = [
            layout.delta_item(views[one.epoch].pipeline, one, keys=step.changes, created=created) for one in step.deltas
        ]
        return [
            self._move(shard, position, step.last, created),
            *(delta_put(self._names.reduce_table, delta) for delta in deltas),
        ]

    def _move(self, shard: str, position: int | None, last: int, moved: int) -> Item:
        """Move the position, on the condition that it is where it was. As text: numbers have too few digits."""
        item = {**layout.position_key(shard), "sequence": {"S": str(last)}, "moved": {"N": str(moved)}}
        put: Item = {"TableName": self._names.aggregate_table, "Item": item}
        if position is None:
            put["ConditionExpression"] = "attribute_not_exists(#path)"
            put["ExpressionAttributeNames"] = {"#path": "path"}
        else:
            put["ConditionExpression"] = "#sequence = :position"
            put["ExpressionAttributeNames"] = {"#sequence": "sequence"}
            put["ExpressionAttributeValues"] = {":position": {"S": str(position)}}
        return {"Put": put}
