"""Batches that failed for good: what Lambda wrote of them into the failure queue, and their records once more.

Shape of the messages: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda", and its like
for DynamoDB. They say where the records are, not what they are; the stream has them until its retention ends.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.connect import is_missing, plain_message
from oncefold.aws.names import Names
from oncefold.aws.stream import calls
from oncefold.aws.stream.records import Record
from oncefold.queries.protocol import Progress

Send = Callable[[Iterable[Record]], object]
"""Puts records into the stack's stream; when it returns they are all in it. Raises OncefoldError if not."""

_MESSAGES = 10
"""Messages of one ReceiveMessage."""
_WAIT_SECONDS = 1
"""A receive with long polling asks all servers of SQS."""
_HIDDEN_SECONDS = 300
"""So long nobody else gets a message that is being dealt with."""
_PAUSE_SECONDS = 0.2
"""Between two reads of a shard, which allows five a second."""
_EMPTY_READS = 50
"""Reads in a row without a record, after which a shard is taken to have no more."""


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """Where the records of a failed batch are."""

    shard: str
    first: str
    """Sequence number; in their order they are whole numbers."""
    last: str


@dataclass(slots=True)
class FailuresSent:
    """What became of the failure queue."""

    batches: int = 0
    """Batches of the stream that were sent again; their messages are deleted."""
    records: int = 0
    """Records in them."""
    reduced: int = 0
    """Messages about deltas; a drain applies those, and the messages are deleted after one."""
    kept: list[str] = field(default_factory=list)
    """Messages that could not be dealt with, and why; they stay."""


@dataclass(frozen=True)
class FailureQueue:
    """The failure queue of a stack."""

    names: Names
    sqs: Any
    kinesis: Any
    send: Send
    drain: Callable[[], bool]
    """Applies the deltas of the outbox; whether none is left of them."""
    sleep: Callable[[float], object]

    def redrive(self, progress: Progress) -> FailuresSent:
        """Deal with every message that is there."""
        result = FailuresSent()
        try:
            queue = self.sqs.get_queue_url(QueueName=self.names.failure_queue)["QueueUrl"]
        except ClientError as error:
            if not is_missing(error):
                raise
            result.kept.append(f"there is no queue {self.names.failure_queue}")
            return result
        applied: bool | None = None
        kept: list[str] = []
        for number, message in enumerate(_messages(self.sqs, queue), 1):
            about = _read(message["Body"])
            if "DDBStreamBatchInfo" in about:
                applied = self.drain() if applied is None else applied
                done = self._applied(result, applied=applied)
            else:
                done = self._again(about, result)
            if done:
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            else:
                kept.append(message["ReceiptHandle"])
            progress("failed batches", number)
        for receipt in kept:  # at the end, or they would come again at once
            self.sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
        return result

    def _applied(self, result: FailuresSent, *, applied: bool) -> bool:
        """Note a message about deltas; whether these are applied."""
        if applied:
            result.reduced += 1
        else:
            result.kept.append("a batch of deltas, of which some cannot be applied; see: oncefold aws drain")
        return applied

    def _again(self, about: Mapping[str, Any], result: FailuresSent) -> bool:
        """Send the records of a batch of the stream; whether all of them are in it."""
        if "KinesisBatchInfo" not in about:
            result.kept.append(f"a message of another kind, with {', '.join(sorted(about)) or 'nothing'}")
            return False
        batch = _batch(about["KinesisBatchInfo"])
        try:
            records = list(self._records(batch))
        except ClientError as error:
            if calls.trouble(error) not in {"gone", "argument"}:
                raise
            result.kept.append(f"{_name(batch)}: the stream does not have it any more: {plain_message(error)}")
            return False
        self.send(records)
        result.records += len(records)
        if not records or (records[0].location, records[-1].location) != (batch.first, batch.last):
            result.kept.append(
                f"{_name(batch)}: the stream does not keep all of it any more; the {len(records):,} records it still "
                "has were sent again, the others have to come from their source"
            )
            return False
        result.batches += 1
        return True

    def _records(self, batch: FailedBatch) -> Iterator[Record]:
        """The records of a shard from the batch's first to its last; their places are their sequence numbers.

        Where several batches of a shard are under way at once, those of others are between them.
        """
        iterator = self.kinesis.get_shard_iterator(
            StreamName=self.names.stream,
            ShardId=batch.shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=batch.first,
        )["ShardIterator"]
        empty = 0
        while iterator and empty < _EMPTY_READS:
            page = self.kinesis.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                sequence = record["SequenceNumber"]
                if int(sequence) > int(batch.last):
                    return
                yield Record(record["Data"], record["PartitionKey"], location=sequence)
                if sequence == batch.last:
                    return
            if not page["Records"] and not page.get("MillisBehindLatest"):
                return
            empty = 0 if page["Records"] else empty + 1
            iterator = page.get("NextShardIterator")
            self.sleep(_PAUSE_SECONDS)


def _messages(sqs: Any, queue: str) -> Iterator[Mapping[str, Any]]:
    """The messages of a queue, each once, until no new one comes."""
    seen: set[str] = set()
    while True:
        received = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=_MESSAGES,
            WaitTimeSeconds=_WAIT_SECONDS,
            VisibilityTimeout=_HIDDEN_SECONDS,
        )
        new = [message for message in received.get("Messages", ()) if message["MessageId"] not in seen]
        if not new:
            return
        seen.update(message["MessageId"] for message in new)
        yield from new


def _read(body: str) -> Mapping[str, Any]:
    """What a message says; nothing if it is no JSON object."""
    try:
        about = json.loads(body)
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _batch(about: Mapping[str, Any]) -> FailedBatch:
    return FailedBatch(about["shardId"], about["startSequenceNumber"], about["endSequenceNumber"])


def _name(batch: FailedBatch) -> str:
    return f"{batch.shard} from {batch.first} to {batch.last}"
