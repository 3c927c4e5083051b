"""Events of each source as Lambda hands them over, in the shapes of its guide: all fold to the same totals."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import handlers
from oncefold.aws.functions.deliveries import UnfinishedError, delivery_of
from oncefold.aws.names import Names
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from tests.aws.functions.stacks import PIPELINE, Stack
from tests.aws.functions.test_handlers import Context, kinesis_event, stream_event
from tests.aws.functions.test_protocol import BAD, EVENTS, SOME


def sqs_event(lines: list[str]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-6619750{number:05}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
                "body": line,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {},
                "md5OfBody": "098f6bcd4621d373cade4e832627b4f6",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:my-queue",
                "awsRegion": "us-east-1",
            }
            for number, line in enumerate(lines)
        ]
    }


def kafka_event(lines: list[str], source: str = "aws:kafka") -> dict[str, Any]:
    """Every third line in a second partition, and a tombstone at its end."""
    partitions: dict[str, list[dict[str, Any]]] = {"mytopic-0": [], "mytopic-1": []}
    for number, line in enumerate(lines):
        name = f"mytopic-{int(number % 3 == 2)}"
        value = base64.b64encode(line.encode()).decode()
        partitions[name].append(_kafka_record(name, 15 + len(partitions[name]), value))
    partitions["mytopic-1"].append(_kafka_record("mytopic-1", 15 + len(partitions["mytopic-1"]), None))
    return {
        "eventSource": source,
        "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/751d2973-a626-431c-9d4e",
        "bootstrapServers": "b-2.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092",
        "records": partitions,
    }


def _kafka_record(partition: str, offset: int, value: str | None) -> dict[str, Any]:
    topic, _, number = partition.rpartition("-")
    return {
        "topic": topic,
        "partition": int(number),
        "offset": offset,
        "timestamp": 1545084650987,
        "timestampType": "CREATE_TIME",
        "key": "abcDEFghiJKLmnoPQRstuVWXyz1234==",
        "value": value,
        "headers": [{"headerKey": [104, 101, 97, 100, 101, 114]}],
    }


def bus_event(line: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Order changed",
        "source": "shop.orders",
        "account": "111122223333",
        "time": "2017-12-22T18:43:48Z",
        "region": "us-west-1",
        "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
        "detail": json.loads(line),
    }


Shape = Callable[[list[str]], list[dict[str, Any]]]
SHAPES: dict[str, Shape] = {
    "kinesis": lambda lines: [kinesis_event(lines)],
    "sqs": lambda lines: [sqs_event(lines)],
    "kafka": lambda lines: [kafka_event(lines)],
    "own kafka": lambda lines: [kafka_event(lines, "SelfManagedKafka")],
    "bus": lambda lines: [bus_event(line) for line in lines],
}


@pytest.fixture
def deploy(stack: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Stack]]:
    """Makes the functions of this process cold, with a definition."""

    def deployed(toml: str) -> Stack:
        (tmp_path / "pipeline.toml").write_text(toml)
        handlers._warm.cache_clear()
        return Stack(client("dynamodb"), stack)

    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("ONCEFOLD_STACK", stack.stack)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    yield deployed
    handlers._warm.cache_clear()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_events_of_every_source_become_the_same_totals(shape: Shape, deploy: Callable[[str], Stack]) -> None:
    deployed = deploy(to_toml(PIPELINE))
    for event in [*shape(SOME), *shape(SOME[::-1]), *SHAPES["sqs"](SOME)]:
        assert handlers.state(event, Context()) == {"batchItemFailures": []}
    handlers.reduce(stream_event(deployed), Context())
    handlers.sweep({}, Context())
    deployed.check_exact(EVENTS)


@pytest.mark.parametrize(
    ("event", "where"),
    [
        (sqs_event(BAD[:1]), ("my-queue", "059f36b4-87a3-44ab-83d2-661975000000")),
        (kafka_event(BAD[:1]), ("mytopic-0", "15")),
    ],
    ids=["sqs", "kafka"],
)
def test_a_reject_names_its_source_and_is_one_however_often_it_comes(
    event: dict[str, Any], where: tuple[str, str], deploy: Callable[[str], Stack]
) -> None:
    deployed = deploy(to_toml(PIPELINE))
    for _ in range(2):
        assert handlers.state(event, Context()) == {"batchItemFailures": []}
    (item,) = deployed.scan(deployed.names.reject_table)
    assert all(part in str(item) for part in where)


def test_without_time_each_source_is_told_what_to_deliver_again(deploy: Callable[[str], Stack]) -> None:
    deploy(to_toml(PIPELINE))
    messages = [one["messageId"] for one in sqs_event(SOME)["Records"]]
    short = Context(0.2)
    named = [{"itemIdentifier": name} for name in messages]
    assert handlers.state(sqs_event(SOME), short) == {"batchItemFailures": named}
    first = [{"itemIdentifier": {"partition": f"mytopic-{number}", "offset": 15}} for number in (0, 1)]
    assert handlers.state(kafka_event(SOME), short) == {"batchItemFailures": first}
    with pytest.raises(UnfinishedError, match="Lambda calls again"):
        handlers.state(bus_event(SOME[0]), short)


def test_what_is_finished_does_not_come_again() -> None:
    queue = delivery_of(sqs_event(SOME))
    assert [one["itemIdentifier"] for one in queue.answer(3)["batchItemFailures"]] == [
        record.sequence for record in queue.records[3:]
    ]
    kafka = delivery_of(kafka_event(SOME))
    first = len(kafka_event(SOME)["records"]["mytopic-0"])
    assert kafka.answer(first + 1) == {
        "batchItemFailures": [{"itemIdentifier": {"partition": "mytopic-1", "offset": 16}}]
    }
    assert kafka.answer(1) == {
        "batchItemFailures": [
            {"itemIdentifier": {"partition": "mytopic-0", "offset": 16}},
            {"itemIdentifier": {"partition": "mytopic-1", "offset": 15}},
        ]
    }
    assert kafka.answer(None) == {"batchItemFailures": []}


CHANGES = """
name = "changes"
[event]
key = "Id"
version = { field = "@version", type = "decimal" }
envelope = "dynamodb"
[rollups]
places = ["Place"]
[measures]
amount = { sum = "Amount", scale = 2 }
"""


def change(sequence: int, name: str, key: str, amount: str | None) -> dict[str, Any]:
    image = {"Id": {"S": key}, "Place": {"S": "DE"}, "Amount": {"N": amount}}
    return {
        "eventID": f"c4ca4238a0b923820dcc509a6f7584{sequence:02}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1428537600,
            "Keys": {"Id": {"S": key}},
            **({} if amount is None else {"NewImage": image}),
            "SequenceNumber": f"44215845000000000174504593{sequence:02}",
            "SizeBytes": 26,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:111122223333:table/Orders/stream/2015-05-11T21:21:33.291",
    }


def test_changes_of_a_table_are_folded_and_removed(deploy: Callable[[str], Stack]) -> None:
    deployed = deploy(to_toml(parse_toml(CHANGES)))
    records = [
        change(1, "INSERT", "a", "1.10"),
        change(2, "INSERT", "b", "1234567890123456.25"),
        change(3, "MODIFY", "a", "2.20"),
        change(4, "INSERT", "c", "5"),
        change(5, "REMOVE", "c", None),
    ]
    for event in ({"Records": records}, {"Records": records[::-1]}):
        assert handlers.state(event, Context()) == {"batchItemFailures": []}
    assert handlers.state({"Records": records}, Context(0.2)) == {
        "batchItemFailures": [{"itemIdentifier": "4421584500000000017450459301"}]
    }
    handlers.reduce(stream_event(deployed), Context())
    totals = str(deployed.scan(deployed.names.aggregate_table))
    assert "1234567890123458.45" in totals


def test_an_event_of_another_source_is_refused_in_words() -> None:
    for event in ({"Records": [{"eventSource": "aws:s3"}]}, {"Records": []}, {}):
        with pytest.raises(ValueError, match="StateLambda takes those of Kinesis, SQS, Kafka"):
            delivery_of(event)
