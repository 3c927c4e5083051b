"""`redrive`: everything that can be, goes through the stream again, and is off its list only when it is in there."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions.rejected import RAW_BYTES
from oncefold.aws.names import Names
from oncefold.aws.operations.failures import FailureQueue, FailuresSent, Redelivery
from oncefold.aws.operations.redrive import RejectsSent, redrive_rejects
from oncefold.aws.reader import StackReader
from oncefold.aws.stream.records import Record
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Content
from oncefold.queries.protocol import no_progress
from tests.aws.conftest import Run
from tests.aws.reader.stacks import NOW, Filled, count, fill, put_conflict, put_reject
from tests.queries.stores import MONDAY, SHOP, TUESDAY, events, lines
from tests.tools.sizes import full_only, in_full

OpenReader = Callable[..., StackReader]

GOOD = json.dumps(MONDAY[0]).encode()
BAD = json.dumps({**MONDAY[0], "amount": "1.005"}).encode()
WHY = "field amount: '1.005' has more than 2 decimal places"


def in_stream(names: Names) -> list[bytes]:
    kinesis = client("kinesis")
    found: list[bytes] = []
    for shard in kinesis.list_shards(StreamName=names.stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=names.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]]
    return found


@pytest.fixture
def rejected(shop_stack: Filled) -> Names:
    names = shop_stack.names
    put_reject(names, GOOD, "it could not be read then", sequence=1)
    put_reject(names, BAD, "the same", sequence=2)
    put_reject(names, BAD, "the same", sequence=3)
    put_reject(names, GOOD + b" " * RAW_BYTES, "too long", sequence=4)
    put_reject(names, GOOD, "sent just now and refused again", sequence=5, arrived=NOW / 10**9 + 5)
    put_conflict(names, SHOP, "A-3", 5, Content(("US", "x"), (1,)), Content(("US", "x"), (2,)))
    return names


def test_what_can_be_read_now_is_sent_and_off_the_list(rejected: Names, open_reader: OpenReader) -> None:
    sent: list[Record] = []
    result = redrive_rejects(open_reader().stack, sent.extend, no_progress, NOW)
    assert result == RejectsSent(1, Counter({WHY: 2}), 1)
    assert [record.data for record in sent] == [GOOD]
    assert [row.sequence for row in open_reader().rejects()] == ["2", "3", "4", "5"]
    assert open_reader().conflicts().total == 1


def test_nothing_leaves_the_list_unless_it_is_in_the_stream(rejected: Names, open_reader: OpenReader) -> None:
    def fail(records: Iterable[Record]) -> None:
        raise OncefoldError("the stream is full")

    with pytest.raises(OncefoldError, match="the stream is full"):
        redrive_rejects(open_reader().stack, fail, no_progress, NOW)
    assert open_reader().rejects().total == 5


def test_what_dynamodb_could_not_hold_is_not_sent(
    shop_stack: Filled, open_reader: OpenReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_reject(shop_stack.names, GOOD, "too large")
    monkeypatch.setattr("oncefold.aws.operations.redrive.refusal", lambda *_: "its state would be too large")
    result = redrive_rejects(open_reader().stack, lambda records: None, no_progress, NOW)
    assert (result.sent, result.still) == (0, Counter({"its state would be too large": 1}))


# failed batches


@pytest.fixture
def queue(stack: Names) -> str:
    url: str = client("sqs").create_queue(QueueName=stack.failure_queue)["QueueUrl"]
    return url


def put_records(names: Names, *data: bytes) -> list[dict[str, Any]]:
    kinesis = client("kinesis")
    return [kinesis.put_record(StreamName=names.stream, Data=one, PartitionKey="k") for one in data]


def report_failure(queue: str, kind: str, shard: str, first: str, last: str) -> None:
    info = {"shardId": shard, "startSequenceNumber": first, "endSequenceNumber": last, "batchSize": 2}
    client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps({"version": "1.0", kind: info}))


def failures_of(names: Names, *, drained: bool = True) -> tuple[FailureQueue, list[bytes], list[int]]:
    sent: list[bytes] = []
    drains: list[int] = []

    def drain() -> bool:
        drains.append(1)
        return drained

    send = lambda records: sent.extend(record.data for record in records)  # noqa: E731
    redelivery = Redelivery(names, names.stream, client("kinesis"), send, drain, lambda seconds: None)
    return FailureQueue(client("sqs"), redelivery), sent, drains


def redriven(failures: FailureQueue) -> FailuresSent:
    result = FailuresSent()
    failures.redrive(no_progress, result)
    return result


def messages(queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def test_a_failed_batch_is_sent_again(stack: Names, queue: str) -> None:
    put = put_records(stack, b"0", b"1", b"2", b"3", b"4")
    report_failure(queue, "KinesisBatchInfo", put[1]["ShardId"], put[1]["SequenceNumber"], put[3]["SequenceNumber"])
    failures, sent, drains = failures_of(stack)
    assert redriven(failures) == FailuresSent(batches=1, records=3)
    assert sent == [b"1", b"2", b"3"]
    assert not drains
    assert messages(queue) == 0


def test_a_message_stays_until_its_records_are_sent(stack: Names, queue: str) -> None:
    (one,) = put_records(stack, b"0")
    report_failure(queue, "KinesisBatchInfo", one["ShardId"], one["SequenceNumber"], one["SequenceNumber"])
    failures, *_ = failures_of(stack)

    def fail(records: Iterable[Record]) -> None:
        raise OncefoldError("the stream is full")

    with pytest.raises(OncefoldError, match="full"):
        redriven(replace(failures, redelivery=replace(failures.redelivery, send=fail)))
    assert messages(queue) == 1


def test_a_batch_that_the_stream_has_in_part_stays_and_is_reported(stack: Names, queue: str) -> None:
    one, two = put_records(stack, b"0", b"1")
    beyond = str(int(two["SequenceNumber"]) + 1).rjust(len(two["SequenceNumber"]), "0")
    report_failure(queue, "KinesisBatchInfo", one["ShardId"], one["SequenceNumber"], beyond)
    report_failure(queue, "KinesisBatchInfo", "shardId-000000000099", one["SequenceNumber"], beyond)
    failures, sent, _ = failures_of(stack)
    result = redriven(failures)
    assert (result.batches, result.records, sent) == (0, 2, [b"0", b"1"])
    assert len(result.kept) == 2
    assert any("the 2 records it still has were sent again" in reason for reason in result.kept)
    assert any("the stream does not have it any more" in reason for reason in result.kept)
    assert messages(queue) == 2


@pytest.mark.parametrize("drained", [True, *in_full("1 s", False)])
def test_deltas_need_a_drain(stack: Names, queue: str, *, drained: bool) -> None:
    for number in range(2):
        report_failure(queue, "DDBStreamBatchInfo", "shardId-1", str(number), str(number))
    failures, _, drains = failures_of(stack, drained=drained)
    result = redriven(failures)
    assert drains == [1]
    assert (result.reduced, len(result.kept)) == ((2, 0) if drained else (0, 2))
    assert messages(queue) == (0 if drained else 2)


@pytest.mark.parametrize("body", ["not JSON", *in_full("2 s each", "[]", '{"x": 1}')])
def test_other_messages_stay(stack: Names, queue: str, body: str) -> None:
    client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    result = redriven(failures_of(stack)[0])
    assert result.kept[0].startswith("a message of another kind")
    assert messages(queue) == 1
    assert redriven(failures_of(stack)[0]) == result, "it is there for the next time"


def test_without_a_queue(stack: Names) -> None:
    assert redriven(failures_of(stack)[0]).kept == [f"there is no queue {stack.failure_queue}"]


# the command


def test_the_command_does_all_of_it(stack: Names, queue: str, run: Run) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    put_reject(stack, GOOD, "then")
    put_reject(stack, BAD, "then", sequence=2)
    put_reject(stack, GOOD + b" " * RAW_BYTES, "too long", sequence=4)
    put = put_records(stack, b"failed 1", b"failed 2")
    report_failure(queue, "KinesisBatchInfo", put[0]["ShardId"], put[0]["SequenceNumber"], put[1]["SequenceNumber"])
    report_failure(queue, "DDBStreamBatchInfo", "shardId-1", "1", "1")
    status, out, err = run("redrive")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "1 rejected event sent again",
        f"  1 cannot be read still: {WHY}",
        "  1 were not kept whole; send their source again",
        "1 failed batch sent again, 2 records",
        "1 message about deltas deleted; those deltas are applied",
    ]
    assert Counter(in_stream(stack)) == Counter([GOOD, *2 * [b"failed 1", b"failed 2"]])
    assert count(stack.reduce_table) == 0
    assert run("redrive")[1].splitlines()[0] == "0 rejected events sent again"


@full_only("1 s")
def test_the_command_says_what_is_left(shop_stack: Filled, queue: str, run: Run) -> None:
    client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    status, out, _ = run("redrive")
    assert status == 1
    assert out.splitlines()[-1] == "left: a message of another kind, with nothing"
