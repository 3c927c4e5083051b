"""Change streams: shards that roll and split, trimming by the clock, late and interleaved records, iterators."""

from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from oncefold_lab.simulator.change_streams import RETENTION_SECONDS, SHARD_SECONDS
from oncefold_lab.simulator.dynamodb import DynamoDB
from tests.lab.tools import (
    START,
    ManualClock,
    code,
    iterator,
    make_table,
    names_of,
    put,
    put_write,
    read_shard,
    read_stream,
    shards,
    simulated,
    stream_arn,
)

HOUR = 3600.0


def versions(records: list[dict[str, Any]]) -> list[str]:
    return [record["dynamodb"]["NewImage"]["n"]["N"] for record in records]


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_a_view_shows_its_images(view: str, images: set[str]) -> None:
    dynamodb = DynamoDB(ManualClock())
    make_table(dynamodb, "items", "id", view=view)
    put(dynamodb, "k", n=1)
    put(dynamodb, "k", n=2)
    dynamodb.delete_item(TableName="items", Key={"id": {"S": "k"}})
    first, second, third = read_stream(dynamodb)
    assert [first["eventName"], second["eventName"], third["eventName"]] == ["INSERT", "MODIFY", "REMOVE"]
    assert images & first["dynamodb"].keys() == images - {"OldImage"}
    assert images & second["dynamodb"].keys() == images
    assert images & third["dynamodb"].keys() == images - {"NewImage"}
    assert second["dynamodb"]["Keys"] == {"id": {"S": "k"}}
    assert second["dynamodb"]["ApproximateCreationDateTime"].timestamp() == START
    assert second["eventSource"] == "aws:dynamodb"


def test_items_are_spread_over_the_shards_and_stay_there() -> None:
    dynamodb = simulated(stream_shards=4)
    for number in range(3):
        for item in range(100):
            put(dynamodb, str(item), n=number)
    parts = [read_shard(dynamodb, shard["ShardId"]) for shard in shards(dynamodb)]
    assert len(parts) == 4
    assert all(len(part) > 30 for part in parts)
    assert sum(len(set(names_of(part))) for part in parts) == 100
    for part in parts:
        sequences = [int(record["dynamodb"]["SequenceNumber"]) for record in part]
        assert sequences == sorted(set(sequences))
        for name in set(names_of(part)):
            of_name = [record for record in part if names_of([record]) == [name]]
            assert versions(of_name) == ["0", "1", "2"]


@pytest.mark.parametrize("how", ["roll", "split"])
def test_a_shard_is_closed_and_its_children_go_on(how: str) -> None:
    dynamodb = simulated()
    for number in range(20):
        put(dynamodb, str(number), n=1)
    (parent,) = shards(dynamodb)
    close = dynamodb.roll_shard if how == "roll" else dynamodb.split_shard
    close("items", parent["ShardId"])
    for number in range(20):
        put(dynamodb, str(number), n=2)
    closed, *children = shards(dynamodb)
    assert "EndingSequenceNumber" in closed["SequenceNumberRange"]
    assert len(children) == (1 if how == "roll" else 2)
    assert {child["ParentShardId"] for child in children} == {parent["ShardId"]}
    assert all("EndingSequenceNumber" not in child["SequenceNumberRange"] for child in children)
    assert versions(read_shard(dynamodb, parent["ShardId"])) == ["1"] * 20
    parts = [read_shard(dynamodb, child["ShardId"]) for child in children]
    assert all(parts)
    assert sorted(name for part in parts for name in names_of(part)) == sorted(map(str, range(20)))
    last = max(int(record["dynamodb"]["SequenceNumber"]) for record in read_shard(dynamodb, parent["ShardId"]))
    assert all(int(record["dynamodb"]["SequenceNumber"]) > last for part in parts for record in part)


def test_a_closed_shard_has_an_end() -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1)
    (shard,) = shards(dynamodb)
    position = iterator(dynamodb, shard["ShardId"])
    answer = dynamodb.streams().get_records(ShardIterator=position)
    assert answer["NextShardIterator"]
    dynamodb.roll_shard("items", shard["ShardId"])
    answer = dynamodb.streams().get_records(ShardIterator=position)
    assert names_of(answer["Records"]) == ["k"]
    assert "NextShardIterator" not in answer


def test_a_shard_rolls_over_by_itself_after_some_hours() -> None:
    clock = ManualClock()
    dynamodb = simulated(clock=clock)
    put(dynamodb, "k", n=1)
    clock.advance(SHARD_SECONDS)
    put(dynamodb, "k", n=2)
    first, second = shards(dynamodb)
    assert second["ParentShardId"] == first["ShardId"]
    assert versions(read_stream(dynamodb)) == ["1", "2"]


def test_records_are_gone_after_24_hours() -> None:
    clock = ManualClock()
    dynamodb = simulated(clock=clock)
    put(dynamodb, "k", n=1)
    clock.advance(HOUR)
    put(dynamodb, "k", n=2)
    old, new = (record["dynamodb"]["SequenceNumber"] for record in read_stream(dynamodb))
    (shard,) = shards(dynamodb)
    clock.advance(RETENTION_SECONDS - HOUR)
    assert versions(read_stream(dynamodb)) == ["2"]
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        with pytest.raises(ClientError) as raised:
            iterator(dynamodb, shard["ShardId"], kind, SequenceNumber=old)
        assert code(raised.value) == "TrimmedDataAccessException"
    assert iterator(dynamodb, shard["ShardId"], "AT_SEQUENCE_NUMBER", SequenceNumber=new)
    clock.advance(HOUR)
    assert read_stream(dynamodb) == []
    assert dynamodb.counts["trimmed records"] == 2


def test_a_closed_shard_is_listed_until_its_records_are_gone() -> None:
    clock = ManualClock()
    dynamodb = simulated(clock=clock)
    put(dynamodb, "k", n=1)
    (parent,) = shards(dynamodb)
    dynamodb.roll_shard("items", parent["ShardId"])
    clock.advance(RETENTION_SECONDS)
    (child,) = shards(dynamodb)
    assert child["ParentShardId"] == parent["ShardId"]
    with pytest.raises(ClientError) as raised:
        iterator(dynamodb, parent["ShardId"])
    assert code(raised.value) == "ResourceNotFoundException"


def test_a_position_is_good_for_15_minutes_and_says_when_its_record_is_gone() -> None:
    clock = ManualClock()
    dynamodb = simulated(clock=clock)
    put(dynamodb, "k", n=1)
    (shard,) = shards(dynamodb)
    (record,) = read_stream(dynamodb)
    clock.advance(RETENTION_SECONDS - 60)
    at = iterator(dynamodb, shard["ShardId"], "AT_SEQUENCE_NUMBER", SequenceNumber=record["dynamodb"]["SequenceNumber"])
    horizon = iterator(dynamodb, shard["ShardId"])
    clock.advance(120)
    with pytest.raises(ClientError) as raised:
        dynamodb.streams().get_records(ShardIterator=at)
    assert code(raised.value) == "TrimmedDataAccessException"
    assert dynamodb.streams().get_records(ShardIterator=horizon)["Records"] == []
    clock.advance(15 * 60)
    with pytest.raises(ClientError) as raised:
        dynamodb.streams().get_records(ShardIterator=horizon)
    assert code(raised.value) == "ExpiredIteratorException"


def test_latest_means_from_now_on() -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1)
    (shard,) = shards(dynamodb)
    position = iterator(dynamodb, shard["ShardId"], "LATEST")
    put(dynamodb, "k", n=2)
    assert versions(dynamodb.streams().get_records(ShardIterator=position)["Records"]) == ["2"]


def test_a_page_holds_a_megabyte() -> None:
    dynamodb = simulated()
    for number in range(4):
        put(dynamodb, str(number), s="x" * 390_000)
    (shard,) = shards(dynamodb)
    first = dynamodb.streams().get_records(ShardIterator=iterator(dynamodb, shard["ShardId"]))
    assert names_of(first["Records"]) == ["0", "1"]
    assert names_of(read_stream(dynamodb)) == ["0", "1", "2", "3"]


def test_records_of_one_transaction_come_in_any_order() -> None:
    orders = set()
    for seed in range(20):
        dynamodb = simulated(random=Random(seed))
        dynamodb.transact_write_items(TransactItems=[put_write(name, n=1) for name in "abc"])
        orders.add("".join(names_of(read_stream(dynamodb))))
    assert len(orders) > 3


def test_records_of_concurrent_transactions_are_interleaved_and_late() -> None:
    """Those of one item stay in order, whatever happens to the shards meanwhile."""
    interleaved = 0
    for seed in range(10):
        clock = ManualClock()
        dynamodb = simulated(random=Random(seed), stream_lag=2.0, stream_shards=2, clock=clock)
        for number in range(6):
            dynamodb.transact_write_items(TransactItems=[put_write(name, n=number) for name in "abcd"])
            clock.advance(0.2)
            if number == 3:
                dynamodb.split_shard("items", shards(dynamodb)[0]["ShardId"])
        assert len(read_stream(dynamodb)) < 24
        clock.advance(2.0)
        assert dynamodb.due() is not None
        records = read_stream(dynamodb)
        assert dynamodb.due() is None
        assert len(records) == 24
        for name in "abcd":
            assert versions([record for record in records if names_of([record]) == [name]]) == list("012345")
        for shard in shards(dynamodb):
            numbers = versions(read_shard(dynamodb, shard["ShardId"]))
            interleaved += numbers != sorted(numbers)
    assert interleaved


def test_streams_and_shards_are_listed_page_by_page() -> None:
    dynamodb = simulated(stream_shards=3)
    make_table(dynamodb, "other", "id", view="NEW_IMAGE")
    streams = dynamodb.streams()
    page = streams.list_streams(Limit=1)
    rest = streams.list_streams(ExclusiveStartStreamArn=page["LastEvaluatedStreamArn"])
    assert [stream["TableName"] for stream in page["Streams"] + rest["Streams"]] == ["items", "other"]
    assert [stream["TableName"] for stream in streams.list_streams(TableName="other")["Streams"]] == ["other"]
    first = streams.describe_stream(StreamArn=stream_arn(dynamodb), Limit=2)["StreamDescription"]
    more = streams.describe_stream(StreamArn=stream_arn(dynamodb), ExclusiveStartShardId=first["LastEvaluatedShardId"])
    assert [*first["Shards"], *more["StreamDescription"]["Shards"]] == shards(dynamodb)
    assert "LastEvaluatedShardId" not in more["StreamDescription"]


@pytest.mark.parametrize(
    "request_", [{"ShardIterator": "nonsense"}, {"ShardIterator": "a|1|b|c|d"}, {"ShardIterator": ""}]
)
def test_a_position_that_was_never_given(request_: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as raised:
        simulated().streams().get_records(**request_)
    assert code(raised.value) == "ValidationException"
