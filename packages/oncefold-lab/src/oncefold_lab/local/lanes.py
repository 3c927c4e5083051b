"""Batches of one lane: made, finished as the function's answer says, repeated, split or discarded.

Rules, from "Using Lambda to process records from Amazon Kinesis Data Streams", "Configuring partial batch response"
and "Retain discarded batch records" of the Lambda Developer Guide:

- A batch has at most the batch size and 6 MB. It goes when it is full or when the window is over, which begins with
  the end of the invocation before it, or with the first record after that.
- A failed batch holds up its lane and is retried, with a growing wait, until it succeeds or a limit is reached.
- A partial answer finishes the records before the first failed one; the others are retried.
- With bisecting on, a failed batch is halved, and a partial answer splits it where it says; neither costs a retry.
  The guide does not say what becomes of a partial answer that finishes nothing: it is halved here.
- With a tumbling window an event says its shard, and an answer without a state is a failure ("Implementing stateful
  DynamoDB stream processing in Lambda"). The invocation that ends a window is left out here.
- Batches past the limits of retries or age are discarded, and the lane goes on.

Pure: times are handed in.

Rules: "Success and failure conditions" in "Configuring partial batch response with Kinesis Data Streams and Lambda".

Shape: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda", and its like for DynamoDB.
"""

import json
import math
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.settings import Disturbance, MappingSettings, PollTiming
from oncefold_lab.local.streams import PolledRecord

PAYLOAD_BYTES: Final = 6 * 2**20
"""Of one invocation, at most."""
_HEAD, _TAIL = b'{"Records":[', b"]}"

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records delivered together, and what became of earlier deliveries."""

    entries: tuple[PolledRecord, ...]
    retries: int = 0
    """Failures so far that count against the limit."""
    invocations: int = 0
    unhandled: bool = False
    """Whether the last invocation ended in an error, rather than with a partial answer."""

    def payload(self, window: bytes = b"") -> bytes:
        """The event for the function; `window` is what `tumbling` says."""
        return _HEAD + b",".join(entry.event for entry in self.entries) + (window or _TAIL)


def tumbling(settings: MappingSettings, shard: str, batch: RecordBatch) -> bytes:
    """What an event of a tumbling window has behind its records: its shard, and an empty state; without one nothing."""
    length = settings.tumbling_seconds
    if not length:
        return b""
    began = int(batch.entries[0].arrived) // length * length
    window = {
        "window": {"start": _window_moment(began), "end": _window_moment(began + length)},
        "state": {},
        "shardId": shard,
        "eventSourceARN": settings.source_arn,
        "isFinalInvokeForWindow": False,
        "isWindowTerminatedEarly": False,
    }
    return b"]," + json.dumps(window, separators=(",", ":")).encode().removeprefix(b"{")


@dataclass(frozen=True, slots=True)
class Discarded:
    """A batch given up, and why."""

    batch: RecordBatch
    condition: Condition


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an invocation made of its batch: how many records it finished, from the front, and whether it failed."""

    finished: int
    unhandled: bool = False


class RecordLane:
    """One lane of a shard."""

    def __init__(self, settings: MappingSettings, timing: PollTiming, disturbance: Disturbance) -> None:
        self._settings = settings
        self._timing = timing
        self._disturbance = disturbance
        self._fresh: deque[PolledRecord] = deque()
        self._fresh_bytes = 0
        self._failed: deque[RecordBatch] = deque()
        self._under_way: RecordBatch | None = None
        self._failures = 0
        self._window_began = -math.inf
        self._retry_at = -math.inf

    @property
    def waiting(self) -> int:
        """Records that are not finished."""
        under_way = 0 if self._under_way is None else len(self._under_way.entries)
        return len(self._fresh) + under_way + sum(len(batch.entries) for batch in self._failed)

    @property
    def empty(self) -> bool:
        """Whether all its records are finished."""
        return not (self._fresh or self._failed or self._under_way)

    def add(self, entry: PolledRecord, now: float) -> None:
        """Take a record of the shard, the next in its order."""
        if not self._fresh:
            self._window_began = now
        self._fresh.append(entry)
        self._fresh_bytes += _size(entry)

    def due(self) -> float:
        """From when on there is a batch to be delivered; never while one is under way."""
        if self._under_way is not None or self.empty:
            return math.inf
        if self._failed:
            return self._retry_at
        full = len(self._fresh) >= self._settings.batch_size or self._fresh_bytes >= PAYLOAD_BYTES
        return -math.inf if full else self._window_began + self._settings.window_seconds

    def take(self, wall: float) -> tuple[RecordBatch | None, Discarded | None]:
        """The batch that is due, under way from now on, and what of it has grown too old, at this time of day."""
        batch = self._failed.popleft() if self._failed else self._cut()
        old = self._too_old(batch.entries, wall)
        rest = batch.entries[old:]
        self._under_way = replace(batch, entries=rest) if rest else None
        discarded = Discarded(replace(batch, entries=batch.entries[:old]), "RecordAgeExceeded") if old else None
        return self._under_way, discarded

    def finish(self, verdict: Verdict, now: float) -> Discarded | None:
        """Say what came of the batch under way; what is given up for it."""
        batch, self._under_way = self._under_way, None
        assert batch is not None
        self._window_began = now
        rest = batch.entries[verdict.finished :]
        self._failures = self._failures + 1 if rest and not verdict.finished else 0
        self._retry_at = now + self._timing.retry(self._failures)
        if not rest:
            return None
        left = replace(batch, entries=rest, invocations=batch.invocations + 1, unhandled=verdict.unhandled)
        splits = self._settings.bisect and (verdict.finished > 0 or len(rest) > 1)
        if not splits:
            left = replace(left, retries=left.retries + 1)
            if 0 <= self._settings.max_retries < left.retries:
                return Discarded(left, "RetryAttemptsExhausted")
        halves = splits and not verdict.finished
        self._failed.extendleft(reversed(self._again(left, halves=halves)))
        return None

    def _cut(self) -> RecordBatch:
        entries: list[PolledRecord] = []
        self._fill(entries, self._settings.batch_size)
        return RecordBatch(tuple(entries))

    def _fill(self, entries: list[PolledRecord], most: int) -> None:
        """Move fresh records to `entries` until there are as many as a batch may have."""
        room = PAYLOAD_BYTES - len(_HEAD) - len(_TAIL) - sum(map(_size, entries))
        while self._fresh and len(entries) < most and (not entries or _size(self._fresh[0]) <= room):
            entry = self._fresh.popleft()
            self._fresh_bytes -= _size(entry)
            room -= _size(entry)
            entries.append(entry)

    def _again(self, left: RecordBatch, *, halves: bool) -> list[RecordBatch]:
        """A failed batch as it is to be delivered, in one or two."""
        size = math.ceil(len(left.entries) / 2) if halves else len(left.entries)
        size = self._disturbance.retry_size(size, self._settings.batch_size)
        entries = list(left.entries)
        if size > len(entries) and not self._failed:
            self._fill(entries, size)
        parts = (tuple(entries[:size]), tuple(entries[size:]))
        return [replace(left, entries=part) for part in parts if part]

    def _too_old(self, entries: Iterable[PolledRecord], wall: float) -> int:
        """How many records, from the front, are older than the mapping allows."""
        if self._settings.max_age_seconds < 0:
            return 0
        oldest = wall - self._settings.max_age_seconds
        count = 0
        for entry in entries:
            if entry.arrived >= oldest:
                break
            count += 1
        return count


def _size(entry: PolledRecord) -> int:
    """Bytes in a batch, with the comma."""
    return len(entry.event) + 1


def verdict_of(
    invocation: InvocationResult, batch: RecordBatch, *, report_failures: bool, stateful: bool = False
) -> Verdict:
    """How much of the batch is finished; `stateful` for a mapping with a tumbling window."""
    if invocation.error is not None or (stateful and not _has_state(invocation)):
        return Verdict(0, unhandled=True)
    if not report_failures:
        return Verdict(len(batch.entries))
    return Verdict(_finished(invocation, batch))


def verdict_in(settings: MappingSettings, invocation: InvocationResult, batch: RecordBatch) -> Verdict:
    """How much of the batch is finished, by the settings of its mapping."""
    return verdict_of(
        invocation, batch, report_failures=settings.report_failures, stateful=settings.tumbling_seconds > 0
    )


def _has_state(invocation: InvocationResult) -> bool:
    try:
        answer = invocation.answer()
    except ValueError:
        return False
    return isinstance(answer, dict) and "state" in answer


def _finished(invocation: InvocationResult, batch: RecordBatch) -> int:
    """Nothing said of failures means success; whatever cannot be understood means that the whole batch failed."""
    try:
        answer = invocation.answer()
    except ValueError:
        return 0
    if not answer:
        return len(batch.entries)
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else answer
    if not failures:
        return len(batch.entries)
    places = {entry.sequence: place for place, entry in enumerate(batch.entries)}
    try:
        return min(places[failure["itemIdentifier"]] for failure in failures)
    except (KeyError, TypeError):
        return 0


def describe(settings: MappingSettings, shard: str, discarded: Discarded, wall: float) -> str:
    """The message, as JSON. It says where the records are; what they are is only said in a bucket."""
    batch = discarded.batch
    first, last = batch.entries[0], batch.entries[-1]
    information = {
        "shardId": shard,
        "startSequenceNumber": first.sequence,
        "endSequenceNumber": last.sequence,
        "approximateArrivalOfFirstRecord": _discard_moment(first.arrived),
        "approximateArrivalOfLastRecord": _discard_moment(last.arrived),
        "batchSize": len(batch.entries),
        "streamArn": settings.source_arn,
    }
    kinesis = settings.source_arn.split(":")[2] == "kinesis"
    name = f"{settings.source_arn}/{shard}/{first.sequence}/{last.sequence}"
    message: dict[str, Any] = {
        "requestContext": {
            "requestId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "functionArn": settings.function_arn,
            "condition": discarded.condition,
            "approximateInvokeCount": batch.invocations,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _discard_moment(wall),
        "KinesisBatchInfo" if kinesis else "DDBStreamBatchInfo": information,
    }
    if not batch.unhandled:
        del message["responseContext"]["functionError"]
    if not batch.invocations:
        del message["responseContext"]
    if settings.failure_bucket is not None:
        message["payload"] = json.loads(batch.payload())
    return json.dumps(message)


def object_key(settings: MappingSettings, message: str) -> str:
    """Where in a bucket the message of a discarded batch is kept."""
    about = json.loads(message)
    shard = (about.get("KinesisBatchInfo") or about["DDBStreamBatchInfo"])["shardId"]
    day, _, moment = about["timestamp"].partition("T")
    time = f"{day}T{moment[:8].replace(':', '.')}"
    return f"aws/lambda/{settings.id}/{shard}/{day.replace('-', '/')}/{time}-{uuid.uuid4()}"


def _window_moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _discard_moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
