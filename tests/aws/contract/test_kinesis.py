"""Kinesis streams."""

import hashlib
from itertools import pairwise
from typing import Any

import pytest

from tests.aws.contract.engine import Engine, code, refusal
from tests.aws.contract.reading import Reader, Record
from tests.tools.waiting import until


def _shards(engine: Engine) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = engine.kinesis.list_shards(StreamName=engine.stream)["Shards"]
    return shards


@pytest.fixture
def reader(kinesis: Engine) -> Reader:
    """From the beginning of the stream."""
    return Reader(
        kinesis.kinesis,
        {"StreamName": kinesis.stream},
        lambda: [shard["ShardId"] for shard in _shards(kinesis)],
    )


def _put(engine: Engine, name: str, data: list[bytes]) -> list[dict[str, str]]:
    """Records under one partition key, one after the other, and where each came to be."""
    return [engine.kinesis.put_record(StreamName=engine.stream, PartitionKey=name, Data=each) for each in data]


def _of(records: list[Record], name: str) -> list[Record]:
    return [record for record in records if record["PartitionKey"].startswith(name)]


def _read(reader: Reader, name: str, number: int) -> list[Record]:
    return _of(reader.until(lambda records: len(_of(records, name)) >= number, f"{number} of {name}"), name)


def test_put_records_tells_where_each_record_is(kinesis: Engine, name: str, reader: Reader) -> None:
    """PutRecords answers with as many entries as it was given, in their order: shard and sequence number of each, and
    how many failed.

    AWS: PutRecords (Kinesis API Reference)
    """
    sent = [{"PartitionKey": f"{name}-{index}", "Data": f"{index}\n".encode()} for index in range(20)]
    answer = kinesis.kinesis.put_records(StreamName=kinesis.stream, Records=sent)
    assert answer["FailedRecordCount"] == 0
    returned = [(entry["ShardId"], entry["SequenceNumber"]) for entry in answer["Records"]]
    _read(reader, name, 20)
    found = {
        record["PartitionKey"]: (shard, record["SequenceNumber"], record["Data"])
        for shard, records in reader.read.items()
        for record in _of(records, name)
    }
    assert [found[each["PartitionKey"]] for each in sent] == [
        (*place, each["Data"]) for place, each in zip(returned, sent, strict=True)
    ]


def test_more_than_500_records_are_refused(kinesis: Engine, name: str) -> None:
    """PutRecords of 500 records is taken, of 501 is refused.

    AWS: PutRecords (Kinesis API Reference)
    """
    records = [{"PartitionKey": name, "Data": b"x"}] * 501
    answer = kinesis.kinesis.put_records(StreamName=kinesis.stream, Records=records[:500])
    assert len(answer["Records"]) == 500
    refused = refusal(kinesis.kinesis.put_records, StreamName=kinesis.stream, Records=records)
    assert code(refused) in {"InvalidArgumentException", "ValidationException"}


def test_a_partition_key_stays_in_order_in_its_shard(kinesis: Engine, name: str, reader: Reader) -> None:
    """Records that are put one after the other under one partition key are in one shard, in their order.

    AWS: PutRecord (Kinesis API Reference)
    """
    data = [f"{index}\n".encode() for index in range(10)]
    places = _put(kinesis, name, data)
    assert len({place["ShardId"] for place in places}) == 1
    assert [record["Data"] for record in _read(reader, name, 10)] == data


def test_a_partition_key_goes_where_its_md5_falls(kinesis: Engine, name: str) -> None:
    """A record's shard is the one whose range of hash keys has the MD5 of the partition key; the ranges cover all.

    AWS: PutRecords (Kinesis API Reference)
    """
    ranges = sorted(
        (int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"]), shard["ShardId"])
        for shard in _shards(kinesis)
    )
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 2**128 - 1
    assert all(first[1] + 1 == second[0] for first, second in pairwise(ranges))
    for index in range(10):
        (place,) = _put(kinesis, f"{name}-{index}", [b"x"])
        point = int.from_bytes(hashlib.md5(f"{name}-{index}".encode(), usedforsecurity=False).digest())
        assert place["ShardId"] == next(shard for first, last, shard in ranges if first <= point <= last)


def test_sequence_numbers_of_a_shard_grow(kinesis: Engine, name: str, reader: Reader) -> None:
    """In a shard the sequence numbers, as integers, grow from record to record.

    AWS: PutRecord (Kinesis API Reference)
    """
    for index in range(5):
        _put(kinesis, f"{name}-{index}", [b"x"] * 5)
    _read(reader, name, 25)
    for records in reader.read.values():
        sequence = [int(record["SequenceNumber"]) for record in records]
        assert sequence == sorted(set(sequence))


@pytest.mark.parametrize(("kind", "first"), [("AT_SEQUENCE_NUMBER", 2), ("AFTER_SEQUENCE_NUMBER", 3)])
def test_a_kinesis_shard_is_read_from_a_record_on(
    kinesis: Engine, name: str, reader: Reader, kind: str, first: int
) -> None:
    """TRIM_HORIZON begins with the oldest record, AT_SEQUENCE_NUMBER with the one it names, AFTER_ with the next.

    AWS: GetShardIterator (Kinesis API Reference)
    """
    data = [f"{index}\n".encode() for index in range(5)]
    place = _put(kinesis, name, data)[2]
    _read(reader, name, 5)
    position = reader.iterator(place["ShardId"], kind, place["SequenceNumber"])
    answer = kinesis.kinesis.get_records(ShardIterator=position)
    assert [record["Data"] for record in _of(answer["Records"], name)] == data[first:]


def test_after_the_last_record_comes_what_is_put_later(kinesis: Engine, name: str, reader: Reader) -> None:
    """An iterator behind the last record gives nothing, and goes on to what is put later.

    AWS: GetRecords (Kinesis API Reference)
    """
    (place,) = _put(kinesis, name, [b"before"])
    _read(reader, name, 1)
    position = reader.iterator(place["ShardId"], "AFTER_SEQUENCE_NUMBER", place["SequenceNumber"])
    answer = kinesis.kinesis.get_records(ShardIterator=position)
    assert answer["Records"] == []
    _put(kinesis, name, [b"after"])
    found: list[bytes] = []

    def look() -> bool:
        nonlocal answer
        answer = kinesis.kinesis.get_records(ShardIterator=answer["NextShardIterator"])
        found.extend(record["Data"] for record in answer["Records"])
        return bool(found)

    until(look, "the record that was put later")
    assert found == [b"after"]


def test_the_tip_is_zero_milliseconds_behind(kinesis: Engine, name: str, reader: Reader) -> None:
    """MillisBehindLatest is 0 once everything was read.

    AWS: GetRecords (Kinesis API Reference)
    """
    (place,) = _put(kinesis, name, [b"x"])
    _read(reader, name, 1)
    position = reader.iterator(place["ShardId"], "AT_SEQUENCE_NUMBER", place["SequenceNumber"])
    answer = kinesis.kinesis.get_records(ShardIterator=position)
    assert len(answer["Records"]) == 1
    assert answer["MillisBehindLatest"] == 0


def test_what_is_left_unread_is_behind(kinesis: Engine, name: str, reader: Reader) -> None:
    """MillisBehindLatest is above 0 while later records are unread.

    AWS: GetRecords (Kinesis API Reference)
    """
    place = _put(kinesis, name, [b"x"])[0]
    arrived = _read(reader, name, 1)[0]["ApproximateArrivalTimestamp"]

    def later() -> bool:
        last = _put(kinesis, name, [b"y"])[-1]
        position = reader.iterator(last["ShardId"], "AT_SEQUENCE_NUMBER", last["SequenceNumber"])
        (record,) = kinesis.kinesis.get_records(ShardIterator=position)["Records"][:1]
        return bool(record["ApproximateArrivalTimestamp"] > arrived)

    until(later, "a record that arrived later")
    position = reader.iterator(place["ShardId"], "AT_SEQUENCE_NUMBER", place["SequenceNumber"])
    answer = kinesis.kinesis.get_records(ShardIterator=position, Limit=1)
    assert [record["Data"] for record in answer["Records"]] == [b"x"]
    assert answer["MillisBehindLatest"] > 0


def test_records_keep_their_bytes_and_time(kinesis: Engine, name: str, reader: Reader) -> None:
    """A record has the bytes and the partition key that were put, and the time of its arrival.

    AWS: Record (Kinesis API Reference)
    """
    data = bytes(range(256))
    key = f"{name}-é\U0001f30d"
    _put(kinesis, key, [data])
    (record,) = _read(reader, key, 1)
    assert record["Data"] == data
    assert record["PartitionKey"] == key
    assert record["ApproximateArrivalTimestamp"].timestamp() > 1_700_000_000


def test_a_split_shard_is_read_to_its_end(kinesis: Engine, name: str) -> None:
    """After SplitShard, the parent's unread records are still read, then its iterator ends; the children name it.

    AWS: SplitShard (Kinesis API Reference)
    """
    stream = f"{kinesis.stream}-split"
    kinesis.kinesis.create_stream(StreamName=stream, ShardCount=1)
    kinesis.kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    try:
        for index in range(5):
            kinesis.kinesis.put_record(StreamName=stream, PartitionKey=str(index), Data=f"{index}".encode())
        (parent,) = kinesis.kinesis.list_shards(StreamName=stream)["Shards"]
        kinesis.kinesis.split_shard(StreamName=stream, ShardToSplit=parent["ShardId"], NewStartingHashKey=str(2**127))
        kinesis.kinesis.get_waiter("stream_exists").wait(
            StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        shards = kinesis.kinesis.list_shards(StreamName=stream)["Shards"]
        children = [shard for shard in shards if shard.get("ParentShardId") == parent["ShardId"]]
        assert len(children) == 2
        reader = Reader(kinesis.kinesis, {"StreamName": stream}, lambda: [parent["ShardId"]])
        reader.until(lambda _: reader.ended(parent["ShardId"]), "the parent's end")
        assert [record["Data"] for record in reader.records()] == [f"{index}".encode() for index in range(5)]
    finally:
        kinesis.kinesis.delete_stream(StreamName=stream, EnforceConsumerDeletion=True)
