"""`status` says how far a stack is, and what it could not learn."""

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader, status
from oncefold.aws.reader.status import StatusClients
from oncefold.core.event import Content
from oncefold.core.fold import Stored
from oncefold.queries.model import Pending
from oncefold.queries.status_model import Count, FunctionState, MappingState, StreamState
from tests.aws.conftest import Run
from tests.aws.reader.stacks import Filled, fill, put, put_conflict, put_reject, state_item
from tests.queries.stores import MONDAY, SHOP, TUESDAY, events, lines

OpenReader = Callable[..., StackReader]


class Functions:
    """Lambda, as far as it is used."""

    def list_event_source_mappings(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if "-reduce" in FunctionName:
            return {"EventSourceMappings": []}
        return {"EventSourceMappings": [{"UUID": "1", "State": "Enabled", "LastProcessingResult": "OK"}]}


class Metrics:
    """CloudWatch, as far as it is used."""

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        (dimension,) = request["Dimensions"]
        if request["MetricName"] == "Errors":
            return {"Datapoints": [{"Sum": 2.0}, {"Sum": 1.0}] if dimension["Value"].endswith("-sweep") else []}
        return {"Datapoints": [{"Maximum": 1500.0}, {"Maximum": 250.0}]}


class Refusing:
    """A service that refuses every call."""

    def __getattr__(self, name: str) -> Any:
        def refuse(**request: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, name)

        return refuse


def clients(**others: Any) -> StatusClients:
    return dataclasses.replace(StatusClients.connect(), functions=Functions(), metrics=Metrics(), **others)


@pytest.fixture
def filled(stack: Names) -> Filled:
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    for number in range(3):
        put_reject(stack, b"[", "not an object", sequence=number)
    put_conflict(stack, SHOP, "A-3", 5, Content(("US", "x"), (1,)), Content(("US", "x"), (2,)))
    queue = client("sqs").create_queue(QueueName=stack.failure_queue)["QueueUrl"]
    client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    return filled


def test_a_stack_as_a_whole(filled: Filled, open_reader: OpenReader) -> None:
    found = open_reader(clients=clients()).status()
    names = filled.names
    assert (found.pipeline, found.fingerprint, found.accepted) == ("shop", SHOP.fingerprint, 1)
    assert found.region == "us-east-1"
    assert found.stream == StreamState(names.stream, "ACTIVE", "PROVISIONED", 2, 0, timedelta(hours=24))
    mapping, age = (MappingState("Enabled", "OK"),), timedelta(seconds=1.5)
    assert found.functions == (
        FunctionState(names.state_function, mapping, age, 0),
        FunctionState(names.reduce_function, (), age, 0),
        FunctionState(names.sweep_function, (), None, 3),
    )
    assert found.outbox == Pending(2, timedelta(seconds=12))
    assert (found.rejects, found.conflicts, found.failures) == (Count(3), Count(1), 1)
    assert found.keys == Count(len(filled.states), exact=False)
    assert found.nodes == Count(len(filled.totals), exact=False)
    assert found.live is None
    assert not found.unknown


def test_keys_and_nodes_counted_now(filled: Filled, open_reader: OpenReader) -> None:
    put(
        filled.names.state_table,
        [state_item(SHOP, f"k{number}", Stored(1, Content(("a", "b"), (1,)))) for number in range(40)],
    )
    found = open_reader(clients=clients(), count=True).status()
    assert found.keys == Count(len(filled.states) + 40)
    assert found.live == Count(4 + 40)
    assert found.nodes == Count(len(filled.totals))


def test_what_may_not_be_read_is_said(filled: Filled, open_reader: OpenReader) -> None:
    refusing = Refusing()
    found = open_reader(clients=StatusClients(refusing, refusing, refusing, refusing)).status()
    assert (found.stream, found.failures) == (None, None)
    assert {(function.mappings, function.age, function.errors) for function in found.functions} == {
        (None, None, None),
        ((), None, None),
    }
    assert found.unknown["stream"] == "not you (AccessDenied)"
    assert found.unknown["failure queue"] == "not you (AccessDenied)"
    assert found.outbox.deltas == 2


class Resharded:
    """Kinesis after a merge, which lists its shards a page at a time."""

    def describe_stream_summary(self, **request: Any) -> dict[str, Any]:
        summary = {"StreamStatus": "ACTIVE", "RetentionPeriodHours": 48}
        return {"StreamDescriptionSummary": {**summary, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}}

    def list_shards(self, **request: Any) -> dict[str, Any]:
        closed = {"SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "9"}}
        if "NextToken" in request:
            return {"Shards": [closed, {"SequenceNumberRange": {"StartingSequenceNumber": "10"}}]}
        return {"Shards": [closed], "NextToken": "more"}


def test_shards_are_open_or_closed(filled: Filled, open_reader: OpenReader) -> None:
    found = open_reader(clients=clients(kinesis=Resharded())).status().stream
    assert found == StreamState(filled.names.stream, "ACTIVE", "ON_DEMAND", 1, 2, timedelta(hours=48))


def test_lists_are_counted_so_far_only(
    filled: Filled, open_reader: OpenReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "COUNTED_ROWS", 0)
    found = open_reader(clients=clients()).status()
    assert not found.rejects.complete


def test_the_command(filled: Filled, run: Run) -> None:
    exit_status, out, err = run("status")
    assert (exit_status, err) == (0, "")
    shown = dict(line.split(None, 1) for line in out.splitlines())
    assert shown["stack"].startswith(f"{filled.names.stack} in us-east-1 at 2")
    assert shown["pipeline"] == f"shop, definition {SHOP.fingerprint[:8]}"
    assert shown["stream"] == "active, provisioned, 2 open shards, keeps 1 d"
    assert shown["keys"] == "about 5"
    assert shown["outbox"].startswith("2 deltas pending, the oldest ")
    assert shown["rejects"] == "3; see: oncefold rejects"
    assert shown["failures"] == "1 message about failed batches; see: oncefold aws redrive"
    assert shown["about:"].endswith("--count counts now")
    exit_status, out, _ = run("status", "--count", "--format", "json")
    document = json.loads(out)
    assert exit_status == 0
    assert (document["keys"], document["live"], document["counted"]) == (5, 4, True)
    assert document["stream"]["open_shards"] == 2
    assert document["pending"]["deltas"] == 2
