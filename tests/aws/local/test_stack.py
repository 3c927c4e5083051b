"""Whole stacks at work on this machine: what is deployed, what is printed, what is scheduled, what fails."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from oncefold.aws.connect import client
from oncefold.aws.deploy.cloudformation import Polling
from oncefold.aws.deploy.deployment import DeployClients, Deployment
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError
from oncefold.pipeline_file import load_pipeline
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.logs import LINE_BYTES, LogShipper
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.local.stack import LocalStack, Schedule, StackDescription, describe
from tests.aws.local.functions import noting
from tests.aws.local.services import QUICK, failure_queue, messages, put, stream_arn, table_stream_arn
from tests.tools.sizes import full_only
from tests.tools.waiting import until

SECONDS = 60.0
PIPELINE = """
name = "risk"
[event]
key = "id"
version = "version"
[rollups]
risk = ["kind", "region"]
[measures]
value = { sum = "value", scale = 2 }
"""


@pytest.fixture
def deployed(aws: Emulator, tmp_path: Path) -> Iterator[Names]:
    """The real template's stack, whose mappings the emulator leaves alone."""
    file = tmp_path / "pipeline.toml"
    file.write_text(PIPELINE)
    pipeline = load_pipeline(file)
    names = Names(f"local-{time.time_ns()}")
    deployment = Deployment(pipeline, names, DeployClients.connect(), Polling(time.sleep))
    settings = {"MappingsEnabled": "false", "ShardCount": "2", "StateWindowSeconds": "0", "ReduceWindowSeconds": "0"}
    plan = deployment.plan({**settings, "DeletionProtection": "false"}, None, "first")
    deployment.apply(plan, lambda _: None)
    return names


@full_only("5 s; the whole pipeline is in the short form")
def test_a_deployed_stack_counts_what_is_sent(deployed: Names, aws: Emulator) -> None:
    events = [
        {"id": f"e{number}", "version": 1, "value": number / 100, "kind": f"k{number % 3}", "region": f"r{number % 2}"}
        for number in range(300)
    ]
    put(deployed.stream, [json.dumps(event) for event in [*events, *events[:50]]])
    with LocalStack.deployed(deployed, client, aws.environment, timing=QUICK) as stack:
        stack.wait_until_idle(SECONDS)
        (swept,) = stack.sweep()
        assert swept.answer()["found"] == 0
        assert stack.counts[deployed.state_function].records == 350
    key = {"path": {"S": "/"}, "label": {"S": "risk"}}
    total = client("dynamodb").get_item(TableName=deployed.aggregate_table, Key=key)["Item"]
    assert (int(total["count"]["N"]), Decimal(total["value"]["N"])) == (300, Decimal("448.50"))
    lines = printed(deployed.state_function)
    assert sum(json.loads(line)["events"] for line in lines) == 350


def test_a_stack_is_described_as_it_is_deployed(deployed: Names, aws: Emulator, tmp_path: Path) -> None:
    described = describe(deployed, client, tmp_path, aws.environment, concurrency=3)
    assert [function.name for function in described.functions] == [
        deployed.state_function,
        deployed.reduce_function,
        deployed.sweep_function,
    ]
    state = described.functions[0]
    assert state.handler == "oncefold.aws.functions.handlers.state"
    assert state.environment["ONCEFOLD_STACK"] == deployed.stack
    assert state.environment["AWS_ENDPOINT_URL"] == aws.endpoint
    assert state.timeout_seconds >= 10
    assert state.concurrency == 3
    first, second = described.mappings
    assert first.source_arn == stream_arn(deployed.stream)
    assert first.starting_position == "TRIM_HORIZON"
    assert first.bisect
    assert first.report_failures
    assert first.max_retries == first.max_age_seconds == -1
    assert first.failure_queue_url is not None
    assert first.failure_queue_url.endswith(deployed.failure_queue)
    assert second.source_arn == table_stream_arn(deployed.reduce_table)
    assert second.filters == ('{"eventName":["INSERT"]}',)
    (schedule,) = described.schedules
    assert schedule.function == deployed.sweep_function
    assert schedule.seconds >= 60


def test_a_stack_that_is_not_deployed_is_said_in_words(aws: Emulator) -> None:
    with pytest.raises(OncefoldError, match="deploy the stack first"):
        LocalStack.deployed(Names("nowhere"), client, aws.environment)


def printed(function: str) -> list[str]:
    """The lines of a function, stream by stream."""
    logs, group = client("logs"), f"/aws/lambda/{function}"
    lines: list[str] = []
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        place = {"logGroupName": group, "logStreamName": stream["logStreamName"], "startFromHead": True}
        page: dict[str, Any] = {}
        token = None
        while not page or page["nextForwardToken"] != token:
            token = page.get("nextForwardToken")
            page = logs.get_log_events(**place, **({"nextToken": token} if token else {}))
            lines += [event["message"] for event in page["events"]]
    return lines


def local_stack(folder: Path, source: str, *mappings: MappingSettings, **settings: Any) -> tuple[LocalStack, Any]:
    function, notes = noting(folder, source)
    description = StackDescription((function,), mappings, **settings)
    return LocalStack(description, client, QUICK), notes


FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:function"


def test_what_fails_for_good_is_in_the_failure_queue(stack: Names, tmp_path: Path) -> None:
    url = failure_queue(stack.failure_queue)
    mapping = MappingSettings(stream_arn(stack.stream), FUNCTION_ARN, max_retries=0, failure_queue_url=url)
    running, _ = local_stack(tmp_path, "def handle(event, context): raise ValueError", mapping)
    put(stack.stream, ["k:0"])
    with running:
        running.wait_until_idle(SECONDS)
    (message,) = messages(url)
    assert message["KinesisBatchInfo"]["batchSize"] == 1


def test_a_schedule_runs_its_function_again_and_again(aws: Emulator, tmp_path: Path) -> None:
    source = "def handle(event, context): note({'Records': [event]})"
    running, notes = local_stack(tmp_path, source, schedules=(Schedule("function", 0.01),))
    with running:
        until(lambda: len(notes.deliveries()) >= 3, "the function ran three times")
        (swept,) = running.sweep()
        assert swept.error is None
    assert notes.deliveries()[0].records[0]["source"] == "aws.events"


def test_a_function_can_be_run_by_hand(aws: Emulator, tmp_path: Path) -> None:
    running, _ = local_stack(tmp_path, "def handle(event, context): return event['n'] + 1")
    with running:
        assert running.invoke("function", {"n": 1}).answer() == 2


def invocation(ended: float, *lines: str) -> InvocationResult:
    return InvocationResult("request", b"", None, 0.1, ended, "2026/01/01/[$LATEST]1", lines)


def test_log_lines_are_put_in_their_order_however_many(stack: Names) -> None:
    function = f"{stack.stack}-much"
    shipper = LogShipper(client("logs"))
    now = time.time()
    for number in range(110):
        shipper.add(function, invocation(now + number, *(f"{number}.{line}" for line in range(100))))
    shipper.flush()
    shipper.close()
    assert printed(function) == [f"{number}.{line}" for number in range(110) for line in range(100)]


def test_a_line_that_is_too_long_is_cut(stack: Names) -> None:
    function = f"{stack.stack}-long"
    shipper = LogShipper(client("logs"))
    for _ in range(6):
        shipper.add(function, invocation(time.time(), "é" * LINE_BYTES))
    shipper.close()
    assert [len(line) for line in printed(function)] == [LINE_BYTES // 2] * 6


class Unreachable:
    """A client of `logs` whose calls do not get through."""

    class exceptions:  # noqa: N801 - as boto3 has it
        ResourceAlreadyExistsException = KeyError

    def create_log_group(self, **_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://nowhere")


def test_lost_log_lines_are_told() -> None:
    shipper = LogShipper(Unreachable())
    shipper.add("function", invocation(0.0, "line"))
    with pytest.raises(OncefoldError, match="logs are lost"):
        shipper.close()
