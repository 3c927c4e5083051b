"""Streams and queues of the emulator, and mappings on them that do not wait long."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from oncefold.aws.connect import client
from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.mappings import EventSourceMapping
from oncefold_lab.local.settings import Disturbance, MappingSettings, PollTiming
from oncefold_lab.local.streams import RecordFilter, open_stream

QUICK = PollTiming(poll=0.02, listing=0.05, first_retry=0.005, longest_retry=0.02)


def stream_arn(name: str) -> str:
    return f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}"


def table_stream_arn(table: str) -> str:
    description = client("dynamodb").describe_table(TableName=table)
    return str(description["Table"]["LatestStreamArn"])


def put(stream: str, texts: Iterable[str]) -> None:
    """Put records; the partition key of `key:7` is `key`."""
    waiting = [{"PartitionKey": text.partition(":")[0], "Data": text.encode()} for text in texts]
    kinesis = client("kinesis")
    for first in range(0, len(waiting), 500):
        answer = kinesis.put_records(StreamName=stream, Records=waiting[first : first + 500])
        assert answer["FailedRecordCount"] == 0


def failure_queue(name: str) -> str:
    return str(client("sqs").create_queue(QueueName=name)["QueueUrl"])


def messages(queue_url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while some := client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in some]
    return found


def mapping(
    arn: str,
    invoke: Callable[[bytes], InvocationResult],
    disturbance: Disturbance | None = None,
    discard: Callable[[str], object] = lambda _: None,
    timing: PollTiming = QUICK,
    **settings: Any,
) -> EventSourceMapping:
    made = MappingSettings(arn, "arn:aws:lambda:us-east-1:000000000000:function:function", **settings)
    return EventSourceMapping(
        made, open_stream(client, arn, RecordFilter.of(made.filters)), invoke, discard, timing, disturbance
    )
