"""The workshop after its fixes, from its real zip, under event source mappings: right until a batch is cut anew."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from oncefold.aws.connect import client
from oncefold.generate import Workload
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.functions import FunctionSettings, LocalFunction
from oncefold_lab.local.mappings import EventSourceMapping
from oncefold_lab.local.settings import Disturbance, MappingSettings, PollTiming, Undisturbed
from oncefold_lab.local.streams import open_stream
from oncefold_workshop.pipelines.deploy import package
from oncefold_workshop.pipelines.settings import STATE_BATCH, FailurePercentages, ParameterTable, PipelineSettings
from tests.tools.sizes import full_only
from tests.workshop.pipelines.rig import Rig

HARD = Workload(count=200, duplicates=0.125, modifications=0.2, out_of_order=0.03, seed=5)
SIZES = (STATE_BATCH, 10, 2)
OFTEN = FailurePercentages(state=30, map=50, reduce=30)
"""So often that no run is without a failed batch of MapLambda."""
WINDOW_SECONDS = 0.2
QUICK = PollTiming(poll=0.05, first_retry=0.005, longest_retry=0.02)
WAIT_SECONDS = 120.0


class CutAnew:
    """A failed batch comes again by halves."""

    def retry_size(self, failed: int, most: int) -> int:
        return max(1, failed // 2)

    def repeat_after(self) -> int | None:
        return None


def now() -> Workload:
    """The workload with times an hour ahead, so that nothing is dropped for its age, however slow the machine is."""
    return replace(HARD, start=int(time.time() + 3_600) * 10_000)


@dataclass(frozen=True, slots=True)
class Deployed:
    """The three functions as they are deployed, and the streams that they read."""

    name: str
    code: Path
    variables: Mapping[str, str]
    arns: Sequence[str]


@pytest.fixture
def deployed(after: Rig, aws: Emulator, name: str, tmp_path: Path) -> Deployed:
    code = tmp_path / "workshop.zip"
    code.write_bytes(package())
    variables = {**aws.environment, **PipelineSettings(after.tables).environment()}
    ParameterTable(client("dynamodb"), after.tables.parameter).put(OFTEN.parameters())
    dynamodb = client("dynamodb")
    tables = (dynamodb.describe_table(TableName=table) for table in (after.tables.state, after.tables.reduce))
    stream = client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    return Deployed(name, code, variables, [stream, *(table["Table"]["LatestStreamArn"] for table in tables)])


@contextmanager
def running(deployed: Deployed, disturbance: Disturbance) -> Iterator[Sequence[EventSourceMapping]]:
    with ExitStack() as stack:
        mappings = []
        for part, arn, size in zip(("state", "map", "reduce"), deployed.arns, SIZES, strict=True):
            handler = f"oncefold_workshop.pipelines.handlers.{part}_after"
            function = LocalFunction(
                FunctionSettings(
                    f"{deployed.name}-{part}", handler, deployed.code, deployed.variables, timeout_seconds=60
                )
            )
            mapping = EventSourceMapping(
                MappingSettings(arn, function.settings.arn, batch_size=size, window_seconds=WINDOW_SECONDS),
                open_stream(client, arn),
                stack.enter_context(function).invoke,
                timing=QUICK,
                disturbance=disturbance,
            )
            mappings.append(stack.enter_context(mapping))
        yield mappings


def errors_after_a_run(rig: Rig, deployed: Deployed, disturbance: Disturbance) -> dict[str, Decimal]:
    workload = now()
    rig.send_workload(workload)
    with running(deployed, disturbance) as mappings:
        for mapping in mappings:
            mapping.wait_until_idle(WAIT_SECONDS)
        assert mappings[1].counts.failed > 0
    return rig.errors(workload)


@full_only("a deployment, 4 s; test_after_is_exact.py says the same of the functions in this process")
def test_it_is_right_while_failed_batches_come_again_as_they_were(after: Rig, deployed: Deployed) -> None:
    assert errors_after_a_run(after, deployed, Undisturbed()) == {}


@full_only("a second deployment, 12 s")
def test_it_is_wrong_once_failed_batches_come_again_cut_anew(after: Rig, deployed: Deployed) -> None:
    assert errors_after_a_run(after, deployed, CutAnew()) != {}
