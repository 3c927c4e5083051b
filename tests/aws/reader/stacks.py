"""Stacks filled through the layout alone: what the functions would have written for some events."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.guard import definition_item
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.rejected import conflict_item, reject_item
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Stored, Total, fold, net
from oncefold.dynamodb import items

NOW = 1_772_500_000 * 10**9 + 123_456_000
"""The clock of the readers in tests: 2026-03-03T01:06:40.123456Z."""
NOW_TEXT = "2026-03-03T01:06:40.123456Z"
NOW_TIME = datetime(2026, 3, 3, 1, 6, 40, 123456, UTC)
OLD = 1_772_500_000 - 12
"""When deltas were made, in seconds: twelve seconds before."""

_AT_ONCE = 25


@dataclass
class Filled:
    """What a stack holds."""

    names: Names
    pipeline: Pipeline
    states: dict[str, Stored] = field(default_factory=dict)
    totals: dict[Node, Total] = field(default_factory=dict)
    deltas: list[Delta] = field(default_factory=list)


def fill(names: Names, pipeline: Pipeline, events: Sequence[Event], *, pending: int = 0, chunk: int = 4) -> Filled:
    """Fold the events; the deltas of the last `pending` chunks are left in the outbox."""
    filled = Filled(names, pipeline)
    for start in range(0, len(events), chunk):
        changes = _folded(filled.states, events[start : start + chunk])
        totals = net(pipeline, changes)
        if totals:
            filled.deltas.append(Delta(f"delta-{start:09d}-0", tuple(sorted(totals.items()))))
    applied = filled.deltas[: len(filled.deltas) - pending]
    filled.deltas = filled.deltas[len(applied) :]
    filled.totals = _summed(applied, pipeline)
    write(filled)
    return filled


def _folded(states: dict[str, Stored], events: Iterable[Event]) -> list[tuple[Stored | None, Stored | None]]:
    before: dict[str, Stored | None] = {}
    for event in events:
        before.setdefault(event.key, states.get(event.key))
        _, states[event.key] = fold(states.get(event.key), event)
    return [(was, states[key]) for key, was in before.items()]


def _summed(deltas: Iterable[Delta], pipeline: Pipeline) -> dict[Node, Total]:
    totals: dict[Node, Total] = {}
    for delta in deltas:
        for node, total in delta.nodes:
            totals[node] = totals.get(node, Total(0, (0,) * len(pipeline.amounts))) + total
    return totals


def write(filled: Filled) -> None:
    """Put it all into the tables."""
    pipeline, names = filled.pipeline, filled.names
    put(names.aggregate_table, [definition_item(pipeline), *(node_item(pipeline, *i) for i in filled.totals.items())])
    put(names.state_table, [state_item(pipeline, *item) for item in filled.states.items()])
    put(names.reduce_table, [layout.delta_item(pipeline, delta, keys=1, created=OLD) for delta in filled.deltas])


def state_item(pipeline: Pipeline, key: str, stored: Stored) -> dict[str, Any]:
    return {**layout.state_key(key), **layout.state_content(pipeline, stored)}


def node_item(pipeline: Pipeline, node: Node, total: Total) -> dict[str, Any]:
    sums = zip(pipeline.amounts, total.sums, strict=True)
    amounts = {measure.name: items.number(value, measure.scale) for measure, value in sums}
    return {**layout.node_key(pipeline, node), "count": {"N": str(total.count)}, **amounts}


def put(table: str, items: Iterable[dict[str, Any]]) -> None:
    requests = [{"PutRequest": {"Item": item}} for item in items]
    for start in range(0, len(requests), _AT_ONCE):
        client("dynamodb").batch_write_item(RequestItems={table: requests[start : start + _AT_ONCE]})


def put_reject(
    names: Names, raw: bytes, reason: str, *, sequence: int = 1, line: int = 1, arrived: float = 1_772_442_000.5
) -> None:
    item = reject_item("shardId-000000000000", str(sequence), line, arrived, raw, InvalidEvent(reason))
    put(names.reject_table, [item])


def put_conflict(names: Names, pipeline: Pipeline, key: str, version: int, one: Content, other: Content) -> None:
    put(names.reject_table, [conflict_item(pipeline, key, version, one, other)])


def count(table: str) -> int:
    return int(client("dynamodb").scan(TableName=table, Select="COUNT")["Count"])


def numbers(document: Any) -> str:
    return json.dumps(document, sort_keys=True)
