"""The entry points, called as Lambda calls them, over the emulator."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import handlers, layout
from oncefold.aws.functions.guard import check_definition, definition_item
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.dynamodb.calls import OutOfTime
from tests.aws.functions.stacks import PIPELINE, Stack
from tests.aws.functions.test_protocol import BAD, EVENTS, SOME


@dataclass
class Context:
    seconds: float = 30.0
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def deployed(stack: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stack]:
    """A stack whose functions run in this process, cold."""
    (tmp_path / "pipeline.toml").write_text(to_toml(PIPELINE))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("ONCEFOLD_STACK", stack.stack)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    handlers._warm.cache_clear()
    yield Stack(client("dynamodb"), stack)
    handlers._warm.cache_clear()


def kinesis_event(lines: list[str]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventID": f"shardId-000000000001:{number}",
                "eventSource": "aws:kinesis",
                "kinesis": {
                    "data": base64.b64encode(line.encode()).decode(),
                    "sequenceNumber": str(number),
                    "partitionKey": "p",
                    "approximateArrivalTimestamp": 1_700_000_000.5,
                },
            }
            for number, line in enumerate(lines)
        ]
    }


def stream_event(stack: Stack) -> dict[str, Any]:
    """The outbox as its stream delivers it, with a deletion among the records."""
    items = stack.scan(stack.names.reduce_table)
    records: list[dict[str, Any]] = [
        {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(number), "NewImage": item}}
        for number, item in enumerate(items)
    ]
    return {"Records": [*records, {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "99", "Keys": {}}}]}


def test_events_become_totals(deployed: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert handlers.state(kinesis_event([*SOME, *BAD]), Context()) == {"batchItemFailures": []}
    event = stream_event(deployed)
    assert handlers.reduce(event, Context()) == {"batchItemFailures": []}
    deployed.check_exact(EVENTS)
    assert handlers.reduce(event, Context()) == {"batchItemFailures": []}
    assert handlers.sweep({}, Context()) == {"found": 0, "applied": 0, "left": 0, "refused": 0}
    deployed.check_exact(EVENTS)
    state, reduce, again, sweep = map(json.loads, capsys.readouterr().out.splitlines())
    assert (state["function"], state["stack"], state["request"]) == ("state", deployed.names.stack, "request-1")
    assert (state["events"], state["inserted"], state["corrected"], state["rejected"]) == (11, 4, 1, 3)
    assert (state["deleted"], state["stale"], state["duplicate"], state["unfinished"]) == (1, 1, 1, 0)
    assert (state["memory_mb"], state["transactions"], state["deltas"]) == (512, 1, 1)
    assert state["write_units"] > 0
    assert (reduce["deltas"], sweep["OutboxItems"]) == (1, 0)
    for document in (state, reduce, again, sweep):
        (described,) = document["_aws"]["CloudWatchMetrics"]
        assert described["Namespace"] == "Oncefold"
        assert all(metric["Name"] in document for metric in described["Metrics"])
        assert all(name in document for names in described["Dimensions"] for name in names)


def test_without_time_the_answer_names_the_first_record(deployed: Stack) -> None:
    handlers.state(kinesis_event([SOME[0]]), Context())
    assert handlers.state(kinesis_event(SOME[1:]), Context(0.2)) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert handlers.reduce(stream_event(deployed), Context(0.2)) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    deployed.check_balance()


def test_an_environment_without_time_to_check_its_definition_does_nothing(deployed: Stack) -> None:
    first = {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert handlers.state(kinesis_event(SOME), Context(0.2)) == first
    record = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "0", "NewImage": {}}}
    assert handlers.reduce({"Records": [record]}, Context(0.2)) == first
    with pytest.raises(OutOfTime):
        handlers.sweep({}, Context(0.2))
    assert deployed.states() == {}


def other(meaning: str) -> Pipeline:
    return parse_toml(to_toml(PIPELINE).replace("scale = 2", meaning))


def test_functions_of_another_definition_touch_nothing(deployed: Stack, tmp_path: Path) -> None:
    handlers.state(kinesis_event(SOME[:1]), Context())
    (tmp_path / "pipeline.toml").write_text(to_toml(other("scale = 3")))
    handlers._warm.cache_clear()
    before = deployed.states()
    with pytest.raises(DefinitionError, match="another definition of risk; deploy with `oncefold aws deploy`"):
        handlers.state(kinesis_event(SOME), Context())
    assert deployed.states() == before


def test_a_definition_that_was_let_in_may_go_on(deployed: Stack) -> None:
    wider = other('scale = 2, round = "half-even"')
    check_definition(PIPELINE, deployed.names, deployed.client)
    with pytest.raises(DefinitionError):
        check_definition(wider, deployed.names, deployed.client)
    item = definition_item(wider, frozenset([PIPELINE.fingerprint]))
    deployed.client.put_item(TableName=deployed.names.aggregate_table, Item=item)
    check_definition(wider, deployed.names, deployed.client)
    check_definition(PIPELINE, deployed.names, deployed.client)
    answer = deployed.client.get_item(TableName=deployed.names.aggregate_table, Key=layout.DEFINITION_KEY)
    assert parse_toml(answer["Item"]["toml"]["S"]) == wider
