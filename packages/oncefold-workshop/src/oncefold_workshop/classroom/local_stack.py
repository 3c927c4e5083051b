"""The workshop's stack on one machine: tables and stream in the emulator, functions in processes, the generator.

The functions run from zips by AWS's own runtime client, with boto3, in real time.
"""

import io
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import Any

from oncefold.aws.connect import client
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.functions import FunctionSettings, LocalFunction
from oncefold_lab.local.mappings import EventSourceMapping
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.local.streams import open_stream
from oncefold_workshop.course.functions import LearnerFunctions
from oncefold_workshop.pipelines.deploy import make_tables, package
from oncefold_workshop.pipelines.generator import BATCHES, Generator
from oncefold_workshop.pipelines.settings import (
    MAP_BATCH,
    MAP_WINDOW_SECONDS,
    REDUCE_BATCH,
    STATE_BATCH,
    STREAM,
    TABLES,
    PipelineSettings,
)

LANES = 4
"""Batches of StateLambda under way at a time; a machine has fewer hands than AWS."""
_TIMEOUTS = {"StateLambda": 180.0, "MapLambda": 60.0, "ReduceLambda": 30.0}
"""The workshop's own, in seconds."""


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """A zip and the handler in it."""

    zip: bytes
    handler: str


def own_code(form: str) -> Mapping[str, FunctionCode]:
    """The functions of this distribution, `before` or `after` the workshop's fixes."""
    handlers = "oncefold_workshop.pipelines.handlers"
    code = package()
    parts = {"StateLambda": "state", "MapLambda": "map", "ReduceLambda": "reduce"}
    return {name: FunctionCode(code, f"{handlers}.{part}_{form}") for name, part in parts.items()}


def packed_code(functions: LearnerFunctions) -> Mapping[str, FunctionCode]:
    """A learner's three folders or zips."""
    assert functions.map is not None
    places = {"StateLambda": functions.state, "MapLambda": functions.map, "ReduceLambda": functions.reduce}
    return {name: FunctionCode(_zip(place.root), f"{place.module}.{place.name}") for name, place in places.items()}


def _zip(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.py")):
            archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()


@contextmanager
def running_stack(emulator: Emulator, code: Mapping[str, FunctionCode], batches: int = BATCHES) -> Iterator[Generator]:
    """Deploy and connect the functions while the block runs; the generator, whose rounds score them."""
    with ExitStack() as stack:
        stack.enter_context(emulator.as_default())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="oncefold-workshop-")))
        dynamodb, kinesis = client("dynamodb"), client("kinesis")
        make_tables(TABLES, dynamodb)
        kinesis.create_stream(StreamName=STREAM, ShardCount=1)
        kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        for name, source, size, window, lanes in (
            ("StateLambda", _messages(kinesis), STATE_BATCH, 0.0, LANES),
            ("MapLambda", _stream(dynamodb, TABLES.state), MAP_BATCH, MAP_WINDOW_SECONDS, 1),
            ("ReduceLambda", _stream(dynamodb, TABLES.reduce), REDUCE_BATCH, 0.0, 1),
        ):
            path = folder / f"{name}.zip"
            path.write_bytes(code[name].zip)
            function = stack.enter_context(LocalFunction(_settings(emulator, name, path, code[name].handler, lanes)))
            arn = function.settings.arn
            settings = MappingSettings(source, arn, batch_size=size, window_seconds=window, parallelization=lanes)
            stack.enter_context(EventSourceMapping(settings, open_stream(client, source), function.invoke))
        yield Generator(dynamodb, kinesis, TABLES, STREAM, time.time, time.sleep, SystemRandom(), batches)


def _settings(emulator: Emulator, name: str, code: Path, handler: str, lanes: int) -> FunctionSettings:
    variables = {**emulator.environment, **PipelineSettings().environment()}
    return FunctionSettings(
        name, handler, code, variables, timeout_seconds=_TIMEOUTS[name], memory_mb=256, concurrency=lanes
    )


def _messages(kinesis: Any) -> str:
    return str(kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamARN"])


def _stream(dynamodb: Any, table: str) -> str:
    return str(dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"])
