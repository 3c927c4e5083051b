"""Records look as Lambda shows them, and none is lost to an iterator."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold_lab.local.streams import (
    Fetched,
    PolledRecord,
    RecordFilter,
    RecordStream,
    ShardDescription,
    ShardReader,
    open_stream,
)


def all_of(stream: RecordStream) -> list[PolledRecord]:
    pages = [ShardReader(stream, shard.id, latest=False).read(10_000) for shard in stream.shards()]
    return [entry for page in pages for entry in page.entries]


def test_a_kinesis_record_has_lambdas_shape(stack: Names) -> None:
    put = client("kinesis").put_record(StreamName=stack.stream, PartitionKey="ü", Data=b"\x00\xff")
    arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{stack.stream}"
    (entry,) = all_of(open_stream(client, arn))
    event = json.loads(entry.event)
    assert entry.key == "ü".encode()
    assert entry.sequence == put["SequenceNumber"]
    assert entry.arrived == event["kinesis"].pop("approximateArrivalTimestamp")
    assert event == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "ü",
            "sequenceNumber": put["SequenceNumber"],
            "data": base64.b64encode(b"\x00\xff").decode(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{put['ShardId']}:{put['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::000000000000:role/stream-{stack.stream}",
        "awsRegion": "us-east-1",
        "eventSourceARN": arn,
    }


def test_a_change_of_a_table_has_lambdas_shape(stack: Names) -> None:
    dynamodb = client("dynamodb")
    item = {"id": {"S": "a"}, "blob": {"B": b"\x00\xff"}, "list": {"L": [{"BS": [b"\x01"]}, {"N": "1.5"}]}}
    dynamodb.put_item(TableName=stack.reduce_table, Item=item)
    dynamodb.delete_item(TableName=stack.reduce_table, Key={"id": {"S": "a"}})
    arn = dynamodb.describe_table(TableName=stack.reduce_table)["Table"]["LatestStreamArn"]
    inserted, removed = [json.loads(entry.event) for entry in all_of(open_stream(client, arn))]
    assert inserted["dynamodb"]["NewImage"] == {
        "id": {"S": "a"},
        "blob": {"B": base64.b64encode(b"\x00\xff").decode()},
        "list": {"L": [{"BS": [base64.b64encode(b"\x01").decode()]}, {"N": "1.5"}]},
    }
    assert inserted["dynamodb"]["Keys"] == removed["dynamodb"]["Keys"] == {"id": {"S": "a"}}
    assert "NewImage" not in removed["dynamodb"]
    assert [event["eventName"] for event in (inserted, removed)] == ["INSERT", "REMOVE"]
    for event in (inserted, removed):
        assert (event["eventSource"], event["eventSourceARN"], event["awsRegion"]) == ("aws:dynamodb", arn, "us-east-1")
        assert event["dynamodb"]["StreamViewType"] == "NEW_IMAGE"
        assert isinstance(event["dynamodb"]["ApproximateCreationDateTime"], int | float)
        assert event["eventID"]
        assert event["dynamodb"]["SequenceNumber"]


def test_a_kinesis_filter_looks_into_the_data(stack: Names) -> None:
    for data in (b'{"kind": "good"}', b'{"kind": "bad"}', b"no JSON", b"[1]"):
        client("kinesis").put_record(StreamName=stack.stream, PartitionKey="k", Data=data)
    wanted = RecordFilter.of(['{"data": {"kind": ["good"]}}'])
    arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{stack.stream}"
    events = [json.loads(entry.event) for entry in all_of(open_stream(client, arn, wanted))]
    assert [base64.b64decode(event["kinesis"]["data"]) for event in events] == [b'{"kind": "good"}']


class Scripted:
    """A stream of one shard with the records 0 to 9, whose calls fail as told."""

    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"

    def __init__(self, failures: dict[int, str]) -> None:
        self._failures = failures
        self._calls = 0

    def shards(self) -> list[ShardDescription]:
        return [ShardDescription("shardId-0")]

    def iterator(self, shard: str, after: str | None, *, latest: bool) -> str:
        if after is not None:
            return str(int(after) + 1)
        return "10" if latest else "0"

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:
        self._calls += 1
        if self._calls in self._failures:
            raise ClientError({"Error": {"Code": self._failures[self._calls], "Message": ""}}, "GetRecords")
        first = int(iterator)
        last = min(first + limit, 10)
        found = [(PolledRecord(str(number), b"", 0.0, b""), number % 2 == 0) for number in range(first, last)]
        return Fetched(found, str(last), behind=last < 10)


def sequences(reader: ShardReader, pages: int) -> list[str]:
    return [entry.sequence for _ in range(pages) for entry in reader.read(3).entries]


@pytest.mark.parametrize("failures", [{}, {2: "ExpiredIteratorException"}, {1: "ExpiredIteratorException"}])
def test_an_expired_iterator_is_renewed_where_it_was(failures: dict[int, str]) -> None:
    reader = ShardReader(Scripted(failures), "shardId-0", latest=False)
    assert sequences(reader, 4) == ["0", "2", "4", "6", "8"]


def test_a_trimmed_position_goes_on_with_the_oldest_record() -> None:
    reader = ShardReader(Scripted({3: "TrimmedDataAccessException"}), "shardId-0", latest=False)
    assert sequences(reader, 2) == ["0", "2", "4"]
    assert sequences(reader, 1) == ["0", "2"]


def test_a_shard_that_is_gone_is_closed() -> None:
    page = ShardReader(Scripted({1: "ResourceNotFoundException"}), "shardId-0", latest=False).read(3)
    assert page.closed
    assert not page.entries


def test_other_failures_are_not_hidden() -> None:
    reader = ShardReader(Scripted({1: "AccessDeniedException"}), "shardId-0", latest=False)
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.read(3)


def test_the_latest_position_is_marked_before_the_first_read(stack: Names) -> None:
    stream = open_stream(client, f"arn:aws:kinesis:us-east-1:000000000000:stream/{stack.stream}")
    put = {"StreamName": stack.stream, "PartitionKey": "k"}
    client("kinesis").put_record(**put, Data=b"before")
    readers = [ShardReader(stream, shard.id, latest=True) for shard in stream.shards()]
    client("kinesis").put_record(**put, Data=b"after")
    events = [json.loads(entry.event) for reader in readers for entry in reader.read(10).entries]
    assert [base64.b64decode(event["kinesis"]["data"]) for event in events] == [b"after"]
