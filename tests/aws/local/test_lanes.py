"""Batches of one lane, without a stream and without a function: only times and answers."""

import json
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.errors import OncefoldError
from oncefold_lab.local.environment import FunctionError, InvocationResult
from oncefold_lab.local.lanes import (
    PAYLOAD_BYTES,
    Discarded,
    RecordBatch,
    RecordLane,
    Verdict,
    describe,
    object_key,
    verdict_of,
)
from oncefold_lab.local.settings import Disturbance, MappingSettings, PollTiming, Undisturbed
from oncefold_lab.local.streams import PolledRecord
from tests.aws.local.disturbing import Disturbing

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
TIMING = PollTiming(first_retry=1.0, longest_retry=8.0)


def settings(**changed: object) -> MappingSettings:
    return MappingSettings(ARN, "arn:function", **changed)  # type: ignore[arg-type]


def lane(disturbance: Disturbance | None = None, **changed: object) -> RecordLane:
    return RecordLane(settings(**changed), TIMING, disturbance or Undisturbed())


def entries(count: int, size: int = 10, first: int = 0) -> list[PolledRecord]:
    return [PolledRecord(str(first + index), b"k", float(first + index), b"x" * size) for index in range(count)]


def fill(filled: RecordLane, records: Sequence[PolledRecord], now: float = 0.0) -> None:
    for record in records:
        filled.add(record, now)


def take(taken: RecordLane) -> list[int]:
    """Sequence numbers of the batch that is due."""
    batch, _ = taken.take(0.0)
    return [int(entry.sequence) for entry in batch.entries] if batch else []


def test_a_batch_is_no_larger_than_its_size() -> None:
    some = lane(batch_size=3)
    fill(some, entries(4))
    assert take(some) == [0, 1, 2]
    some.finish(Verdict(3), 0.0)
    assert take(some) == [3]
    assert some.waiting == 1
    some.finish(Verdict(1), 0.0)
    assert some.empty


def test_a_batch_is_no_larger_than_the_payload() -> None:
    some = lane(batch_size=100, window_seconds=5)
    fill(some, entries(3, size=PAYLOAD_BYTES // 2))
    assert some.due() <= 0.0  # it is full, and does not wait for the window
    batch, _ = some.take(0.0)
    assert batch is not None
    assert len(batch.entries) == 1
    assert len(batch.payload()) <= PAYLOAD_BYTES


def test_a_batch_waits_for_the_window_or_until_it_is_full() -> None:
    some = lane(batch_size=2, window_seconds=5)
    fill(some, entries(1), now=10.0)
    assert some.due() == 15.0
    fill(some, entries(1, first=1), now=12.0)
    assert some.due() <= 12.0
    assert take(some) == [0, 1]
    fill(some, entries(1, first=2), now=13.0)
    some.finish(Verdict(2), 20.0)
    assert some.due() == 25.0  # the window begins with the end of the invocation


def test_nothing_is_due_while_a_batch_is_under_way() -> None:
    some = lane(batch_size=1)
    fill(some, entries(2))
    take(some)
    assert some.due() == float("inf")


def test_a_failed_batch_comes_again_with_growing_waits() -> None:
    some = lane(batch_size=2)
    fill(some, entries(3))
    due = []
    for _ in range(6):
        assert take(some) == [0, 1]
        some.finish(Verdict(0, unhandled=True), 100.0)
        due.append(some.due() - 100.0)
    assert due == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_partial_answer_goes_on_at_the_first_failed_record() -> None:
    some = lane(batch_size=4)
    fill(some, entries(5))
    assert take(some) == [0, 1, 2, 3]
    some.finish(Verdict(1), 0.0)
    assert some.due() <= 0.0  # it made progress
    assert take(some) == [1, 2, 3]
    some.finish(Verdict(3), 0.0)
    assert take(some) == [4]


def test_retries_are_counted_and_then_the_batch_is_given_up() -> None:
    some = lane(batch_size=2, max_retries=2)
    fill(some, entries(3))
    given_up: list[Discarded | None] = []
    for _ in range(3):
        take(some)
        given_up.append(some.finish(Verdict(0, unhandled=True), 0.0))
    assert given_up[:2] == [None, None]
    last = given_up[2]
    assert last is not None
    assert (last.condition, len(last.batch.entries), last.batch.invocations) == ("RetryAttemptsExhausted", 2, 3)
    assert take(some) == [2]  # the lane goes on


def test_a_poison_record_is_isolated_without_costing_retries() -> None:
    some = lane(batch_size=8, max_retries=1, bisect=True)
    fill(some, entries(8))
    delivered: list[list[int]] = []
    discarded: list[Discarded] = []
    while not some.empty:
        numbers = take(some)
        delivered.append(numbers)
        given_up = some.finish(Verdict(0, unhandled=True) if 5 in numbers else Verdict(len(numbers)), 0.0)
        discarded += [given_up] if given_up else []
    assert delivered == [[*range(8)], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [5], [6, 7]]
    (only,) = discarded
    assert [entry.sequence for entry in only.batch.entries] == ["5"]
    assert only.batch.invocations == 5


def test_with_partial_answers_bisecting_splits_where_they_say() -> None:
    some = lane(batch_size=8, max_retries=0, bisect=True, report_failures=True)
    fill(some, entries(8))
    delivered: list[list[int]] = []
    discarded: list[Discarded] = []
    while not some.empty:
        numbers = take(some)
        delivered.append(numbers)
        given_up = some.finish(Verdict(numbers.index(5) if 5 in numbers else len(numbers)), 0.0)
        discarded += [given_up] if given_up else []
    assert delivered == [[*range(8)], [5, 6, 7], [5, 6], [5], [6], [7]]
    assert [[entry.sequence for entry in one.batch.entries] for one in discarded] == [["5"]]
    assert not discarded[0].batch.unhandled


def test_records_past_their_age_are_given_up_and_younger_ones_delivered() -> None:
    some = lane(batch_size=4, max_age_seconds=100)
    fill(some, entries(4))  # they arrived at 0, 1, 2 and 3
    batch, discarded = some.take(102.0)
    assert discarded is not None
    assert discarded.condition == "RecordAgeExceeded"
    assert [entry.sequence for entry in discarded.batch.entries] == ["0", "1"]
    assert batch is not None
    assert [entry.sequence for entry in batch.entries] == ["2", "3"]
    some.finish(Verdict(0, unhandled=True), 102.0)
    batch, discarded = some.take(200.0)
    assert batch is None
    assert discarded is not None
    assert discarded.batch.invocations == 1
    assert some.empty


@given(
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)
def test_every_record_is_finished_in_order_whatever_fails(
    seed: int, count: int, size: int, bisect: bool, disturbed: bool
) -> None:
    """A record is finished after all records before it, however batches fail, split and are cut anew."""
    rng = random.Random(seed)
    some = lane(Disturbing(rng) if disturbed else None, batch_size=size, bisect=bisect)
    waiting = entries(count)
    finished: list[int] = []
    while waiting or not some.empty:
        arriving = rng.randint(0, 5)
        fill(some, waiting[:arriving])
        del waiting[:arriving]
        if some.due() == float("inf"):
            continue
        numbers = take(some)
        assert len(numbers) <= size
        done = rng.choice([0, rng.randint(0, len(numbers)), len(numbers)])
        assert some.finish(Verdict(done), 0.0) is None
        finished += numbers[:done]
    assert finished == [*range(count)]


def test_a_failed_batch_can_be_cut_anew() -> None:
    class OneMore(Undisturbed):
        def retry_size(self, failed: int, most: int) -> int:
            return min(failed + 1, most)

    some = lane(OneMore(), batch_size=3)
    fill(some, entries(2))
    assert take(some) == [0, 1]
    fill(some, entries(3, first=2))
    some.finish(Verdict(0), 0.0)
    assert take(some) == [0, 1, 2]


BATCH = RecordBatch(tuple(entries(4)))


def answered(payload: bytes, error: FunctionError | None = None) -> InvocationResult:
    return InvocationResult("request", payload, error, 0.1, 0.0, "stream", ())


@pytest.mark.parametrize(
    ("payload", "finished"),
    [
        (b'{"batchItemFailures":[]}', 4),
        (b'{"batchItemFailures":null}', 4),
        (b"{}", 4),
        (b"null", 4),
        (b'{"batchItemFailures":[{"itemIdentifier":"2"}]}', 2),
        (b'{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"1"}]}', 1),
        (b'{"batchItemFailures":[{"itemIdentifier":""}]}', 0),
        (b'{"batchItemFailures":[{"itemIdentifier":null}]}', 0),
        (b'{"batchItemFailures":[{"itemIdentifier":"77"}]}', 0),
        (b'{"batchItemFailures":[{"itemIdentifier":"2"},{"itemIdentifier":"77"}]}', 0),
        (b'{"batchItemFailures":[{"identifier":"2"}]}', 0),
        (b'{"batchItemFailures":["2"]}', 0),
        (b'{"batchItemFailures":"2"}', 0),
        (b'"done"', 0),
    ],
)
def test_partial_answers_are_read_as_lambda_reads_them(payload: bytes, finished: int) -> None:
    assert verdict_of(answered(payload), BATCH, report_failures=True) == Verdict(finished)
    assert verdict_of(answered(payload), BATCH, report_failures=False) == Verdict(4)


def test_an_error_finishes_nothing() -> None:
    failed = answered(b"", FunctionError("ValueError", "no"))
    for report_failures in (True, False):
        assert verdict_of(failed, BATCH, report_failures=report_failures) == Verdict(0, unhandled=True)


def test_in_a_bucket_a_discarded_batch_has_its_records_under_lambdas_key() -> None:
    record = PolledRecord("7", b"k", 0.0, b'{"kinesis":{"data":"eA=="}}')
    given_up = Discarded(RecordBatch((record,), invocations=2), "RetryAttemptsExhausted")
    own = settings(failure_bucket="b", id="the-id")
    message = describe(own, "shardId-0", given_up, 1772325486.021)
    assert json.loads(message)["payload"] == {"Records": [{"kinesis": {"data": "eA=="}}]}
    key = object_key(own, message)
    assert re.fullmatch(
        r"aws/lambda/the-id/shardId-0/2026/03/01/2026-03-01T00\.38\.06-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", key
    )
    assert "payload" not in json.loads(describe(settings(), "shardId-0", given_up, 0.0))


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 10_001}, {"parallelization": 11}])
def test_settings_that_lambda_refuses_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OncefoldError, match="a batch has 1 to 10,000 records"):
        settings(**wrong)
