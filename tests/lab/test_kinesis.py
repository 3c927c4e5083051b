"""Kinesis beyond the contract: reshards, retention, positions over virtual time, faults, and Oncefold's own reader."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.stream.shards import StreamCalls
from oncefold_lab.simulator.data_stream import HASH_KEYS
from oncefold_lab.simulator.faults import LATE_SECONDS, Fault, Faults, rates
from oncefold_lab.simulator.kinesis import Kinesis
from tests.lab.tools import START, ManualClock, ScriptedFaults, code

HOUR = 3600.0


def stream_of(*script: Fault | None, clock: ManualClock | None = None, shards: int = 2, **more: Any) -> Kinesis:
    kinesis = Kinesis(clock or ManualClock(), faults=ScriptedFaults(*script), **more)
    kinesis.create_stream(StreamName="stream", ShardCount=shards)
    return kinesis


def put(kinesis: Kinesis, *data: str, key: str = "key", **more: str) -> list[dict[str, Any]]:
    return [kinesis.put_record(StreamName="stream", PartitionKey=key, Data=each.encode(), **more) for each in data]


def shards(kinesis: Kinesis) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kinesis.list_shards(StreamName="stream")["Shards"]
    return found


def position(kinesis: Kinesis, shard: str, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    answer = kinesis.get_shard_iterator(StreamName="stream", ShardId=shard, ShardIteratorType=kind, **more)
    text: str = answer["ShardIterator"]
    return text


def read(kinesis: Kinesis, shard: str, kind: str = "TRIM_HORIZON", **more: Any) -> list[str]:
    at: str | None = position(kinesis, shard, kind, **more)
    found: list[str] = []
    while at is not None:
        answer = kinesis.get_records(ShardIterator=at)
        if not answer["Records"]:
            break
        found += [record["Data"].decode() for record in answer["Records"]]
        at = answer.get("NextShardIterator")
    return found


def test_an_explicit_hash_key_overrides_the_partition_key() -> None:
    kinesis = stream_of(shards=4)
    for index in range(4):
        (place,) = put(kinesis, str(index), ExplicitHashKey=str(HASH_KEYS * index // 4))
        assert place["ShardId"] == shards(kinesis)[index]["ShardId"]
    with pytest.raises(ClientError, match="ExplicitHashKey must be in the range"):
        put(kinesis, "x", ExplicitHashKey=str(HASH_KEYS))


def test_a_split_then_a_merge() -> None:
    kinesis = stream_of(shards=1)
    put(kinesis, "1", "2")
    (parent,) = shards(kinesis)
    kinesis.split_shard(StreamName="stream", ShardToSplit=parent["ShardId"], NewStartingHashKey="1000")
    _, low, high = shards(kinesis)
    assert low["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": "999"}
    put(kinesis, "3", ExplicitHashKey="5")
    put(kinesis, "4", ExplicitHashKey="1000")
    kinesis.merge_shards(StreamName="stream", ShardToMerge=low["ShardId"], AdjacentShardToMerge=high["ShardId"])
    put(kinesis, "5")
    parent, low, high, merged = shards(kinesis)
    assert (merged["ParentShardId"], merged["AdjacentParentShardId"]) == (low["ShardId"], high["ShardId"])
    assert [read(kinesis, shard["ShardId"]) for shard in (parent, low, high, merged)] == [
        ["1", "2"],
        ["3"],
        ["4"],
        ["5"],
    ]
    assert ["EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in shards(kinesis)] == [True] * 3 + [False]
    end = kinesis.get_records(ShardIterator=position(kinesis, low["ShardId"]))
    assert "NextShardIterator" not in end
    assert [(child["ShardId"], child["ParentShards"]) for child in end["ChildShards"]] == [
        (merged["ShardId"], [low["ShardId"], high["ShardId"]])
    ]


@pytest.mark.parametrize("hash_key", ["0", str(HASH_KEYS // 2), str(HASH_KEYS - 1)])
def test_a_split_needs_a_key_within_its_shard(hash_key: str) -> None:
    kinesis = stream_of()
    with pytest.raises(ClientError) as raised:
        kinesis.split_shard(
            StreamName="stream", ShardToSplit=shards(kinesis)[0]["ShardId"], NewStartingHashKey=hash_key
        )
    assert code(raised.value) == "InvalidArgumentException"


def test_only_open_neighbours_are_merged() -> None:
    kinesis = stream_of(shards=3)
    first, second, third = (shard["ShardId"] for shard in shards(kinesis))
    with pytest.raises(ClientError, match="not an adjacent pair"):
        kinesis.merge_shards(StreamName="stream", ShardToMerge=first, AdjacentShardToMerge=third)
    kinesis.merge_shards(StreamName="stream", ShardToMerge=second, AdjacentShardToMerge=first)
    with pytest.raises(ClientError, match="already been merged or split"):
        kinesis.merge_shards(StreamName="stream", ShardToMerge=second, AdjacentShardToMerge=third)


def test_records_are_gone_after_the_retention() -> None:
    clock = ManualClock()
    kinesis = stream_of(clock=clock, shards=1)
    (old,) = put(kinesis, "old")
    clock.advance(HOUR)
    (new,) = put(kinesis, "new")
    shard = new["ShardId"]
    clock.advance(23 * HOUR)
    assert read(kinesis, shard) == ["new"]
    assert read(kinesis, shard, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=old["SequenceNumber"]) == ["new"]
    kinesis.split_shard(StreamName="stream", ShardToSplit=shard, NewStartingHashKey=str(HASH_KEYS // 2))
    clock.advance(24 * HOUR)
    assert len(shards(kinesis)) == 2
    with pytest.raises(ClientError) as raised:
        read(kinesis, shard)
    assert code(raised.value) == "ResourceNotFoundException"
    assert kinesis.counts["trimmed records"] == 2


def test_positions() -> None:
    clock = ManualClock()
    kinesis = stream_of(clock=clock, shards=1)
    places = []
    for number in range(4):
        places += put(kinesis, str(number))
        clock.advance(10)
    shard, second = places[0]["ShardId"], places[1]["SequenceNumber"]
    assert read(kinesis, shard, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=second) == ["1", "2", "3"]
    assert read(kinesis, shard, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second) == ["2", "3"]
    assert read(kinesis, shard, "AT_TIMESTAMP", Timestamp=datetime.fromtimestamp(START + 15, UTC)) == ["2", "3"]
    assert read(kinesis, shard, "LATEST") == []
    at = position(kinesis, shard)
    clock.advance(301)
    with pytest.raises(ClientError) as raised:
        kinesis.get_records(ShardIterator=at)
    assert code(raised.value) == "ExpiredIteratorException"
    with pytest.raises(ClientError, match="is invalid"):
        position(kinesis, shard, "AT_SEQUENCE_NUMBER", StartingSequenceNumber="9" * 56)


def test_a_page_says_how_far_behind_it_is() -> None:
    clock = ManualClock()
    kinesis = stream_of(clock=clock, shards=1)
    put(kinesis, "1")
    clock.advance(5)
    (place,) = put(kinesis, "2")
    clock.advance(2)
    answer = kinesis.get_records(ShardIterator=position(kinesis, place["ShardId"]), Limit=1)
    assert answer["MillisBehindLatest"] == 2000
    assert kinesis.get_records(ShardIterator=answer["NextShardIterator"])["MillisBehindLatest"] == 0


def test_some_of_several_records_fail_and_only_those_are_missing() -> None:
    kinesis = stream_of(*[Fault.PARTIAL] * 20)
    left = [{"PartitionKey": str(number), "Data": str(number).encode()} for number in range(50)]
    failures = set()
    while left:
        answer = kinesis.put_records(StreamName="stream", Records=left)
        failed = [entry for entry in answer["Records"] if "ErrorCode" in entry]
        assert len(failed) == answer["FailedRecordCount"] < max(2, len(left))
        failures |= {entry["ErrorCode"] for entry in failed}
        left = [record for record, entry in zip(left, answer["Records"], strict=True) if "ErrorCode" in entry]
    found = [data for shard in shards(kinesis) for data in read(kinesis, shard["ShardId"])]
    assert sorted(found, key=int) == [str(number) for number in range(50)]
    assert failures == {"ProvisionedThroughputExceededException", "InternalFailure"}


def test_a_lost_reply_and_a_late_request_make_duplicates() -> None:
    clock = ManualClock()
    kinesis = stream_of(Fault.LOST_REPLY, Fault.LATE, clock=clock, shards=1)
    for _ in range(2):
        with pytest.raises((ClientError, BotoCoreError)):
            put(kinesis, "x")
    (place,) = put(kinesis, "x")
    assert read(kinesis, place["ShardId"]) == ["x", "x"]
    clock.advance(LATE_SECONDS)
    assert read(kinesis, place["ShardId"]) == ["x", "x", "x"]


def test_the_records_of_one_call_have_no_order_and_those_of_several_do() -> None:
    orders = set()
    for seed in range(10):
        kinesis = stream_of(shards=1, random=Random(seed))
        kinesis.put_records(
            StreamName="stream", Records=[{"PartitionKey": "k", "Data": str(n).encode()} for n in range(4)]
        )
        put(kinesis, "last")
        found = read(kinesis, shards(kinesis)[0]["ShardId"])
        assert found[-1] == "last"
        assert sorted(found[:-1]) == list("0123")
        orders.add("".join(found))
    assert len(orders) > 3


def test_shards_are_listed_page_by_page() -> None:
    kinesis = stream_of(shards=5)
    page = kinesis.list_shards(StreamName="stream", MaxResults=2)
    found = page["Shards"]
    while "NextToken" in page:
        page = kinesis.list_shards(NextToken=page["NextToken"], MaxResults=2)
        found += page["Shards"]
    assert found == shards(kinesis)
    assert len(found) == 5


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "between 1 and 500"),
        ([{"PartitionKey": "k", "Data": b"x"}] * 501, "between 1 and 500"),
        ([{"PartitionKey": "", "Data": b"x"}], "partitionKey"),
        ([{"PartitionKey": "k" * 257, "Data": b"x"}], "partitionKey"),
        ([{"PartitionKey": "k", "Data": b"x" * (10 << 20)}], "Record size exceeds"),
        ([{"PartitionKey": "k", "Data": b"x" * (6 << 20)}] * 2, "exceeds 10 MB"),
    ],
)
def test_what_cannot_be_put(records: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ClientError) as raised:
        stream_of().put_records(StreamName="stream", Records=records)
    assert code(raised.value) == "InvalidArgumentException"
    assert message in raised.value.response["Error"]["Message"]


def test_a_stream_is_made_once_and_can_be_deleted() -> None:
    kinesis = stream_of()
    with pytest.raises(ClientError) as raised:
        kinesis.create_stream(StreamName="stream", ShardCount=1)
    assert code(raised.value) == "ResourceInUseException"
    kinesis.get_waiter("stream_exists").wait(StreamName="stream")
    assert kinesis.list_streams()["StreamNames"] == ["stream"]
    kinesis.delete_stream(StreamName="stream", EnforceConsumerDeletion=True)
    with pytest.raises(ClientError) as raised:
        shards(kinesis)
    assert code(raised.value) == "ResourceNotFoundException"


def test_oncefolds_reader_reads_it() -> None:
    kinesis = stream_of(shards=1)
    (place,) = put(kinesis, "1", "2", "3")[:1]
    calls = StreamCalls(kinesis, "stream")
    (info,) = calls.shards()
    answer = calls.records(info.id, place["SequenceNumber"], None)
    assert [record["Data"] for record in answer.records] == [b"2", b"3"]
    assert answer.behind == 0
    kinesis.split_shard(StreamName="stream", ShardToSplit=info.id, NewStartingHashKey="7")
    answer = calls.records(info.id, "", answer.iterator)
    assert answer.iterator is None
    assert [child.parents for child in answer.children] == [(info.id,)] * 2


def _seen(seed: int) -> bytes:
    clock, random = ManualClock(), Random(seed)
    faults = Faults(Random(seed), rates(0.05))
    kinesis = Kinesis(clock, random, faults)
    kinesis.create_stream(StreamName="stream", ShardCount=2)
    seen: list[object] = []
    for number in range(200):
        records = [{"PartitionKey": str(number * n), "Data": str(n).encode()} for n in range(5)]
        try:
            seen.append(kinesis.put_records(StreamName="stream", Records=records))
        except Exception as error:
            seen.append(repr(error))
        clock.advance(random.random())
    faults.stop()
    clock.advance(LATE_SECONDS)
    seen += [read(kinesis, shard["ShardId"]) for shard in shards(kinesis)]
    return repr([seen, sorted(faults.counts.items()), sorted(kinesis.counts.items())]).encode()


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert [_seen(seed) for seed in range(3)] == [_seen(seed) for seed in range(3)]
    assert _seen(1) != _seen(2)
