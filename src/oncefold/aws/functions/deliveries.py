"""What Lambda delivers to StateLambda, by source, and the answer that says from where it delivers again.

Kinesis, SQS, Kafka (MSK or one's own), DynamoDB streams, and single events of EventBridge. The shapes and answers are
those of "Using Lambda with" each source in the Lambda developer guide; Kafka's partial answers those of "Configuring
error handling controls for Kafka event sources".
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions.state import StreamRecord
from oncefold.core.timestamps import parse_timestamp
from oncefold.dynamodb import invocation

_MILLIS, _NANOS = 1e3, 1e9
_KAFKA = frozenset({"aws:kafka", "SelfManagedKafka"})

Answer = dict[str, Any]


class UnfinishedError(Exception):
    """An event that came alone is not finished: Lambda calls again, since the invocation failed."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The records of one invocation, in their order."""

    records: Sequence[StreamRecord]
    _answer: Callable[[int], Answer]

    def answer(self, unfinished: int | None) -> Answer:
        """The answer if everything before this record is finished; None: everything is.

        Raises UnfinishedError where the source takes no partial answer.
        """
        return invocation.failures([]) if unfinished is None else self._answer(unfinished)


def delivery_of(event: Mapping[str, Any]) -> Delivery:
    """The records of an event. Raises ValueError for an event of another source."""
    if event.get("eventSource") in _KAFKA:
        return _kafka(event)
    if "detail-type" in event and "detail" in event:
        return Delivery([_of_bus(event)], _raise)
    items = event.get("Records") or [{}]
    source = items[0].get("eventSource", "aws:kinesis" if "kinesis" in items[0] else None)
    if source == "aws:kinesis":
        return _of_stream([kinesis_record(item) for item in items])
    if source == "aws:dynamodb":
        return _of_stream([_change_record(item) for item in items])
    if source == "aws:sqs":
        messages = [_message(item) for item in items]
        # What is not named is deleted from the queue, so all that follow are named, too.
        return Delivery(messages, lambda first: invocation.failures(one.sequence for one in messages[first:]))
    raise ValueError(
        f"an event of {source or 'an unknown source'}: StateLambda takes those of Kinesis, SQS, Kafka, DynamoDB "
        "streams and EventBridge"
    )


def kinesis_record(item: Mapping[str, Any]) -> StreamRecord:
    """A record of a Kinesis event."""
    kinesis = item["kinesis"]
    shard, _, sequence = item["eventID"].partition(":")
    data = base64.b64decode(kinesis["data"])
    return StreamRecord(shard, sequence, float(kinesis["approximateArrivalTimestamp"]), data)


def _of_stream(records: Sequence[StreamRecord]) -> Delivery:
    """Of a shard: Lambda goes on from the record that is named."""
    return Delivery(records, lambda first: invocation.failures([records[first].sequence]))


def _change_record(item: Mapping[str, Any]) -> StreamRecord:
    """A record of a DynamoDB stream, whole, as the envelope `dynamodb` reads it."""
    change = item["dynamodb"]
    table = str(item.get("eventSourceARN", "")).partition(":table/")[2]
    arrived = float(change.get("ApproximateCreationDateTime", 0))
    return StreamRecord(table, change["SequenceNumber"], arrived, _json(item))


def _message(item: Mapping[str, Any]) -> StreamRecord:
    queue = str(item["eventSourceARN"]).rpartition(":")[2]
    sent = float(item["attributes"]["SentTimestamp"]) / _MILLIS
    return StreamRecord(queue, item["messageId"], sent, item["body"].encode("utf-8", "surrogatepass"))


def _kafka(event: Mapping[str, Any]) -> Delivery:
    """Records of some partitions, of each in order. A value of null is a tombstone, which says nothing."""
    items = [(partition, item) for partition, items in event["records"].items() for item in items]
    records = [
        StreamRecord(
            partition, str(item["offset"]), item["timestamp"] / _MILLIS, base64.b64decode(item.get("value") or "")
        )
        for partition, item in items
    ]

    def answer(first: int) -> Answer:
        offsets: dict[str, int] = {}
        for partition, item in items[first:]:
            offsets[partition] = min(offsets.get(partition, item["offset"]), item["offset"])
        failed = [{"itemIdentifier": {"partition": name, "offset": offset}} for name, offset in offsets.items()]
        return {"batchItemFailures": failed}

    return Delivery(records, answer)


def _of_bus(event: Mapping[str, Any]) -> StreamRecord:
    """The detail of an event of EventBridge, which comes alone."""
    at = parse_timestamp(event["time"]) / _NANOS if "time" in event else 0.0
    return StreamRecord(str(event.get("source", "")), str(event.get("id", "")), at, _json(event["detail"]))


def _raise(_: int) -> Answer:
    raise UnfinishedError("the time did not suffice; Lambda calls again, and nothing counts twice")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
