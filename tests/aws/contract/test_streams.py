"""Streams of tables: DynamoDB Streams with new images, and with both."""

import pytest

from tests.aws.contract.engine import Engine, add, delete, put, refusal, text_key
from tests.aws.contract.reading import Reader, Record


@pytest.fixture
def reader(engine: Engine) -> Reader:
    """From the beginning of the outbox's stream."""
    return _reader(engine, engine.outbox)


def _reader(engine: Engine, table: str) -> Reader:
    arn = engine.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]

    def shards() -> list[str]:
        found: list[str] = []
        start: dict[str, str] = {}
        while True:
            described = engine.streams.describe_stream(StreamArn=arn, **start)["StreamDescription"]
            found += [shard["ShardId"] for shard in described["Shards"]]
            if not described.get("LastEvaluatedShardId"):
                return found
            start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    return Reader(engine.streams, {"StreamArn": arn}, shards)


def _of(records: list[Record], name: str) -> list[Record]:
    """The records of items whose key begins so."""
    return [record for record in records if record["dynamodb"]["Keys"]["id"]["S"].startswith(name)]


def _read(reader: Reader, name: str, number: int) -> list[Record]:
    """So many records of such items, once they have come."""
    return _of(reader.until(lambda records: len(_of(records, name)) >= number, f"{number} of {name}"), name)


def _keys(records: list[Record]) -> list[str]:
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]


def test_an_insert_shows_the_new_item(engine: Engine, name: str, reader: Reader) -> None:
    """A new item gives an INSERT with its key and its whole new image, and no old one.

    AWS: StreamRecord (DynamoDB Streams API Reference)
    """
    item = {
        **text_key(name),
        "created": {"N": "1700000000"},
        "nodes": {"S": '[["risk",[],1,["10.5"]]]'},
        "raw": {"B": b"\0"},
    }
    engine.put(engine.outbox, item)
    (record,) = _read(reader, name, 1)
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["Keys"] == text_key(name)
    assert record["dynamodb"]["NewImage"] == item
    assert "OldImage" not in record["dynamodb"]


def test_a_record_says_what_it_is(engine: Engine, name: str, reader: Reader) -> None:
    """A record has an id that no other has, its source, its view and the time of the change.

    AWS: Record (DynamoDB Streams API Reference)
    """
    for index in range(3):
        engine.put(engine.outbox, text_key(f"{name}-{index}"))
    records = _read(reader, name, 3)
    assert len({record["eventID"] for record in records}) == 3
    assert {record["eventSource"] for record in records} == {"aws:dynamodb"}
    assert {record["dynamodb"]["StreamViewType"] for record in records} == {"NEW_IMAGE"}
    assert all(record["dynamodb"]["ApproximateCreationDateTime"] for record in records)


def test_an_items_records_come_in_the_order_of_its_changes(engine: Engine, name: str, reader: Reader) -> None:
    """One item's records come in the order of its changes, their sequence numbers growing: INSERT, MODIFY, REMOVE.

    AWS: Change data capture for DynamoDB Streams (Developer Guide)
    """
    engine.put(engine.outbox, {**text_key(name), "version": {"N": "1"}})
    engine.put(engine.outbox, {**text_key(name), "version": {"N": "2"}})
    engine.dynamodb.update_item(**add(engine.outbox, text_key(name), version="1"))
    engine.dynamodb.delete_item(TableName=engine.outbox, Key=text_key(name))
    engine.put(engine.outbox, {**text_key(name), "version": {"N": "4"}})
    records = _read(reader, name, 5)
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "MODIFY", "REMOVE", "INSERT"]
    versions = [record["dynamodb"].get("NewImage", {}).get("version", {}).get("N") for record in records]
    assert versions == ["1", "2", "3", None, "4"]
    sequence = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert sequence == sorted(set(sequence))


def test_sequence_numbers_grow_in_a_shard(engine: Engine, name: str, reader: Reader) -> None:
    """In a shard the sequence numbers grow from record to record.

    AWS: GetRecords (DynamoDB Streams API Reference)
    """
    for index in range(20):
        engine.put(engine.outbox, text_key(f"{name}-{index}"))
    _read(reader, name, 20)
    for records in reader.read.values():
        sequence = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
        assert sequence == sorted(set(sequence))


def test_a_transaction_gives_a_record_for_each_write(engine: Engine, name: str, reader: Reader) -> None:
    """Every write of a committed transaction is in the stream, once.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    engine.put(engine.outbox, text_key(f"{name}-old"))
    engine.transact(
        {"Delete": delete(engine.outbox, text_key(f"{name}-old"))},
        *({"Put": put(engine.outbox, text_key(f"{name}-{index:02}"))} for index in range(20)),
        {"Put": put(engine.items, text_key(name))},
    )
    records = _read(reader, name, 22)
    returned = sorted((key, record["eventName"]) for key, record in zip(_keys(records), records, strict=True))
    assert returned == [(f"{name}-{index:02}", "INSERT") for index in range(20)] + [
        (f"{name}-old", "INSERT"),
        (f"{name}-old", "REMOVE"),
    ]


def test_a_cancelled_transaction_leaves_no_record(engine: Engine, name: str, reader: Reader) -> None:
    """Nothing of a cancelled transaction is in the stream.

    AWS: Change data capture for DynamoDB Streams (Developer Guide)
    """
    names = [f"{name}-{index}" for index in range(3)]
    refusal(
        engine.transact,
        *({"Put": put(engine.outbox, {**text_key(key), "by": {"S": "cancelled"}})} for key in names),
        {"Delete": delete(engine.items, text_key(name), "attribute_exists(#id)", names={"#id": "id"})},
    )
    # An item's records come in order, so a later one of each item shows that there was none before.
    for key in names:
        engine.put(engine.outbox, {**text_key(key), "by": {"S": "put"}})
    records = _read(reader, name, 3)
    assert sorted(_keys(records)) == names
    assert {record["dynamodb"]["NewImage"]["by"]["S"] for record in records} == {"put"}


def test_a_repeated_token_leaves_no_second_record(engine: Engine, name: str, reader: Reader) -> None:
    """A transaction that is sent again with its token gives no second record.

    AWS: Change data capture for DynamoDB Streams (Developer Guide)
    """
    for _ in range(2):
        engine.transact({"Update": add(engine.outbox, text_key(name), count="1")}, ClientRequestToken=f"{name[-30:]}")
    engine.dynamodb.delete_item(TableName=engine.outbox, Key=text_key(name))
    records = _read(reader, name, 2)
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]


def test_what_changes_nothing_leaves_no_record(engine: Engine, name: str, reader: Reader) -> None:
    """A put of an item that is the same, and a delete of what does not exist, give no record.

    AWS: Change data capture for DynamoDB Streams (Developer Guide)
    """
    engine.dynamodb.delete_item(TableName=engine.outbox, Key=text_key(name))
    for version in ("1", "1", "2"):
        engine.put(engine.outbox, {**text_key(name), "version": {"N": version}})
    records = _read(reader, name, 2)
    versions = [record["dynamodb"]["NewImage"]["version"]["N"] for record in records]
    assert versions == ["1", "2"]


def test_a_deletion_is_a_removal(engine: Engine, name: str, reader: Reader) -> None:
    """A deleted item gives a REMOVE with its key and without an image.

    AWS: Change data capture for DynamoDB Streams (Developer Guide)
    """
    engine.put(engine.outbox, text_key(name))
    engine.transact({"Delete": delete(engine.outbox, text_key(name))})
    record = _read(reader, name, 2)[1]
    assert record["eventName"] == "REMOVE"
    assert record["dynamodb"]["Keys"] == text_key(name)
    assert "NewImage" not in record["dynamodb"]
    assert "OldImage" not in record["dynamodb"]


def test_a_shard_is_read_from_a_record_on(engine: Engine, name: str, reader: Reader) -> None:
    """TRIM_HORIZON begins with the oldest record, AT_SEQUENCE_NUMBER with the one it names, AFTER_ with the next.

    AWS: GetShardIterator (DynamoDB Streams API Reference)
    """
    for version in range(5):
        engine.put(engine.outbox, {**text_key(name), "version": {"N": str(version)}})
    _read(reader, name, 5)
    ((shard, records),) = [(shard, _of(all_, name)) for shard, all_ in reader.read.items() if _of(all_, name)]
    sequence = records[2]["dynamodb"]["SequenceNumber"]
    for kind, first in (("AT_SEQUENCE_NUMBER", 2), ("AFTER_SEQUENCE_NUMBER", 3)):
        page = engine.streams.get_records(ShardIterator=reader.iterator(shard, kind, sequence))
        versions = [record["dynamodb"]["NewImage"]["version"]["N"] for record in _of(page["Records"], name)]
        assert versions == [str(version) for version in range(first, 5)]


def test_a_page_of_a_stream_has_a_limit(engine: Engine, name: str, reader: Reader) -> None:
    """With a Limit, GetRecords gives at most so many records, and NextShardIterator goes on behind them.

    AWS: GetRecords (DynamoDB Streams API Reference)
    """
    for version in range(5):
        engine.put(engine.outbox, {**text_key(name), "version": {"N": str(version)}})
    _read(reader, name, 5)
    ((shard, records),) = [(shard, _of(all_, name)) for shard, all_ in reader.read.items() if _of(all_, name)]
    position = reader.iterator(shard, "AT_SEQUENCE_NUMBER", records[0]["dynamodb"]["SequenceNumber"])
    found: list[Record] = []
    while len(found) < 5:
        page = engine.streams.get_records(ShardIterator=position, Limit=2)
        assert 0 < len(page["Records"]) <= 2
        found += _of(page["Records"], name)
        position = page["NextShardIterator"]
    assert [record["dynamodb"]["SequenceNumber"] for record in found] == [
        record["dynamodb"]["SequenceNumber"] for record in records
    ]


def test_an_open_shard_goes_on(engine: Engine, name: str, reader: Reader) -> None:
    """At the tip of an open shard, GetRecords gives no record and an iterator that gives those that come later.

    AWS: GetRecords (DynamoDB Streams API Reference)
    """
    engine.put(engine.outbox, text_key(f"{name}-0"))
    _read(reader, name, 1)
    while _new(reader):
        pass
    engine.put(engine.outbox, text_key(f"{name}-1"))
    assert _keys(_read(reader, name, 2)) == [f"{name}-0", f"{name}-1"]


def _new(reader: Reader) -> list[Record]:
    """What one more page of each shard gives."""
    before = len(list(reader.records()))
    reader.step()
    return list(reader.records())[before:]


def test_a_change_shows_both_images(engine: Engine, name: str) -> None:
    """With NEW_AND_OLD_IMAGES each change has the item whole as it was and as it is; conditional updates are changes.

    AWS: Change data capture for DynamoDB Streams (Developer Guide)
    """
    key = {"key": {"S": name}}
    versions = [{**key, "version": {"N": str(number)}, "labels": {"L": [{"S": ""}]}} for number in (1, 2)]
    engine.put(engine.states, versions[0])
    engine.dynamodb.update_item(
        TableName=engine.states,
        Key=key,
        UpdateExpression="SET #version = :version",
        ConditionExpression="#version < :version",
        ExpressionAttributeNames={"#version": "version"},
        ExpressionAttributeValues={":version": {"N": "2"}},
    )
    engine.dynamodb.delete_item(TableName=engine.states, Key=key)

    def of(records: list[Record]) -> list[Record]:
        return [record for record in records if record["dynamodb"]["Keys"] == key]

    records = of(_reader(engine, engine.states).until(lambda found: len(of(found)) >= 3, "three changes"))
    images = [(one["dynamodb"].get("OldImage"), one["dynamodb"].get("NewImage")) for one in records]
    assert images == [(None, versions[0]), (versions[0], versions[1]), (versions[1], None)]
