"""Sending: whatever a request leaves out is sent again, and nothing else, within the limits of a request."""

import random
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from oncefold.aws.stream.records import FLUSH, Flush, OversizeRecord, Record, hashed
from oncefold.aws.stream.send import MAX_FAILED_REQUESTS, REQUEST_BYTES, REQUEST_RECORDS, SendBackoff, Sent, send
from oncefold.core.errors import OncefoldError, SourceError
from tests.aws.stream.scripted import refusal

MEBIBYTE = 2**20


@dataclass
class Stream:
    """Takes records, and leaves some out as a seed will have it."""

    seed: int = 0
    throttled: float = 0.0
    """Share of records that are too many for their shard."""
    failed: float = 0.0
    """Share that meets with a fault of the service."""
    unanswered: float = 0.0
    """Share of requests whose records are taken and whose answer gets lost."""
    requests: list[list[bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    meta: Any = field(default_factory=lambda: SimpleNamespace(region_name="eu-west-1"))

    def __post_init__(self) -> None:
        self._rng, self._lock = random.Random(self.seed), threading.Lock()

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert StreamName == "orders"
        assert 0 < len(Records) <= 500
        assert len(Records) == 1 or sum(len(r["Data"]) + len(r["PartitionKey"]) for r in Records) <= 5 * MEBIBYTE
        with self._lock:
            self.requests.append([record["Data"] for record in Records])
            answer = [self._take(record["Data"]) for record in Records]
            if self._rng.random() < self.unanswered:
                raise ConnectionClosedError(endpoint_url="https://kinesis")
        return {"FailedRecordCount": sum("ErrorCode" in entry for entry in answer), "Records": answer}

    def _take(self, data: bytes) -> dict[str, Any]:
        chance = self._rng.random()
        if chance < self.throttled:
            return {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded for shard"}
        if chance < self.throttled + self.failed:
            return {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal failure"}
        self.taken.append(data)
        return {"SequenceNumber": str(len(self.taken)), "ShardId": "shardId-0"}


class Waits:
    """Time that costs nothing, and the wish to stop after so many records."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.stop = False

    def backoff(self) -> SendBackoff:
        return SendBackoff(sleep=self.seconds.append, random=lambda: 1.0, stopped=lambda: self.stop)


def numbered(count: int, key: str | None = None) -> list[Record]:
    return [Record(b"%d" % n, key or hashed(b"%d" % n), 1, f"line {n}") for n in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_the_exact_set_arrives_each_record_once(seed: int) -> None:
    stream, waits = Stream(seed, throttled=0.2, failed=0.1), Waits()
    records = numbered(5_000)
    sent = send(stream, "orders", records, backoff=waits.backoff())
    assert Counter(stream.taken) == Counter(record.data for record in records)
    again = sum(map(len, stream.requests)) - 5_000
    assert sent == Sent(records=5_000, lines=5_000, size=sum(len(r.data) for r in records), retried=again,
                        throttled=sent.throttled)  # fmt: skip
    assert 0 < sent.throttled < again
    assert waits.seconds


def test_only_what_was_left_out_is_sent_again() -> None:
    stream = Stream(3, failed=0.3)
    send(stream, "orders", numbered(400, "one key"), backoff=Waits().backoff())
    for earlier, later in zip(stream.requests, stream.requests[1:], strict=False):
        assert set(later) < set(earlier)
        assert later == [data for data in earlier if data in later]


def test_a_lost_answer_doubles_but_never_loses() -> None:
    stream = Stream(1, unanswered=0.3, failed=0.1)
    records = numbered(3_000)
    sent = send(stream, "orders", [*records[:1_000], FLUSH, *records[1_000:]], backoff=Waits().backoff())
    assert set(stream.taken) == {record.data for record in records}
    assert len(stream.taken) > 3_000
    assert sent.lines == 3_000


def test_requests_are_as_large_as_they_may_be() -> None:
    stream = Stream()
    send(stream, "orders", numbered(1_201, "one key"), backoff=Waits().backoff())
    assert [len(request) for request in stream.requests] == [500, 500, 201]
    stream = Stream()
    large = [Record(bytes(MEBIBYTE - 100), "one key") for _ in range(11)]
    send(stream, "orders", large, backoff=Waits().backoff())
    assert [len(request) for request in stream.requests] == [5, 5, 1]
    assert (REQUEST_RECORDS, REQUEST_BYTES) == (500, 5 * MEBIBYTE)


def test_records_under_one_key_reach_the_stream_in_order() -> None:
    stream = Stream(unanswered=0.1)
    keys = [f"key {n}" for n in range(9)]
    records = [Record(f"{key}/{n:04d}".encode(), key) for n in range(700) for key in keys]
    send(stream, "orders", records, backoff=Waits().backoff())
    for key in keys:
        found = [data for data in stream.taken if data.startswith(f"{key}/".encode())]
        assert list(dict.fromkeys(found)) == sorted(set(found))


def test_what_is_too_large_is_left_out_and_the_rest_is_sent() -> None:
    stream = Stream()
    reported: list[OversizeRecord] = []
    records: list[Record | OversizeRecord | Flush] = [
        Record(bytes(MEBIBYTE - 3), "key", location="line 1"),
        Record(bytes(MEBIBYTE - 2), "key", location="line 2"),
        OversizeRecord("line 3", 10**9),
        Record(b"x", "key", location="line 4"),
    ]
    sent = send(stream, "orders", records, backoff=Waits().backoff(), on_oversize=reported.append)
    assert reported == [OversizeRecord("line 2", MEBIBYTE + 1), OversizeRecord("line 3", 10**9)]
    assert (sent.records, sent.oversize) == (2, 2)
    stream = Stream()
    send(stream, "orders", [Record(bytes(9 * MEBIBYTE), "key"), *numbered(3)], record_bytes=10 * MEBIBYTE)
    assert len(stream.taken) == 4


def test_pauses_grow_while_nothing_is_taken_and_then_it_is_given_up() -> None:
    stream, waits = Stream(throttled=1.0), Waits()
    with pytest.raises(OncefoldError, match=r"kinesis://orders: it takes nothing more: Rate exceeded.*0 lines are in"):
        send(stream, "orders", numbered(10, "one key"), backoff=waits.backoff())
    assert len(stream.requests) == MAX_FAILED_REQUESTS
    assert waits.seconds[:7] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert set(waits.seconds[7:]) == {5.0}


def test_what_is_not_allowed_ends_it_at_once_and_says_what_is_in() -> None:
    stream = Stream()
    take, calls = stream.put_records, []

    def refuse_later(**request: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) > 2:
            raise refusal("AccessDeniedException", "PutRecords", "not authorized")
        return take(**request)

    stream.put_records = refuse_later  # type: ignore[method-assign]
    with pytest.raises(OncefoldError, match=r"AWS refused PutRecords: not authorized.*1,000 lines are in the stream"):
        send(stream, "orders", numbered(5_000, "one key"), backoff=Waits().backoff())
    assert len(stream.taken) == 1_000


def test_when_stopped_it_says_exactly_what_is_in_the_stream() -> None:
    stream, waits = Stream(5, throttled=0.1), Waits()

    def until_stopped() -> Iterator[Record]:
        for number, record in enumerate(numbered(50_000)):
            waits.stop = number > 20_000
            yield record

    sent = send(stream, "orders", until_stopped(), backoff=waits.backoff())
    assert sent.stopped
    assert 10_000 < sent.lines < 21_000
    assert sent.lines == len(stream.taken) == len(set(stream.taken))


def test_an_error_of_the_input_comes_after_all_that_came_before_it() -> None:
    def broken() -> Iterator[Record]:
        yield from numbered(700)
        raise SourceError("the file is gone")

    stream = Stream(failed=0.1)
    with pytest.raises(SourceError, match="gone"):
        send(stream, "orders", broken(), backoff=Waits().backoff())
    assert len(stream.taken) == 700


def test_an_interrupt_sends_nothing_more() -> None:
    def interrupted() -> Iterator[Record]:
        yield from numbered(10)
        raise KeyboardInterrupt

    stream = Stream()
    with pytest.raises(KeyboardInterrupt):
        send(stream, "orders", interrupted(), backoff=Waits().backoff())
    assert stream.taken == []


def test_a_flush_sends_what_is_there_before_more_comes() -> None:
    stream = Stream()
    arrived = threading.Event()
    take = stream.put_records

    def answer(**request: Any) -> dict[str, Any]:
        taken = take(**request)
        arrived.set()
        return taken

    stream.put_records = answer  # type: ignore[method-assign]

    def trickle() -> Iterator[Record | Flush]:
        yield Record(b"first", "key")
        yield FLUSH
        assert arrived.wait(30)
        yield Record(b"second", "key")

    send(stream, "orders", trickle(), backoff=Waits().backoff())
    assert stream.taken == [b"first", b"second"]


def test_several_requests_are_in_flight_but_not_more_than_asked_for() -> None:
    stream = Stream()
    gate = threading.Barrier(3, timeout=30)
    take = stream.put_records

    def together(**request: Any) -> dict[str, Any]:
        gate.wait()
        return take(**request)

    stream.put_records = together  # type: ignore[method-assign]
    workers = {zlib.crc32(b"%d" % number) % 3: str(number) for number in range(100)}
    send(stream, "orders", [Record(b"x", key) for key in workers.values()], threads=3, backoff=Waits().backoff())
    assert len(stream.requests) == 3
