"""The entry points: what Lambda calls with a batch, and what it is answered.

Settings come from the environment: ONCEFOLD_STACK; ONCEFOLD_PIPELINE, a file, by default `pipeline.toml` beside the
code; ONCEFOLD_REJECT_DAYS, how long rejects are kept, by default for ever; ONCEFOLD_MODE, by default `standard`, and in
economy mode ONCEFOLD_STATE_STREAM, the ARN of StateTable's stream, for the sweeper. Answers follow "Configuring partial
batch response with Kinesis Data Streams and Lambda": the first record that is not finished, from which Lambda delivers
again.
"""

import os
import sys
import time
import zoneinfo
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.functions import report
from oncefold.aws.functions.deliveries import delivery_of
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.guard import ECONOMY, STANDARD, check_definition
from oncefold.aws.functions.isolation import Isolation
from oncefold.aws.functions.net import NetFunction
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.functions.report import Invocation
from oncefold.aws.functions.state import StateFunction
from oncefold.aws.functions.structured import powertools_keys
from oncefold.aws.functions.sweep import sweep as sweep_outbox
from oncefold.aws.functions.unread import ChangeStream, watch
from oncefold.aws.names import ZONE_FOLDER, Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.dynamodb import invocation
from oncefold.dynamodb.calls import Dynamo, Meter, OutOfTime


@dataclass
class _Warm:
    """What an environment keeps from one invocation to the next."""

    pipeline: Pipeline
    """Once it is checked: the one that keys are kept under."""
    names: Names
    client: Any
    workers: ThreadPoolExecutor
    callers: ThreadPoolExecutor
    epochs: EpochCache
    isolation: Isolation
    mode: str
    checked: bool = False
    """Whether the tables mean what the pipeline does."""
    cold: bool = True
    """Whether no invocation was logged yet."""


@dataclass(frozen=True)
class _Work:
    """One invocation: its pipeline, its calls, and the clock that it is reported by."""

    warm: _Warm
    dynamo: Dynamo
    meter: Meter
    request: str
    begun: float

    def log(self, function: str, counts: Mapping[str, Any]) -> None:
        """Log the invocation's line."""
        memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0"))
        duration = time.monotonic() - self.begun
        now, stack, cold = time.time(), self.warm.names.stack, self.warm.cold
        ended = Invocation(function, stack, self.request, now, duration, memory)
        keys = powertools_keys(counts, os.environ, stack=stack, request=self.request, ended=now, cold=cold)
        self.warm.cold = False
        sys.stdout.write(report.line(ended, counts, self.meter, keys) + "\n")
        sys.stdout.flush()


@cache
def _warm() -> _Warm:
    """Read the definition, once per environment."""
    root = os.environ.get("LAMBDA_TASK_ROOT", ".")
    path = Path(os.environ.get("ONCEFOLD_PIPELINE") or Path(root) / "pipeline.toml")
    if (zones := path.parent / ZONE_FOLDER).is_dir():  # Lambda's own tz database may be another one, or lack a zone
        zoneinfo.reset_tzpath([str(zones), *zoneinfo.TZPATH])
    pipeline = parse_toml(path.read_text(encoding="utf-8"), str(path))
    names = Names(os.environ["ONCEFOLD_STACK"])
    workers, callers = (ThreadPoolExecutor(threads) for threads in (invocation.CALLS_AT_ONCE, invocation.CALLERS))
    mode = os.environ.get("ONCEFOLD_MODE", STANDARD)
    return _Warm(pipeline, names, invocation.new_client(), workers, callers, EpochCache(names), Isolation(), mode)


def _work(context: Any) -> _Work:
    """Begin an invocation. Raises OutOfTime if its time does not suffice to check the definition against the tables."""
    warm = _warm()
    begun = time.monotonic()
    meter = Meter()
    backoff = invocation.backoff_until_answer(context)
    client = invocation.TimedClient(warm.client, warm.callers, backoff)
    if not warm.checked:
        warm.pipeline = check_definition(warm.pipeline, warm.names, client, warm.mode)
        warm.checked = True
    return _Work(warm, Dynamo(client, backoff, meter), meter, context.aws_request_id, begun)


def state(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """StateLambda: a batch of a Kinesis shard, or of another source (`deliveries`)."""
    delivery = delivery_of(event)
    try:
        work = _work(context)
    except OutOfTime:
        return delivery.answer(0)
    days = int(os.environ.get("ONCEFOLD_REJECT_DAYS", "0"))
    warm = work.warm
    fold = DirectStateFunction if warm.mode == ECONOMY else StateFunction
    function = fold(warm.pipeline, warm.names, work.dynamo, time.time, warm.workers.map, days, warm.epochs)
    folded = warm.isolation.handle(function, delivery.records)
    first = folded.unfinished
    work.log("state", report.state_counts(folded, 0 if first is None else len(delivery.records) - first))
    return delivery.answer(first)


def net(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """NetLambda, in economy mode: a batch of a shard of StateTable's stream, which a tumbling window names."""
    records = [item["dynamodb"] for item in event["Records"]]
    if not records:  # the end of a window
        return _windowed(None)
    try:
        work = _work(context)
    except OutOfTime:
        return _windowed(records[0]["SequenceNumber"])
    warm = work.warm
    netted = NetFunction(warm.pipeline, warm.names, work.dynamo, time.time, warm.epochs).handle(
        event["shardId"], records
    )
    work.log("net", report.net_counts(netted))
    return _windowed(netted.unfinished)


def reduce(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """ReduceLambda: a batch of a shard of ReduceTable's stream."""
    try:
        work = _work(context)
    except OutOfTime:
        return _answer(event["Records"][0]["dynamodb"]["SequenceNumber"])
    images = [_image(item) for item in event["Records"] if item["eventName"] == "INSERT"]
    warm = work.warm
    reduced = ReduceFunction(warm.pipeline, warm.names, work.dynamo, warm.epochs).apply_items(dict(images).values())
    work.log("reduce", report.reduce_counts(reduced))
    return _answer(next((sequence for sequence, image in images if image["id"]["S"] in reduced.left), None))


def sweep(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - a schedule sends nothing of use
    """The sweeper, by a schedule."""
    work = _work(context)
    warm = work.warm
    swept = sweep_outbox(
        warm.pipeline, warm.names, work.dynamo, time.time, spread=warm.workers.map,
        segments=invocation.CALLS_AT_ONCE, epochs=warm.epochs,
    )  # fmt: skip
    counts = report.sweep_counts(swept, time.monotonic() - work.begun)
    work.log("sweep", {**counts, **_watched(work)} if warm.mode == ECONOMY else counts)
    return {
        "found": swept.found,
        "applied": swept.reduced.deltas,
        "left": len(swept.reduced.left),
        "refused": len(swept.reduced.refused),
    }


def _watched(work: _Work) -> dict[str, Any]:
    """What the sweeper finds in StateTable's stream; what it cannot read now, the next sweep does."""
    stream = ChangeStream(invocation.new_client("dynamodbstreams"), os.environ["ONCEFOLD_STATE_STREAM"])
    try:
        found = watch(work.dynamo, work.warm.names, stream, time.time)
    except (BotoCoreError, ClientError, OutOfTime) as error:
        return {"unwatched": str(error) or type(error).__name__}
    return report.watch_counts(found)


def _image(item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    change = item["dynamodb"]
    return change["SequenceNumber"], change["NewImage"]


def _windowed(first_unfinished: str | None) -> dict[str, Any]:
    """The answer to a tumbling window, which has to have a state.

    Source: "Implementing stateful DynamoDB stream processing in Lambda".
    """
    return {"state": {}, **_answer(first_unfinished)}


def _answer(first_unfinished: str | None) -> dict[str, Any]:
    return invocation.failures([] if first_unfinished is None else [first_unfinished])
