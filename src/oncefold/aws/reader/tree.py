"""The nodes of AggregateTable at and below a node: one Query reads a node's children, a Scan the whole table."""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Item
from oncefold.aws.reader.tables import SEGMENTS, Stack, no_progress, parse_total, read_totals
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node, Total

FEW_QUERIES = 32
"""So many queries are made before a scan is thought of."""
_UNIT_BYTES = 4_096
"""What one read unit reads; a query takes one at least."""


@dataclass(frozen=True)
class Branch:
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

        Of the nodes that `also` names those are read too.
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
            unmet = {node for node in also if len(node.labels) == depth + 1 and self.covers(node)}
            level = sorted(children.keys() | unmet)
        return found

    def covers(self, node: Node) -> bool:
        """Whether a node is this one or at most so far below it."""
        above = self.node.labels
        return (
            node.rollup == self.node.rollup
            and node.labels[: len(above)] == above
            and len(node.labels) <= max(self._deepest, len(above))
        )

    def _scan_is_cheaper(self, queries: int, *, whole: bool) -> bool:
        """A scan reads all of the table, a query a unit at least; the table's size is known to six hours ago."""
        if queries <= FEW_QUERIES:
            return False
        if whole and self.depth is None:
            return True
        table = self.stack.dynamodb.describe_table(TableName=self.stack.names.aggregate_table)["Table"]
        size = table.get("TableSizeBytes") or 0
        return 0 < size < queries * _UNIT_BYTES

    def _scanned(self, also: Collection[Node]) -> dict[Node, Total]:
        path = layout.children_path(self.stack.pipeline.rollups[self.node.rollup].name, self.node.labels)
        request = {
            "FilterExpression": "#path = :path OR begins_with(#path, :below)",
            "ExpressionAttributeNames": {"#path": "path"},
            "ExpressionAttributeValues": {":path": {"S": path}, ":below": {"S": f"{path}/"}},
        }
        nodes = (_numbers(self.stack, *held) for held in read_totals(self.stack, no_progress, **request))
        return {node: total for node, total in nodes if (total.count or node in also) and self.covers(node)}

    def _children(self, nodes: Collection[Node]) -> Iterator[tuple[Node, Total]]:
        def children(node: Node) -> list[Item]:
            return list(query_children(self.stack, node))

        with ThreadPoolExecutor(SEGMENTS) as workers:
            try:
                for items in workers.map(children, nodes):
                    for item in items:
                        yield _numbers(self.stack, *parse_total(self.stack, item))
            finally:
                workers.shutdown(wait=False, cancel_futures=True)


def query_children(stack: Stack, node: Node) -> Iterator[Item]:
    """The items of a node's children, by label."""
    path = layout.children_path(stack.pipeline.rollups[node.rollup].name, node.labels)
    start: dict[str, Any] = {}
    while True:
        page = stack.dynamodb.query(
            TableName=stack.names.aggregate_table,
            ConsistentRead=True,
            KeyConditionExpression="#path = :path",
            ExpressionAttributeNames={"#path": "path"},
            ExpressionAttributeValues={":path": {"S": path}},
            **start,
        )
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def read_node(stack: Stack, node: Node) -> Total | None:
    """One node's totals; None where the table does not have it."""
    key = layout.node_key(stack.pipeline, node)
    answer = stack.dynamodb.get_item(TableName=stack.names.aggregate_table, Key=key, ConsistentRead=True)
    if "Item" not in answer:
        return None
    return _numbers(stack, *parse_total(stack, answer["Item"]))[1]


def _numbers(stack: Stack, node: Node, held: Total | str) -> tuple[Node, Total]:
    if isinstance(held, str):
        raise OncefoldError(
            f"table {stack.names.aggregate_table}: the totals of {layout.node_key(stack.pipeline, node)} "
            f"are no numbers: {held}; run: oncefold aws verify"
        )
    return node, held
