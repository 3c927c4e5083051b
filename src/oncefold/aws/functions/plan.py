"""The planner: which writes go together in one transaction, within DynamoDB's limits for any tree. Pure.

Sizes are bounded from above, so that a plan never is refused for its size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from oncefold.aws.functions.epochs import Epochs, counts_in
from oncefold.aws.functions.layout import Delta, content_hash
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Stored, Total, net, nodes_of
from oncefold.core.limits import EVENT_LEAVES, NAME_CHARS
from oncefold.core.view import View
from oncefold.dynamodb.items import ITEM_BYTES, TRANSACTION_BYTES, TRANSACTION_ITEMS, Item, digest
from oncefold.dynamodb.packing import Weight, pack

DELTA_NODES = TRANSACTION_ITEMS - 1
"""Nodes of one delta: applying it updates each and deletes the delta, in one transaction."""

HOT_NODES = 25
"""Nodes at the top of the tree that get a delta of their own, away from those below.

The top is in every chunk's delta. Where deltas also hold many nodes that no other has, hardly two fit into one
transaction, and every chunk would be a transaction of its own on the root.
"""

_NUMBER_BYTES = 45
"""A number as JSON text: 38 digits, sign, point, quotes and comma."""
_JSON_BYTES = 6
"""A character as JSON text, at most: an escaped control character."""
_ITEM_OVERHEAD_BYTES = 300
"""Names and fixed attributes of a state or delta item, and the condition's values."""

_DELTA_BYTES = ITEM_BYTES - _ITEM_OVERHEAD_BYTES

_EPOCHS = 2
"""Epochs whose totals one transaction may have to change: those that are read, and those that a rebuild makes."""
_CONTENTS = 2 * _EPOCHS
"""Contents whose nodes it may have to take: a key's old one and its new one, in each epoch."""
CONTENT_BYTES = TRANSACTION_BYTES // (_CONTENTS + 1)
"""Bytes of the nodes of one; what is left of the transaction is for the state."""
_DELTAS_CUT_FOR_SIZE = 2 * _CONTENTS * CONTENT_BYTES // ITEM_BYTES
"""Two deltas that follow each other have more than one item's bytes, so that no more deltas than this are cut before
they have all the nodes they may."""
_DELTAS = TRANSACTION_ITEMS - 1 - 3 * _EPOCHS - _DELTAS_CUT_FOR_SIZE

EVENT_NODES = _DELTAS * DELTA_NODES // _CONTENTS
"""Nodes that one event is counted in. When it moves, as many others lose it in the same transaction."""

assert HOT_NODES < DELTA_NODES
assert _CONTENTS * CONTENT_BYTES + ITEM_BYTES + TRANSACTION_ITEMS * _ITEM_OVERHEAD_BYTES <= TRANSACTION_BYTES


@dataclass(frozen=True, slots=True)
class Change:
    """A key's state as it was read and as it is to be."""

    key: str
    before: Stored | None
    after: Stored
    mark: int = 0
    """The mark that was read with it; see `epochs`."""

    def within(self, epoch: int) -> tuple[Stored | None, Stored] | None:
        """What it changes in an epoch: there a key that was not brought in yet had no state. None for nothing."""
        before = self.before if counts_in(epoch, self.mark) else None
        return None if before == self.after else (before, self.after)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction of StateLambda writes: states, and the deltas that follow from them."""

    changes: tuple[Change, ...]
    deltas: tuple[Delta, ...]


def refusal(pipeline: Pipeline, key: str, after: Stored) -> str | None:
    """Why an event cannot be held in DynamoDB under a definition, as a message; None for one that can.

    A change retracts one content and adds another, perhaps in two epochs. Each has its share of a transaction, so that
    the answer depends on the event alone.
    """
    labels = after.content.labels
    if labels is None:
        return None
    size = _state_bytes(key, after)
    if size > ITEM_BYTES:
        return f"its state would be an item of {size:,} bytes; DynamoDB holds {ITEM_BYTES:,}"
    nodes = nodes_of(pipeline, labels)
    rows = sum(row_bytes(pipeline, node) for node in nodes)
    if rows > CONTENT_BYTES:
        return f"its {len(nodes):,} nodes take {rows:,} bytes of a transaction; DynamoDB has {TRANSACTION_BYTES:,}"
    if len(nodes) > EVENT_NODES:
        return f"its {len(nodes):,} nodes do not fit one transaction, which takes up to {EVENT_NODES:,}"
    return None


def may_be_refused(pipeline: Pipeline, record_bytes: int) -> bool:
    """Whether an event of so many bytes has to be looked at by `refusal`; hardly ever, and quick to say."""
    nodes = most_nodes(pipeline)
    row = _JSON_BYTES * record_bytes + _fixed_row_bytes(pipeline)
    return nodes > EVENT_NODES or nodes * row > CONTENT_BYTES or len(pipeline.levels) * record_bytes > ITEM_BYTES // 2


def most_nodes(pipeline: Pipeline) -> int:
    """Nodes that one event may be counted in."""
    once = sum(len(indexes) + 1 for indexes in pipeline.rollup_levels)
    return once * EVENT_LEAVES if pipeline.arrays else once


def chunks(pipeline: Pipeline, changes: Iterable[Change], epochs: Epochs | None = None) -> Iterator[Chunk]:
    """The changes in their order, cut so that each chunk is one transaction with the deltas of every epoch."""
    epochs = epochs or Epochs()
    views = {epoch: epochs.view(epoch, pipeline) for epoch in epochs.kept}
    taken: list[Change] = []
    loads = {epoch: _Load(epoch, view.pipeline) for epoch, view in views.items()}
    state_bytes = 0
    for change in changes:
        size = _state_bytes(change.key, change.after)
        grown = [load.with_change(change) for load in loads.values()]
        if taken and not _fits(len(taken) + 1, grown, state_bytes + size):
            yield _chunk(views, taken, epochs)
            taken, state_bytes = [], 0
            loads = {epoch: _Load(epoch, view.pipeline) for epoch, view in views.items()}
            grown = [load.with_change(change) for load in loads.values()]
        taken.append(change)
        for more in grown:
            loads[more.epoch].take(more)
        state_bytes += size
    if taken:
        yield _chunk(views, taken, epochs)


@dataclass(slots=True)
class _Load:
    """The nodes of one epoch that a chunk touches, and at most so many bytes of its deltas."""

    epoch: int
    pipeline: Pipeline
    nodes: set[Node] = field(default_factory=set)
    size: int = 0

    def with_change(self, change: Change) -> "_Grown":
        """What it would be with one more change."""
        new: set[Node] = set()
        for stored in change.within(self.epoch) or ():
            if stored is not None and stored.content.labels is not None:
                new.update(node for node in nodes_of(self.pipeline, stored.content.labels) if node not in self.nodes)
        size = self.size + sum(row_bytes(self.pipeline, node) for node in new)
        return _Grown(self.epoch, new, len(self.nodes) + len(new), size)

    def take(self, grown: "_Grown") -> None:
        """Have that change, too."""
        self.nodes |= grown.new
        self.size = grown.size


@dataclass(frozen=True, slots=True)
class _Grown:
    """A load with one more change: its new nodes, and what there are in all."""

    epoch: int
    new: set[Node]
    nodes: int
    size: int


def _fits(states: int, loads: Sequence[_Grown], state_bytes: int) -> bool:
    deltas = sum(_most_deltas(load.nodes, load.size) for load in loads)
    size = state_bytes + sum(load.size for load in loads) + deltas * _ITEM_OVERHEAD_BYTES
    return states + deltas <= TRANSACTION_ITEMS and size <= TRANSACTION_BYTES


def _most_deltas(nodes: int, size: int) -> int:
    """At most so many deltas are made of nodes whose rows have this size; `parts` never makes more."""
    if nodes <= HOT_NODES and size <= _DELTA_BYTES:
        return 1
    # Two parts that follow each other and were cut for their size have more than one item's bytes together.
    return 3 + nodes // DELTA_NODES + 2 * size // _DELTA_BYTES


def _state_bytes(key: str, stored: Stored) -> int:
    labels = stored.content.labels or ()
    return (
        _ITEM_OVERHEAD_BYTES
        + len(key.encode())
        + sum(len(label.encode()) + 1 for label in labels)
        + _NUMBER_BYTES * len(stored.content.measures)
    )


def row_bytes(pipeline: Pipeline, node: Node) -> int:
    """At most so many bytes of a delta's JSON, and of the update of the node."""
    return _JSON_BYTES * sum(map(len, node.labels)) + 4 * len(node.labels) + _fixed_row_bytes(pipeline)


def _fixed_row_bytes(pipeline: Pipeline) -> int:
    return NAME_CHARS + _NUMBER_BYTES * (len(pipeline.amounts) + 1) + 20


def _chunk(views: Mapping[int, View], changes: Sequence[Change], epochs: Epochs) -> Chunk:
    deltas = (delta for epoch, view in views.items() for delta in _deltas(view, changes, epoch, epochs.latest))
    return Chunk(tuple(changes), tuple(deltas))


def _deltas(view: View, changes: Sequence[Change], epoch: int, latest: int) -> Iterator[Delta]:
    """What changes do to the totals of an epoch, named by the transitions in it.

    A key's states only grow, and a key is brought into an epoch once, so no transition comes twice in an epoch. Tables
    that were restored may see one again; a rebuild that is under way then is part of the name, too.
    """
    within = [(change.key, found) for change in changes if (found := change.within(epoch)) is not None]
    totals = net(view.pipeline, ((view.seen(before), view.seen(after)) for _, (before, after) in within))
    transitions = sorted(_transition(key, *found) for key, found in within)
    name = digest([epoch, latest, transitions] if latest else transitions)
    for number, part in enumerate(parts(view.pipeline, totals)):
        yield Delta(f"{name}-{number}", part, epoch)


def delta_put(table: str, item: Item) -> Item:
    """Put a delta into the outbox; its id comes once for ever, and the condition makes sure of it."""
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#id)",
            "ExpressionAttributeNames": {"#id": "id"},
        }
    }


def _transition(key: str, before: Stored | None, after: Stored) -> list[object]:
    return [
        key,
        None if before is None else [before.version, content_hash(before.content)],
        [after.version, content_hash(after.content)],
    ]


def parts(pipeline: Pipeline, totals: Mapping[Node, Total]) -> Iterator[tuple[tuple[Node, Total], ...]]:
    """The nodes of several deltas for these changes, shallow ones first; those at the top of trees by themselves."""
    ordered = sorted(totals.items(), key=lambda item: (len(item[0].labels), item[0]))
    hot = _top(ordered)
    for nodes in (ordered[:hot], ordered[hot:]):
        part: list[tuple[Node, Total]] = []
        size = 0
        for node, total in nodes:
            row = row_bytes(pipeline, node)
            if part and (len(part) == DELTA_NODES or size + row > _DELTA_BYTES):
                yield tuple(part)
                part, size = [], 0
            part.append((node, total))
            size += row
        if part:
            yield tuple(part)


def _top(ordered: Sequence[tuple[Node, Total]]) -> int:
    """How many nodes make up the whole levels from the root down that have no more than HOT_NODES together."""
    if len(ordered) <= HOT_NODES:
        return len(ordered)
    depth = len(ordered[HOT_NODES][0].labels)
    return next(index for index, (node, _) in enumerate(ordered) if len(node.labels) == depth)


@dataclass(frozen=True, slots=True)
class Group:
    """What one transaction of ReduceLambda applies: whole deltas of one epoch, and the sum of their nodes."""

    deltas: tuple[Delta, ...]
    nodes: dict[Node, Total]
    epoch: int = 0


def groups(pipeline: Pipeline, deltas: Iterable[Delta], epochs: Epochs | None = None) -> Iterator[Group]:
    """Deltas in as few transactions as their order gives, those for the tops of trees first.

    `pipeline` is the definition that keys are kept under.
    """
    known = epochs or Epochs()
    ordered = sorted(deltas, key=lambda delta: (delta.epoch, not delta.id.endswith("-0")))
    for epoch, some in groupby(ordered, lambda delta: delta.epoch):
        yield from map(group, pack(some, partial(_weight, known.view(epoch, pipeline).pipeline)))


def _weight(pipeline: Pipeline, delta: Delta) -> Weight:
    """A delta's delete is an item of its own, and so are its nodes where no other delta of the transaction has them."""
    nodes = {node for node, _ in delta.nodes}
    size = _ITEM_OVERHEAD_BYTES + 2 * sum(row_bytes(pipeline, node) for node in nodes)
    return Weight(1, size, dict.fromkeys(nodes, 0))


def group(deltas: Sequence[Delta]) -> Group:
    """These deltas of one epoch together; nodes that they change by nothing in all are left out."""
    totals: dict[Node, Total] = {}
    for delta in deltas:
        for node, total in delta.nodes:
            totals[node] = totals[node] + total if node in totals else total
    epoch = deltas[0].epoch if deltas else 0
    return Group(tuple(deltas), {node: total for node, total in totals.items() if total}, epoch)
