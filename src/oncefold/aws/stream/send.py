"""Sends records into a Kinesis stream: full requests, several at a time, and again exactly what a request left out.

Records are assigned to workers by their partition keys. A worker sends one request after the other, the next when all
records of one are in, so that two records under one key reach their shard in order, but for those of one request.
Sending again is harmless, as an event counts once: so a request without an answer is simply sent again.
"""

import queue
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.stream import calls
from oncefold.aws.stream.records import Flush, OversizeRecord, Record
from oncefold.core.errors import OncefoldError

REQUEST_RECORDS: Final = 500
"""Records of one PutRecords."""

REQUEST_BYTES: Final = 5 * 2**20
"""Bytes of one PutRecords, partition keys included. Kinesis takes 10 MiB since 2025; emulators still take 5."""

THREADS: Final = 4
"""Requests in flight."""

BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.1, 5.0
"""Before the first repetition: up to this long; twice that before the next, up to the longest."""

MAX_FAILED_REQUESTS: Final = 40
"""Requests in a row of which nothing was taken, after which the stream is given up: some two minutes."""

_POLL_SECONDS: Final = 0.1
"""A wait for a worker checks this often whether it should stop."""

_THROTTLED: Final = "ProvisionedThroughputExceededException"


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, so far or in all."""

    records: int = 0
    """Records that are in the stream."""
    lines: int = 0
    """Lines in them."""
    size: int = 0
    """Bytes of them, without partition keys."""
    retried: int = 0
    """Records that had to be sent again, counted each time."""
    throttled: int = 0
    """Those of them that were more than a shard takes."""
    oversize: int = 0
    """Records too large for the stream; they are not in it."""
    stopped: bool = False
    """Whether sending was stopped before everything was sent."""


@dataclass(frozen=True, slots=True)
class SendBackoff:
    """The pauses between attempts: how to sleep, random numbers from 0 to 1, and whether to stop."""

    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random
    stopped: Callable[[], bool] = lambda: False


def send(
    client: Any,
    stream: str,
    records: Iterable[Record | OversizeRecord | Flush],
    *,
    record_bytes: int = calls.RECORD_BYTES,
    threads: int = THREADS,
    backoff: SendBackoff | None = None,
    on_progress: Callable[[Sent], object] = lambda _: None,
    on_oversize: Callable[[OversizeRecord], object] = lambda _: None,
) -> Sent:
    """Send all records; when it returns they are in the stream, apart from those too large.

    `client` is a boto3 client of Kinesis, or anything with its `put_records`. What is larger than `record_bytes` is
    not sent and passed to `on_oversize`. `on_progress` is called many times, in this thread. When stopped, requests in
    flight end first. Raises OncefoldError if the stream cannot be sent to, with the lines that are in it; an error of
    `records` is raised when all that came before it is sent.
    """
    backoff = backoff or SendBackoff()
    tally = _Tally()
    with _WorkerPool(_Sender(client, stream, tally, backoff), threads, lambda: on_progress(tally.sent())) as workers:
        for record in records:
            if backoff.stopped() or workers.failure is not None:
                break
            if isinstance(record, Flush):
                workers.flush()
            elif isinstance(record, OversizeRecord) or record.size > record_bytes:
                oversize = (
                    record if isinstance(record, OversizeRecord) else OversizeRecord(record.location, record.size)
                )
                tally.add(oversize=1)
                on_oversize(oversize)
            else:
                workers.add(record)
    if workers.failure is not None:
        sent = tally.sent()
        raise OncefoldError(
            f"kinesis://{stream}: {workers.failure}; {sent.lines:,} lines are in the stream. "
            "Send everything again when that is fixed: what is sent twice counts once"
        )
    sent = tally.sent(stopped=backoff.stopped())
    on_progress(sent)
    return sent


@dataclass(slots=True)
class _Tally:
    """What is sent so far; the workers add to it."""

    _counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._counts[name] = self._counts.get(name, 0) + amount

    def sent(self, *, stopped: bool = False) -> Sent:
        with self._lock:
            return Sent(**self._counts, stopped=stopped)


class _Sender:
    """Sends one request after another, each until all its records are in."""

    def __init__(self, client: Any, stream: str, tally: _Tally, backoff: SendBackoff) -> None:
        self._client, self._stream, self._tally, self._backoff = client, stream, tally, backoff

    def put(self, batch: Sequence[Record]) -> None:
        """Send a batch, repeating what was left out. Less is sent if stopped. Raises OncefoldError to give up."""
        failures = 0
        while batch and not self._backoff.stopped():
            left, why, throttled = self._request(batch)
            if not left:
                return
            failures = failures + 1 if len(left) == len(batch) else 1
            if failures >= MAX_FAILED_REQUESTS:
                raise OncefoldError(f"it takes nothing more: {why}")
            self._tally.add(retried=len(left), throttled=throttled)
            longest = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16))
            self._backoff.sleep(self._backoff.random() * longest)
            batch = left

    def _request(self, batch: Sequence[Record]) -> tuple[list[Record], str, int]:
        """One PutRecords: the records that are not in, why the first of them is not, how many were too many."""
        entries = [{"Data": record.data, "PartitionKey": record.partition_key} for record in batch]
        try:
            answer = self._client.put_records(StreamName=self._stream, Records=entries)["Records"]
        except (ClientError, BotoCoreError) as error:
            kind, reason = calls.trouble(error), calls.reason(error, self._client)
            if kind not in {"busy", "unreachable"}:
                raise OncefoldError(reason) from None
            return list(batch), reason, len(batch) if kind == "busy" else 0
        left = [(record, entry) for record, entry in zip(batch, answer, strict=True) if entry.get("ErrorCode")]
        taken = [record for record, entry in zip(batch, answer, strict=True) if not entry.get("ErrorCode")]
        self._tally.add(
            records=len(taken),
            lines=sum(record.lines for record in taken),
            size=sum(len(record.data) for record in taken),
        )
        why = f"{left[0][1].get('ErrorMessage') or 'no reason given'} ({left[0][1]['ErrorCode']})" if left else ""
        return [record for record, _ in left], why, sum(entry["ErrorCode"] == _THROTTLED for _, entry in left)


class _Worker:
    """A thread that sends batches in order, and the batch that is being filled for it."""

    def __init__(self, number: int, work: Callable[["_Worker"], None]) -> None:
        self.batch: list[Record] = []
        self.size = 0
        self.waiting: queue.Queue[list[Record] | None] = queue.Queue(1)
        self.thread = threading.Thread(target=work, args=(self,), name=f"oncefold-send-{number}", daemon=True)

    def has_room(self, record: Record) -> bool:
        """Whether a record goes into the same request; any goes into an empty one."""
        return not self.batch or (len(self.batch) < REQUEST_RECORDS and self.size + record.size <= REQUEST_BYTES)


class _WorkerPool:
    """Assigns records to workers. At the end of a `with` block everything that was added is sent."""

    def __init__(self, sender: _Sender, count: int, on_wait: Callable[[], object]) -> None:
        self._sender, self._on_wait = sender, on_wait
        self._workers = [_Worker(number, self._work) for number in range(count)]
        self.failure: BaseException | None = None
        """What made a worker give up; nothing more is sent then."""

    def add(self, record: Record) -> None:
        """Put a record into its worker's batch, sending that first if it is full."""
        worker = self._workers[zlib.crc32(record.partition_key.encode()) % len(self._workers)]
        if not worker.has_room(record):
            self._hand_over(worker)
        worker.batch.append(record)
        worker.size += record.size

    def flush(self) -> None:
        """Send all that was added, without waiting for more."""
        for worker in self._workers:
            self._hand_over(worker)

    def _hand_over(self, worker: _Worker) -> None:
        batch, worker.batch, worker.size = worker.batch, [], 0
        if batch:
            self._put(worker, batch)

    def _put(self, worker: _Worker, batch: list[Record] | None) -> None:
        self._on_wait()
        while True:
            try:
                return worker.waiting.put(batch, timeout=_POLL_SECONDS)
            except queue.Full:
                self._on_wait()

    def _work(self, worker: _Worker) -> None:
        while (batch := worker.waiting.get()) is not None:
            if self.failure is None:
                try:
                    self._sender.put(batch)
                except Exception as error:  # raised by `send`
                    self.failure = error

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception):
            self.flush()
        else:
            self.failure = self.failure or error  # an interrupt: what waits is not sent
        for worker in self._workers:
            self._put(worker, None)
        for worker in self._workers:
            while worker.thread.is_alive():
                worker.thread.join(_POLL_SECONDS)
                self._on_wait()
