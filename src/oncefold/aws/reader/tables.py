"""The items of a stack's tables as values of the core. Raises OncefoldError for what Oncefold cannot have written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta, Item
from oncefold.aws.reader.scan import Tell, scan
from oncefold.aws.reader.stack import Stack
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node, Stored, Total

Held = Total | str
"""A node's totals, or what is wrong with them in words."""

_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class WaitingDelta:
    """A delta of the outbox, and when it was put there, in seconds since 1970."""

    delta: Delta
    created: int


def read_states(stack: Stack, tell: Tell, below: Node | None = None) -> Iterator[tuple[str, Stored]]:
    """Every key with its state, deleted ones too; or only the live keys that count in a node."""
    request = {} if below is None else _counting_in(stack, below)
    for item in scan(stack.dynamodb, stack.names.state_table, tell, "keys", **request):
        try:
            yield layout.parse_state(stack.pipeline, item)
        except _UNREADABLE as error:
            raise _unreadable(stack.names.state_table, item.get("key"), error) from None


def _counting_in(stack: Stack, node: Node) -> dict[str, Any]:
    """What keeps other keys from being sent here; they are read, and paid for, all the same."""
    levels = stack.pipeline.rollup_levels[node.rollup]
    clauses = ["attribute_exists(#labels)"]
    values: Item = {}
    for depth, label in enumerate(node.labels):
        clauses.append(f"#labels[{levels[depth]}] = :{depth}")
        values[f":{depth}"] = {"S": label}
    request: dict[str, Any] = {
        "FilterExpression": " AND ".join(clauses),
        "ExpressionAttributeNames": {"#labels": "labels"},
    }
    return {**request, "ExpressionAttributeValues": values} if values else request


def read_totals(stack: Stack, tell: Tell, **request: Any) -> Iterator[tuple[Node, Held]]:
    """Every node with its totals."""
    for item in scan(stack.dynamodb, stack.names.aggregate_table, tell, "nodes", **request):
        if item["path"] != layout.DEFINITION_KEY["path"]:
            yield parse_total(stack, item)


def parse_total(stack: Stack, item: Mapping[str, Any]) -> tuple[Node, Held]:
    """The node of an item, with its totals or what is wrong with them."""
    key = {name: item[name] for name in ("path", "label")}
    try:
        node, _ = layout.parse_node(stack.pipeline, {**key, "count": {"N": "0"}})
    except _UNREADABLE as error:
        raise _unreadable(stack.names.aggregate_table, key, error) from None
    try:
        return layout.parse_node(stack.pipeline, item)
    except KeyError as error:
        return node, f"a part of it is missing or no number: {error}"
    except (ValueError, TypeError) as error:
        return node, str(error)


def read_deltas(stack: Stack, tell: Tell) -> Iterator[WaitingDelta]:
    """Every delta of the outbox."""
    for item in scan(stack.dynamodb, stack.names.reduce_table, tell, "pending deltas"):
        yield parse_waiting(stack, item)


def parse_waiting(stack: Stack, item: Mapping[str, Any]) -> WaitingDelta:
    """The delta that an item of the outbox holds."""
    try:
        return WaitingDelta(layout.parse_delta(stack.pipeline, item), int(item["created"]["N"]))
    except _UNREADABLE as error:
        raise _unreadable(stack.names.reduce_table, item.get("id"), error) from None


def _unreadable(table: str, key: object, error: Exception) -> OncefoldError:
    return OncefoldError(
        f"table {table}: the item {key} cannot be read ({type(error).__name__}: {error}); Oncefold did not write it so"
    )
