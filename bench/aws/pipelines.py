"""Both pipelines, each fed its batches stage by stage; only the time inside functions counts."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.aws.metered import Metered
from bench.aws.streams import Tail, kinesis_stream, table_stream
from bench.definition import PIPELINE, SCALE
from oncefold.aws.connect import client
from oncefold.aws.deploy.parameters import PARAMETERS
from oncefold.aws.functions import layout
from oncefold.aws.functions.deliveries import kinesis_record
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.functions.state import StateFunction
from oncefold.aws.names import Names
from oncefold.core.decimals import format_decimal
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter
from oncefold.dynamodb.invocation import CALLS_AT_ONCE
from oncefold_workshop.pipelines import settings
from oncefold_workshop.pipelines.deploy import make_tables, read_totals
from oncefold_workshop.pipelines.handlers import FunctionEnvironment, after_fixes
from oncefold_workshop.pipelines.messages import MESSAGE_COUNT, SEPARATOR

_FAR = 3_600.0


@dataclass
class Result:
    """What a pipeline took for all events."""

    name: str
    version: str
    events: int
    seconds: dict[str, float] = field(default_factory=dict)
    """In functions, by stage."""
    calls: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    totals: Mapping[str, str] = field(default_factory=dict)
    """By path, as decimals; the root is not among them, since the workshop keeps none."""

    @property
    def rate(self) -> float:
        """Events per second of functions."""
        return self.events / sum(self.seconds.values())


def _timed(handle: Callable[[Any], Any], events: Iterable[Any]) -> float:
    seconds = 0.0
    for event in events:
        begun = time.perf_counter()
        handle(event)
        seconds += time.perf_counter() - begun
    return seconds


def run_workshop(stream: str, events: int, now: float) -> Result:
    """The workshop's functions after its fixes, with its own batch sizes."""
    dynamodb = Metered(client("dynamodb"))
    tables = settings.TableNames("bench-ws-state", "bench-ws-reduce", "bench-ws-aggregate", "bench-ws-parameter")
    make_tables(tables, client("dynamodb"))
    functions = after_fixes(
        settings.PipelineSettings(tables), FunctionEnvironment(dynamodb, lambda: now, random.Random(1).random)
    )
    assert functions.state is not None
    result = Result("workshop, after its fixes", "its own batches: 100, 10,000, 1,000", events)
    stages = (
        ("state", functions.state, Tail(kinesis_stream(stream), settings.STATE_BATCH)),
        ("map", functions.map, Tail(table_stream(tables.state), settings.MAP_BATCH)),
        ("reduce", functions.reduce, Tail(table_stream(tables.reduce), settings.REDUCE_BATCH)),
    )
    for stage, handle, tail in stages:
        result.seconds[stage] = _timed(handle, tail.batches())
    _consumed(result, dynamodb)
    found = read_totals(tables, client("dynamodb"))
    result.totals = {
        node.replace(SEPARATOR, "/"): f"{value:.2f}" for node, value in found.items() if node != MESSAGE_COUNT
    }
    return result


def run_oncefold(stream: str, events: int, batch: int, make: Callable[[Names], None]) -> Result:
    """Oncefold's functions with so many records a batch, and the template's default for deltas."""
    dynamodb = Metered(client("dynamodb"))
    names = Names(f"bench-{batch}")
    make(names)
    meter = Meter()
    backoff = Backoff(time.monotonic, time.sleep, random.Random(1).random, time.monotonic() + _FAR)
    calls = Dynamo(dynamodb, backoff, meter)
    result = Result("Oncefold", f"batches of {batch}", events)
    deltas = PARAMETERS["ReduceBatchSize"].default
    assert isinstance(deltas, int)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as workers:
        state = StateFunction(PIPELINE, names, calls, time.time, workers.map)
        reduce = ReduceFunction(PIPELINE, names, calls)
        result.seconds["state"] = _timed(
            lambda event: state.handle([kinesis_record(item) for item in event["Records"]]),
            Tail(kinesis_stream(stream), batch).batches(),
        )
        outbox = Tail(table_stream(names.reduce_table), deltas, inserts_only=True)
        result.seconds["reduce"] = _timed(
            lambda event: reduce.apply(
                layout.parse_delta(PIPELINE, item["dynamodb"]["NewImage"]) for item in event["Records"]
            ),
            outbox.batches(),
        )
    _consumed(result, dynamodb)
    nodes = (layout.parse_node(PIPELINE, item) for item in calls.scan(names.aggregate_table))
    result.totals = {
        "/".join(node.labels): format_decimal(total.sums[0], SCALE) for node, total in nodes if node.labels
    }
    return result


def _consumed(result: Result, dynamodb: Metered) -> None:
    result.calls = dynamodb.calls
    result.read_units = dynamodb.read_units
    result.write_units = dynamodb.write_units
