"""`query`: the totals of a node and of what lies below it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta

from oncefold.aws.functions.layout import Delta, plain_text
from oncefold.aws.reader.answers import Outbox, Reading, StackTree
from oncefold.aws.reader.looks import nothing, summed
from oncefold.aws.reader.naming import no_such_node
from oncefold.aws.reader.tables import Stack, no_progress, read_deltas, scan_pages
from oncefold.aws.reader.tree import Branch, query_children
from oncefold.core.errors import OncefoldError, QuestionError
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import join
from oncefold.queries import values
from oncefold.queries.answers import NodeTotal

TOLD_DELTAS = 1_000
"""An outbox is counted up to about here; counting reads, and is paid for."""
EXACT_LOOKS = 5
"""How often the outbox and the totals are read until none of the deltas is applied between."""


def query(stack: Stack, branch: Branch, read: Reading, clock: Callable[[], int]) -> StackTree:
    """What AggregateTable says, and how much is not in it yet. Raises QuestionError for a node that is not there."""
    totals = branch.read()
    return _tree(branch, totals, read, outbox(stack, clock), exact=False)


def query_exact(stack: Stack, branch: Branch, read: Reading, clock: Callable[[], int]) -> StackTree:
    """The same with what the outbox will add: everything that was folded before the reading began.

    A delta that is applied while the totals are read might be in them or not, so then both are read again.
    """
    waiting = _waiting(stack)
    for _ in range(EXACT_LOOKS):
        totals = branch.read(also=summed(delta for delta, _ in waiting.values()))
        still_waiting = _waiting(stack)
        if waiting.keys() <= still_waiting.keys():
            added = _added(branch, totals, (delta for delta, _ in waiting.values()))
            found = _outbox([created for _, created in waiting.values()], clock)
            return _tree(branch, added, read, found, exact=True)
        waiting = still_waiting
    raise OncefoldError(
        f"stack {stack.names.stack}: in {EXACT_LOOKS} readings deltas were applied while the totals were read; "
        "ask again in a quieter moment, or without --exact"
    )


def _waiting(stack: Stack) -> dict[str, tuple[Delta, int]]:
    return {waiting.delta.id: (waiting.delta, waiting.created) for waiting in read_deltas(stack, no_progress)}


def _added(branch: Branch, totals: Mapping[Node, Total], deltas: Iterable[Delta]) -> dict[Node, Total]:
    none = nothing(branch.stack.pipeline)
    added = dict(totals)
    for node, total in summed(deltas).items():
        if branch.covers(node):
            added[node] = added.get(node, none) + total
    return added


def outbox(stack: Stack, clock: Callable[[], int]) -> Outbox:
    """How many deltas wait, counted up to about TOLD_DELTAS, and the age of the oldest met."""
    created: list[int] = []
    pages = scan_pages(
        stack.dynamodb,
        stack.names.reduce_table,
        ProjectionExpression="#created",
        ExpressionAttributeNames={"#created": "created"},
    )
    for page in pages:
        created += [int(item["created"]["N"]) for item in page["Items"]]
        if len(created) > TOLD_DELTAS:
            return _outbox(created, clock, complete=False)
    return _outbox(created, clock)


def _outbox(created: Iterable[int], clock: Callable[[], int], *, complete: bool = True) -> Outbox:
    times = sorted(created)
    oldest = timedelta(seconds=max(0, clock() // 10**9 - times[0])) if times else None
    return Outbox(len(times), oldest, complete)


def _tree(branch: Branch, totals: Mapping[Node, Total], read: Reading, found: Outbox, *, exact: bool) -> StackTree:
    node = branch.node
    if node.labels and node not in totals:
        raise missing_node(branch.stack, node, totals)
    pipeline = branch.stack.pipeline
    reading = values.Reading(pipeline)
    shown = {node: totals.get(node, nothing(pipeline))}
    shown |= {other: total for other, total in totals.items() if total.count}
    return StackTree(
        rows=tuple(node_total(reading, *item) for item in sorted(shown.items(), key=lambda item: item[0])),
        rollup=pipeline.rollups[node.rollup].name,
        scales=reading.scales,
        read=read,
        outbox=found,
        exact=exact,
    )


def node_total(reading: values.Reading, node: Node, total: Total) -> NodeTotal:
    """A node's totals as a person reads them."""
    labels = node.labels
    return NodeTotal(
        path=join(labels),
        labels=labels,
        depth=len(labels),
        label=labels[-1] if labels else "",
        count=total.count,
        sums=reading.amounts(total.sums),
    )


def missing_node(stack: Stack, node: Node, also: Collection[Node] = ()) -> QuestionError:
    """The error for a node that is neither in the table nor among `also`: which step of its path is not there."""
    for depth, label in enumerate(node.labels):
        above = Node(node.rollup, node.labels[:depth])
        children = {plain_text(item["label"]["S"]) for item in query_children(stack, above)}
        children |= {other.labels[-1] for other in also if other.labels[:-1] == above.labels and other.labels}
        if label not in children:
            return no_such_node(above.labels, label, sorted(children))
    return QuestionError(f"there is no node {join(node.labels)} any more; ask again")
