"""Batches that failed for good: what Lambda wrote of them into the failure queue, and their records once more.

Shape of the messages: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda", and its like
for DynamoDB. Those in the queue say where the records are, not what they are, and the stream has them until its
retention ends; those in a bucket (`failure_bucket`) hold the records themselves.
"""

import base64
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
_STREAM, _TABLE = "KinesisBatchInfo", "DDBStreamBatchInfo"


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """A batch that a function failed on for good, as Lambda describes it."""

    shard: str
    first: str
    """Sequence number; in their order they are whole numbers."""
    last: str
    size: int
    """Records in it."""
    time: str
    """When it was given up."""
    condition: str
    """Why it was given up: RetryAttemptsExhausted, RecordAgeExceeded."""
    deltas: bool
    """Whether its records are deltas, which are in the outbox."""
    records: tuple[Record, ...] | None
    """Where they came along; their places are their sequence numbers."""

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> "FailedBatch | None":
        """What a message says; None if it is about something else."""
        deltas = _TABLE in about
        where = about.get(_TABLE if deltas else _STREAM)
        if where is None:
            return None
        context = about.get("requestContext") or {}
        return cls(
            where["shardId"],
            where["startSequenceNumber"],
            where["endSequenceNumber"],
            int(where.get("batchSize", 0)),
            about.get("timestamp", ""),
            context.get("condition", ""),
            deltas,
            None if deltas or "payload" not in about else tuple(_records(about["payload"])),
        )

    @property
    def name(self) -> str:
        """Where its records are, or were."""
        return f"{self.shard} from {self.first} to {self.last}"


def read_message(body: str | bytes) -> Mapping[str, Any]:
    """What a message says; nothing if it is no JSON object."""
    try:
        about = json.loads(body)
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _records(payload: Any) -> Iterator[Record]:
    """The records of an event that Lambda kept."""
    event = json.loads(payload) if isinstance(payload, str) else payload
    for item in event["Records"]:
        record = item["kinesis"]
        yield Record(base64.b64decode(record["data"]), record["partitionKey"], location=record["sequenceNumber"])


@dataclass(slots=True)
class FailuresSent:
    """What became of the failed batches."""

    batches: int = 0
    """Batches of the stream that were sent again; they are off the list."""
    records: int = 0
    """Records in them."""
    reduced: int = 0
    """Batches of deltas; a drain applies those, and they are off the list after one."""
    kept: list[str] = field(default_factory=list)
    """What could not be dealt with, and why; it stays."""


@dataclass
class Redelivery:
    """Sends the records of failed batches again, wherever these are listed."""

    names: Names
    stream: str
    kinesis: Any
    send: Send
    drain: Callable[[], bool]
    """Applies the deltas of the outbox; whether none is left of them."""
    sleep: Callable[[float], object]
    _drained: bool | None = None

    def again(self, batch: FailedBatch, result: FailuresSent) -> bool:
        """Have the records of a batch dealt with again; whether it can be taken off its list."""
        if batch.deltas:
            return self._applied(result)
        records = self._fetched(batch, result) if batch.records is None else list(batch.records)
        if records is None:
            return False
        self.send(records)
        result.records += len(records)
        if not records or (records[0].location, records[-1].location) != (batch.first, batch.last):
            result.kept.append(
                f"{batch.name}: the stream does not keep all of it any more; the {len(records):,} records it still "
                "has were sent again, the others have to come from their source"
            )
            return False
        result.batches += 1
        return True

    def _applied(self, result: FailuresSent) -> bool:
        if self._drained is None:
            self._drained = self.drain()
        if self._drained:
            result.reduced += 1
            return True
        result.kept.append("a batch of deltas, of which some cannot be applied; see: oncefold aws drain")
        return False

    def _fetched(self, batch: FailedBatch, result: FailuresSent) -> list[Record] | None:
        """The records of a batch as far as the stream has them; None if it knows nothing of them."""
        try:
            return list(self._in_stream(batch))
        except ClientError as error:
            if calls.trouble(error) not in {"gone", "argument"}:
                raise
            result.kept.append(f"{batch.name}: the stream does not have it any more: {plain_message(error)}")
            return None

    def _in_stream(self, batch: FailedBatch) -> Iterator[Record]:
        """The records of a shard from the batch's first to its last; their places are their sequence numbers.

        Where several batches of a shard are under way at once, those of others are between them.
        """
        iterator = self.kinesis.get_shard_iterator(
            StreamName=self.stream,
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


@dataclass(frozen=True)
class FailureQueue:
    """The failure queue of a stack."""

    sqs: Any
    redelivery: Redelivery
    in_bucket: Callable[[str, str], bool] = lambda _bucket, _key: True
    """Whether a bucket still has an object that the queue was told of."""

    def listed(self) -> Iterator[FailedBatch]:
        """The batches that the queue has descriptions of; nothing is changed."""
        url = self._url()
        seen: list[str] = []
        for message in () if url is None else _messages(self.sqs, url):
            seen.append(message["ReceiptHandle"])
            batch = FailedBatch.of(read_message(message["Body"]))
            if batch is not None:
                yield batch
        for receipt in seen:
            self._show(url, receipt)

    def redrive(self, progress: Progress, result: FailuresSent) -> None:
        """Deal with every message that is there."""
        url = self._url()
        if url is None:
            result.kept.append(f"there is no queue {self.redelivery.names.failure_queue}")
            return
        kept: list[str] = []
        for number, message in enumerate(_messages(self.sqs, url), 1):
            if self._done(read_message(message["Body"]), result):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            else:
                kept.append(message["ReceiptHandle"])
            progress("failed batches", number)
        for receipt in kept:  # at the end, or they would come again at once
            self._show(url, receipt)

    def _url(self) -> str | None:
        try:
            url: str = self.sqs.get_queue_url(QueueName=self.redelivery.names.failure_queue)["QueueUrl"]
        except ClientError as error:
            if not is_missing(error):
                raise
            return None
        return url

    def _done(self, about: Mapping[str, Any], result: FailuresSent) -> bool:
        """Deal with a message; whether it is done with."""
        batch = FailedBatch.of(about)
        if batch is not None:
            return self.redelivery.again(batch, result)
        if about.get("source") == "aws.s3" and "detail" in about:
            # A notice of an object, which is dealt with in its bucket.
            detail = about["detail"]
            return not self.in_bucket(detail["bucket"]["name"], detail["object"]["key"])
        result.kept.append(f"a message of another kind, with {', '.join(sorted(about)) or 'nothing'}")
        return False

    def _show(self, url: str | None, receipt: str) -> None:
        """Let others get a message at once."""
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)


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
