"""`query`: the totals of a node and of what lies below it.

One Query reads a node's children, a Scan the whole table: what costs less is done. Totals lag behind the keys by the
deltas in the outbox, which an exact query adds.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.guard import STANDARD
from oncefold.aws.functions.layout import Delta, key_text, plain_text
from oncefold.aws.tables import (
    Stack,
    no_total,
    parse_total,
    read_live_deltas,
    read_totals,
    scan_pages,
    workers_of,
)
from oncefold.core.errors import OncefoldError, QueryError
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import join, no_such_node
from oncefold.dynamodb.items import Item
from oncefold.queries.converters import Converter
from oncefold.queries.model import AsOfTime, Pending, Totals
from oncefold.queries.protocol import no_progress

COUNTED_DELTAS = 1_000
"""An outbox is counted up to about here; counting reads, and is paid for."""
EXACT_TRIES = 5
"""How often the outbox and the totals are read until none of the deltas is applied between."""
FEW_QUERIES = 32
"""So many queries are made before a scan is considered."""
_UNIT_BYTES = 4_096
"""What one read unit reads; a query takes one at least."""


@dataclass(frozen=True, slots=True)
class ChildPage:
    """Which children of a node are wanted: those after a label, at most so many; all if both are left out."""

    after: str | None = None
    limit: int | None = None

    def __bool__(self) -> bool:
        return self.after is not None or self.limit is not None


@dataclass(frozen=True)
class Subtree:
    """A node, and how far to read below it."""

    stack: Stack
    node: Node
    depth: int | None
    """Levels below the node; None for all."""

    @property
    def _deepest(self) -> int:
        most = len(self.stack.pipeline.rollups[self.node.rollup].levels)
        return most if self.depth is None else min(most, len(self.node.labels) + self.depth)

    def read(self, also: Collection[Node] = ()) -> dict[Node, Total]:
        """The nodes that the table has at and below this one, except those below it that no live key counts in.

        Of the nodes in `also` those are read too.
        """
        own = read_node(self.stack, self.node)
        found = {} if own is None else {self.node: own}
        level = [self.node]
        for depth in range(len(self.node.labels), self._deepest):
            whole = depth > 0 and not self.node.labels
            if self._scan_is_cheaper(len(level), whole=whole):
                return {**found, **self._scanned(also)}
            children = {node: total for node, total in self._children(level) if total.count or node in also}
            found |= children
            unread = {node for node in also if len(node.labels) == depth + 1 and self.covers(node)}
            level = sorted(children.keys() | unread)
        return found

    def covers(self, node: Node) -> bool:
        """Whether a node is this one or at most so far below it."""
        above = self.node.labels
        return (
            node.rollup == self.node.rollup
            and node.labels[: len(above)] == above
            and len(node.labels) <= max(self._deepest, len(above))
        )

    def read_page(self, page: ChildPage) -> tuple[dict[Node, Total], bool]:
        """The node, its live children on a page in the order of their labels, and whether more come after."""
        own = read_node(self.stack, self.node)
        found = {} if own is None else {self.node: own}
        wanted = None if page.limit is None else page.limit + len(found)
        for item in query_children(self.stack, self.node, page.after):
            node, total = _as_numbers(self.stack, *parse_total(self.stack, item))
            if total.count:
                if len(found) == wanted:
                    return found, True
                found[node] = total
        return found, False

    def count_children(self, nodes: Collection[Node]) -> dict[Node, int]:
        """Of those nodes whose children were read, how many live ones they have; leaves have none."""
        counts = Counter(node.labels[:-1] for node in nodes if node.labels)
        levels = len(self.stack.pipeline.rollups[self.node.rollup].levels)
        known = (node for node in nodes if len(node.labels) < self._deepest or len(node.labels) == levels)
        return {node: counts[node.labels] for node in known}

    def _scan_is_cheaper(self, queries: int, *, whole: bool) -> bool:
        """A scan reads all of the table, a query a unit at least; DynamoDB's size of the table is up to 6 hours old."""
        if queries <= FEW_QUERIES:
            return False
        if whole and self.depth is None:
            return True
        table = self.stack.dynamodb.describe_table(TableName=self.stack.names.aggregate_table)["Table"]
        size = table.get("TableSizeBytes") or 0
        return 0 < size < queries * _UNIT_BYTES

    def _scanned(self, also: Collection[Node]) -> dict[Node, Total]:
        stack = self.stack
        path = layout.children_path(stack.pipeline.rollups[self.node.rollup].name, self.node.labels, stack.epoch)
        request = {
            "FilterExpression": "#path = :path OR begins_with(#path, :below)",
            "ExpressionAttributeNames": {"#path": "path"},
            "ExpressionAttributeValues": {":path": {"S": path}, ":below": {"S": f"{path}/"}},
        }
        nodes = (_as_numbers(self.stack, *held) for held in read_totals(self.stack, no_progress, **request))
        return {node: total for node, total in nodes if (total.count or node in also) and self.covers(node)}

    def _children(self, nodes: Collection[Node]) -> Iterator[tuple[Node, Total]]:
        def children(node: Node) -> list[Item]:
            return list(query_children(self.stack, node))

        with workers_of(self.stack) as workers:
            try:
                for items in workers.map(children, nodes):
                    for item in items:
                        yield _as_numbers(self.stack, *parse_total(self.stack, item))
            finally:
                workers.shutdown(wait=False, cancel_futures=True)


def query_children(stack: Stack, node: Node, after: str | None = None) -> Iterator[Item]:
    """The items of a node's children by label; only those after a label if there is one."""
    path = layout.children_path(stack.pipeline.rollups[node.rollup].name, node.labels, stack.epoch)
    request: dict[str, Any] = {
        "KeyConditionExpression": "#path = :path",
        "ExpressionAttributeNames": {"#path": "path"},
        "ExpressionAttributeValues": {":path": {"S": path}},
    }
    if after is not None:
        request["KeyConditionExpression"] += " AND #label > :after"
        request["ExpressionAttributeNames"]["#label"] = "label"
        request["ExpressionAttributeValues"][":after"] = {"S": key_text(after)}
    start: dict[str, Any] = {}
    while True:
        page = stack.dynamodb.query(TableName=stack.names.aggregate_table, ConsistentRead=True, **request, **start)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def read_node(stack: Stack, node: Node) -> Total | None:
    """One node's totals; None where the table does not have it."""
    key = layout.node_key(stack.pipeline, node, stack.epoch)
    answer = stack.dynamodb.get_item(TableName=stack.names.aggregate_table, Key=key, ConsistentRead=True)
    if "Item" not in answer:
        return None
    return _as_numbers(stack, *parse_total(stack, answer["Item"]))[1]


def _as_numbers(stack: Stack, node: Node, held: Total | str) -> tuple[Node, Total]:
    if isinstance(held, str):
        raise OncefoldError(
            f"table {stack.names.aggregate_table}: the totals of {layout.node_key(stack.pipeline, node, stack.epoch)} "
            f"are no numbers: {held}; run: oncefold verify --stack {stack.names.stack}"
        )
    return node, held


def query(subtree: Subtree, page: ChildPage, as_of: AsOfTime, clock: Callable[[], int]) -> Totals:
    """What AggregateTable says, and how much is not in it yet. Raises QueryError for a node that is not there."""
    found, more = subtree.read_page(page) if page else (subtree.read(), False)
    return _totals(subtree, page, found, replace(as_of, pending=outbox(subtree.stack, clock)), more=more)


def query_exact(subtree: Subtree, page: ChildPage, as_of: AsOfTime, clock: Callable[[], int]) -> Totals:
    """The same with what the outbox will add: everything that was folded before the reading began.

    A delta that is applied while the totals are read might be in them or not, so then both are read again.
    """
    waiting = _waiting(subtree.stack)
    for _ in range(EXACT_TRIES):
        found = subtree.read(also=_with_ancestors(node for delta, _ in waiting.values() for node, _ in delta.nodes))
        still_waiting = _waiting(subtree.stack)
        if waiting.keys() <= still_waiting.keys():
            added = _with_deltas(subtree, found, (delta for delta, _ in waiting.values()))
            pending = replace(_pending([created for _, created in waiting.values()], clock), added=True)
            some, more = _cut(subtree.node, added, page)
            return _totals(subtree, page, some, replace(as_of, pending=pending), more=more)
        waiting = still_waiting
    raise OncefoldError(
        f"stack {subtree.stack.names.stack}: in {EXACT_TRIES} readings deltas were applied while the totals were read; "
        "query again in a quieter moment, or without --exact"
    )


def _with_ancestors(nodes: Iterable[Node]) -> set[Node]:
    """Nodes and all above them: where deltas change one by nothing in all, its children may be off without them."""
    return {Node(node.rollup, node.labels[:depth]) for node in nodes for depth in range(len(node.labels) + 1)}


def _waiting(stack: Stack) -> dict[str, tuple[Delta, int]]:
    return {waiting.delta.id: (waiting.delta, waiting.created) for waiting in read_live_deltas(stack, no_progress)}


def sum_deltas(deltas: Iterable[Delta]) -> dict[Node, Total]:
    """What deltas change in all, node by node."""
    totals: dict[Node, Total] = {}
    for delta in deltas:
        for node, total in delta.nodes:
            totals[node] = totals[node] + total if node in totals else total
    return totals


def _with_deltas(subtree: Subtree, totals: Mapping[Node, Total], deltas: Iterable[Delta]) -> dict[Node, Total]:
    none = no_total(subtree.stack.pipeline)
    added = dict(totals)
    for node, total in sum_deltas(deltas).items():
        if subtree.covers(node):
            added[node] = added.get(node, none) + total
    return added


def _cut(node: Node, totals: Mapping[Node, Total], page: ChildPage) -> tuple[dict[Node, Total], bool]:
    """The node itself and its children on a page, and whether more come after."""
    if not page:
        return dict(totals), False
    live = sorted(other for other, total in totals.items() if other != node and total.count)
    after = [other for other in live if page.after is None or other.labels[-1] > page.after]
    shown = after if page.limit is None else after[: page.limit]
    return {other: totals[other] for other in (node, *shown) if other in totals}, len(shown) < len(after)


def outbox(stack: Stack, clock: Callable[[], int]) -> Pending:
    """How many deltas wait, counted up to about COUNTED_DELTAS, and the age of the oldest of these."""
    if stack.mode != STANDARD:
        return _pending((waiting.created for waiting in read_live_deltas(stack, no_progress)), clock)
    created: list[int] = []
    pages = scan_pages(stack, stack.names.reduce_table, **_creation_of_live(stack.epoch))
    for page in pages:
        created += [int(item["created"]["N"]) for item in page["Items"]]
        if len(created) > COUNTED_DELTAS:
            return _pending(created, clock, complete=False)
    return _pending(created, clock)


def _creation_of_live(epoch: int) -> dict[str, Any]:
    """When deltas for the totals of an epoch were made, and nothing else of them."""
    request: dict[str, Any] = {
        "ProjectionExpression": "#created",
        "FilterExpression": "#epoch = :epoch" if epoch else "attribute_not_exists(#epoch)",
        "ExpressionAttributeNames": {"#created": "created", "#epoch": "epoch"},
    }
    return {**request, "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}}} if epoch else request


def _pending(created: Iterable[int], clock: Callable[[], int], *, complete: bool = True) -> Pending:
    times = sorted(created)
    oldest = timedelta(seconds=max(0, clock() // 10**9 - times[0])) if times else None
    return Pending(len(times), oldest, complete)


def _totals(subtree: Subtree, page: ChildPage, totals: Mapping[Node, Total], as_of: AsOfTime, *, more: bool) -> Totals:
    node = subtree.node
    if node.labels and node not in totals:
        raise missing_node(subtree.stack, node, totals)
    pipeline = subtree.stack.pipeline
    convert = Converter(pipeline)
    shown = {node: totals.get(node, no_total(pipeline))}
    shown |= {other: total for other, total in totals.items() if total.count}
    children = subtree.count_children(shown)
    if page:
        children.pop(node, None)
    return Totals(
        as_of=as_of,
        shape=convert.shape,
        rows=tuple(
            convert.node_total(found.labels, shown[found].count, shown[found].sums, children.get(found))
            for found in sorted(shown)
        ),
        rollup=pipeline.rollups[node.rollup].name,
        more=more,
    )


def missing_node(stack: Stack, node: Node, also: Collection[Node] = ()) -> QueryError:
    """The error for a node that is neither in the table nor among `also`: which step of its path does not exist."""
    for depth, label in enumerate(node.labels):
        above = Node(node.rollup, node.labels[:depth])
        children = {plain_text(item["label"]["S"]) for item in query_children(stack, above)}
        children |= {other.labels[-1] for other in also if other.labels[:-1] == above.labels and other.labels}
        if label not in children:
            return QueryError(no_such_node(above.labels, label, sorted(children)))
    return QueryError(f"there is no node {join(node.labels)} any more; query again")
