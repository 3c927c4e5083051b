"""What an event costs in either mode: write and read units, by the functions themselves on a metered DynamoDB."""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.net import NetFunction
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.functions.state import StateFunction, StreamRecord
from oncefold.aws.functions.unread import ChangeStream
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter

EVENTS = 10_000
STATE_BATCH, NET_BATCH = 500, 5_000
"""The template's defaults."""
_FAR = 3_600.0

FEW = """
name = "few"
[event]
key = "id"
version = "v"
[rollups]
risk = ["type", "desk", "region"]
[measures]
value = { sum = "value", scale = 2 }
"""
MANY = """
name = "many"
[event]
key = "id"
version = "v"
[rollups]
customers = ["customer"]
places = ["country", "customer"]
products = ["product", "customer"]
[measures]
value = { sum = "value", scale = 2 }
"""


def few(number: int, chance: random.Random) -> dict[str, Any]:
    """Twelve leaves."""
    leaf = {"type": chance.choice("ab"), "desk": chance.choice("xy"), "region": chance.choice("pqr")}
    return {"id": f"k{number}", "v": 1, **leaf, "value": chance.randrange(100_000)}


def many(number: int, chance: random.Random) -> dict[str, Any]:
    """A thousand customers in three trees, each with its country and product."""
    customer = chance.randrange(1_000)
    leaf = {"customer": f"c{customer}", "country": f"l{customer % 20}", "product": f"p{customer % 7}"}
    return {"id": f"k{number}", "v": 1, **leaf, "value": chance.randrange(100_000)}


CASES: tuple[tuple[str, str, Callable[[int, random.Random], dict[str, Any]]], ...] = (
    ("12 leaves", FEW, few),
    ("3 rollups, 1,000 customers", MANY, many),
)


@dataclass(frozen=True, slots=True)
class Units:
    """What the functions used for each event."""

    case: str
    mode: str
    state: float
    net: float
    reduce: float
    read: float

    @property
    def written(self) -> float:
        """Write units in all."""
        return self.state + self.net + self.reduce


def run_units(make: Callable[..., None], events: int = EVENTS) -> Iterator[Units]:
    """Both modes in each case; raises AssertionError if a root is not exact."""
    for index, (case, text, event) in enumerate(CASES):
        pipeline = parse_toml(text)
        chance = random.Random(7)
        lines = [json.dumps(event(number, chance)).encode() for number in range(events)]
        for economy in (False, True):
            names = Names(f"units-{index}-{'economy' if economy else 'standard'}")
            make(names, client("dynamodb"), economy=economy)
            yield _run(case, pipeline, names, lines, economy=economy)


def _run(case: str, pipeline: Pipeline, names: Names, lines: Sequence[bytes], *, economy: bool) -> Units:
    state, net, reduce = Meter(), Meter(), Meter()
    fold = DirectStateFunction if economy else StateFunction
    for batch in _batches([StreamRecord("s", str(n), 0.0, line) for n, line in enumerate(lines)], STATE_BATCH):
        assert fold(pipeline, names, _dynamo(state), time.time).handle(batch).unfinished is None
    if economy:
        arn = client("dynamodb").describe_table(TableName=names.state_table)["Table"]["LatestStreamArn"]
        stream = ChangeStream(client("dynamodbstreams"), arn)
        for shard in stream.shards():
            for records in _batches(list(stream.after(shard, None)), NET_BATCH):
                assert NetFunction(pipeline, names, _dynamo(net), time.time).handle(shard, records).unfinished is None
    outbox = [layout.parse_delta(pipeline, item) for item in _dynamo(Meter()).scan(names.reduce_table)]
    for deltas in _batches(outbox, 300):
        assert not ReduceFunction(pipeline, names, _dynamo(reduce)).apply(deltas).left
    key = {"path": {"S": "/"}, "label": {"S": pipeline.rollups[0].name}}
    item = client("dynamodb").get_item(TableName=names.aggregate_table, Key=key, ConsistentRead=True)["Item"]
    assert item["count"] == {"N": str(len(lines))}, "the root is wrong"
    folded, netted, reduced = (meter.write_units / len(lines) for meter in (state, net, reduce))
    read = sum(meter.read_units for meter in (state, net, reduce)) / len(lines)
    return Units(case, "economy" if economy else "standard", folded, netted, reduced, read)


def _dynamo(meter: Meter) -> Dynamo:
    backoff = Backoff(time.monotonic, time.sleep, random.random, time.monotonic() + _FAR)
    return Dynamo(client("dynamodb"), backoff, meter)


def _batches(things: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (things[start : start + size] for start in range(0, len(things), size))


def units_table(found: Iterable[Units]) -> str:
    """One line a case and mode."""
    lines = [
        "| pipeline | mode | write units an event | of these StateLambda, NetLambda, ReduceLambda | read units |",
        "|---|---|--:|---|--:|",
    ]
    lines += [
        f"| {one.case} | {one.mode} | {one.written:.2f} | {one.state:.2f}, {one.net:.2f}, {one.reduce:.2f} "
        f"| {one.read:.3f} |"
        for one in found
    ]
    return "\n".join(lines)
