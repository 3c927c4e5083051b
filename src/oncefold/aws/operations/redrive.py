"""`redrive`: rejects that can be read by now, and batches that failed for good, go through the stream once more.

Sending something again is harmless, since an event counts once. So everything is sent first, and taken off its list
only when it is in the stream.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self

from oncefold.aws.connect import aws_errors_explained, client
from oncefold.aws.functions.plan import refusal
from oncefold.aws.mappings import stream_name
from oncefold.aws.operations.drain import Drain
from oncefold.aws.operations.failure_bucket import FailureBucket
from oncefold.aws.operations.failures import FailedBatch, FailureQueue, FailuresSent, Redelivery, Send
from oncefold.aws.stream import calls
from oncefold.aws.stream.records import Record, by_key
from oncefold.aws.stream.send import send
from oncefold.aws.tables import Stack, StreamReject, read_rejects
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent, OncefoldError
from oncefold.core.fold import Stored
from oncefold.queries.event_model import RejectedEvent
from oncefold.queries.protocol import Progress, no_progress

_AT_ONCE = 500
"""Rejects that are sent together."""
_DELETE_ITEMS = 25
"""Items of one BatchWriteItem."""


@dataclass(slots=True)
class RejectsSent:
    """What became of the reject list."""

    sent: int = 0
    """Events that can be read now; they are in the stream again and off the list."""
    still: Counter[str] = field(default_factory=Counter)
    """Why the others cannot, and how many of them; they stay."""
    cut: int = 0
    """Events that stay because they were too long to be kept whole."""


def redrive_rejects(stack: Stack, send: Send, progress: Progress, began: int) -> RejectsSent:
    """Send what can be read under the present definition; `began` is now in nanoseconds: later rejects are left."""
    result = RejectsSent()
    readable = _readable(stack.pipeline, read_rejects(stack, progress), result, began)
    key = by_key(stack.pipeline)
    while some := list(islice(readable, _AT_ONCE)):
        send(Record(event.raw, key(event.raw), location=str(event.id)) for event in some)
        _delete(stack, [str(event.id) for event in some])
        result.sent += len(some)
    return result


def preview_rejects(stack: Stack, progress: Progress, began: int) -> RejectsSent:
    """What `redrive_rejects` would do now; nothing is changed."""
    result = RejectsSent()
    result.sent = sum(1 for _ in _readable(stack.pipeline, read_rejects(stack, progress), result, began))
    return result


def _readable(
    pipeline: Pipeline, rejects: Iterable[StreamReject], result: RejectsSent, began: int
) -> Iterator[RejectedEvent]:
    decoder = Decoder(pipeline)
    for reject in rejects:
        if reject.arrived > began:
            continue  # what was sent just now and is refused again
        if reject.event.cut:
            result.cut += 1
            continue
        try:
            _check(pipeline, decoder, reject.event.raw)
        except InvalidEvent as error:
            result.still[str(error)] += 1
        else:
            yield reject.event


def _check(pipeline: Pipeline, decoder: Decoder, raw: bytes) -> None:
    """Raises InvalidEvent for what StateLambda rejects."""
    event = decoder.json(raw)
    reason = refusal(pipeline, event.key, Stored(event.version, event.content))
    if reason is not None:
        raise InvalidEvent(reason)


def _delete(stack: Stack, ids: Sequence[str]) -> None:
    table = stack.names.reject_table
    for start in range(0, len(ids), _DELETE_ITEMS):
        some = ids[start : start + _DELETE_ITEMS]
        wanted: Any = {table: [{"DeleteRequest": {"Key": {"id": {"S": name}}}} for name in some]}
        while wanted:
            wanted = stack.dynamodb.batch_write_item(RequestItems=wanted).get("UnprocessedItems")


@dataclass(frozen=True)
class StackRedrive:
    """Sends the rejects and the failed batches of one stack again."""

    stack: Stack
    kinesis: Any
    sqs: Any
    drain: Drain
    clock: Callable[[], int]
    """Nanoseconds since 1970."""
    bucket: FailureBucket | None
    stream: str
    """The stream that the stack reads."""

    @classmethod
    def of(cls, stack: Stack, bucket: str | None = None) -> Self:
        """With the standard clients; from a bucket that is named, else from the one that the stack has, if any."""
        with aws_errors_explained(stack.names.stack):
            functions = client("lambda")
            found = FailureBucket.of_stack(stack.names, functions, client("s3"), bucket)
            stream = stream_name(stack.names, functions)
        return cls(stack, client("kinesis"), client("sqs"), Drain.of(stack), time.time_ns, found, stream)

    def preview(self, progress: Progress) -> tuple[RejectsSent, list[FailedBatch]]:
        """What would be sent again: of the rejects what became of them, and the failed batches. Nothing is changed."""
        with aws_errors_explained(self.stack.names.stack):
            rejects = preview_rejects(self.stack, progress, self.clock())
            whole = [] if self.bucket is None else list(self.bucket.listed())
            return rejects, [*whole, *FailureQueue(self.sqs, self._redelivery()).listed()]

    def redrive_rejects(self, progress: Progress) -> RejectsSent:
        """Send the rejects that can be read by now into the stream again."""
        with aws_errors_explained(self.stack.names.stack):
            return redrive_rejects(self.stack, self._send, progress, self.clock())

    def redrive_failures(self, progress: Progress) -> FailuresSent:
        """Send the batches that failed for good into the stream again, and apply the deltas that did."""
        result, redelivery = FailuresSent(), self._redelivery()
        with aws_errors_explained(self.stack.names.stack):
            queue = FailureQueue(self.sqs, redelivery)
            if self.bucket is not None:
                self.bucket.redrive(redelivery, progress, result)
                queue = FailureQueue(self.sqs, redelivery, self.bucket.has)
            queue.redrive(progress, result)
        return result

    def _redelivery(self) -> Redelivery:
        drain = self.drain
        return Redelivery(
            self.stack.names, self.stream, self.kinesis, self._send, lambda: drain.once(no_progress).empty, drain.sleep
        )

    def _send(self, records: Iterable[Record]) -> None:
        stream = self.stream
        most = calls.describe(self.kinesis, stream).record_bytes
        sent = send(self.kinesis, stream, records, record_bytes=most)
        if sent.oversize:
            raise OncefoldError(f"kinesis://{stream}: it takes records of {most:,} bytes, and some have more")
