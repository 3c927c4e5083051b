"""What a hot root costs: an outbox applied by one reducer and by several, for few leaves and for very many."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.definition import PIPELINE
from oncefold.aws.connect import client
from oncefold.aws.functions.layout import Delta, delta_item, parse_node
from oncefold.aws.functions.plan import Change, chunks, groups
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.names import Names
from oncefold.core.event import Content
from oncefold.core.fold import Node, Stored, Total
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter

BATCH = 300
"""Deltas of one invocation: the template's default."""
_FAR = 3_600.0
_PUT = 25


@dataclass(frozen=True, slots=True)
class RootResult:
    """How an outbox was worked off."""

    tree: str
    reducers: int
    events: int
    seconds: float
    root_writes: int
    conflicts: int
    retries: int


def deltas_of(events: int, leaves: int) -> list[Delta]:
    """The deltas of so many new keys, spread over so many leaves of three levels."""
    changes = []
    for number in range(events):
        leaf = number % leaves
        labels = (f"type {leaf % 2}", f"desk {leaf}", f"region {leaf}")
        changes.append(Change(f"key {number}", None, Stored(1, Content(labels, (number,)))))
    return [delta for chunk in chunks(PIPELINE, changes) for delta in chunk.deltas]


def run_root(tree: str, events: int, leaves: int, reducers: int, make: Callable[[Names], None]) -> RootResult:
    """Work an outbox off; raises AssertionError if the root is not exact then."""
    names = Names(f"root-{leaves}-{reducers}")
    make(names)
    deltas = deltas_of(events, leaves)
    _fill(names, deltas)
    meter = Meter()
    batches = [deltas[start : start + BATCH] for start in range(0, len(deltas), BATCH)]
    if len(batches) < reducers:
        size = -(-len(deltas) // reducers)
        batches = [deltas[start : start + size] for start in range(0, len(deltas), size)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(reducers) as pool:
        for reduced in pool.map(lambda batch: _reducer(names, meter).apply(batch), batches):
            assert not reduced.left
    seconds = time.perf_counter() - begun
    _check(names, events)
    plans = Counter(Node(0) in group.nodes for batch in batches for group in groups(PIPELINE, batch))
    return RootResult(tree, reducers, events, seconds, plans[True], meter.conflicts, meter.retries)


def _reducer(names: Names, meter: Meter) -> ReduceFunction:
    backoff = Backoff(time.monotonic, time.sleep, random.random, time.monotonic() + _FAR)
    return ReduceFunction(PIPELINE, names, Dynamo(client("dynamodb"), backoff, meter))


def _fill(names: Names, deltas: Sequence[Delta]) -> None:
    dynamodb = client("dynamodb")
    for start in range(0, len(deltas), _PUT):
        items = [delta_item(PIPELINE, delta, keys=1, created=0) for delta in deltas[start : start + _PUT]]
        requests: Any = {names.reduce_table: [{"PutRequest": {"Item": item}} for item in items]}
        assert not dynamodb.batch_write_item(RequestItems=requests).get("UnprocessedItems")


def _check(names: Names, events: int) -> None:
    key = {"path": {"S": "/"}, "label": {"S": PIPELINE.rollups[0].name}}
    item = client("dynamodb").get_item(TableName=names.aggregate_table, Key=key, ConsistentRead=True)["Item"]
    assert parse_node(PIPELINE, item) == (Node(0), Total(events, (events * (events - 1) // 2,)))
