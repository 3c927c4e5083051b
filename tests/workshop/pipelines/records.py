"""What lies in the emulator's streams, as the records of Lambda's events."""

import base64
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

Record = dict[str, Any]


def of_kinesis(kinesis: Any, stream: str) -> list[Record]:
    """All records of a stream, shard after shard, from the oldest on."""
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    return [
        _of_kinesis(record, shard["ShardId"], arn)
        for shard in kinesis.list_shards(StreamName=stream)["Shards"]
        for record in _pages(kinesis, StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    ]


def of_table(dynamodb: Any, streams: Any, table: str) -> list[Record]:
    """All records of a table's stream, shard after shard, from the oldest on."""
    arn = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    return [
        _of_table(record, arn)
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        for record in _pages(streams, StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    ]


def batches(records: Sequence[Record], size: int) -> Iterator[list[Record]]:
    """The records in order, so many at a time."""
    left = iter(records)
    while batch := list(islice(left, size)):
        yield batch


def _pages(client: Any, **start: Any) -> Iterator[Record]:
    iterator = client.get_shard_iterator(**start)["ShardIterator"]
    while True:
        page = client.get_records(ShardIterator=iterator, Limit=1_000)
        if not page["Records"]:
            return
        yield from page["Records"]
        iterator = page["NextShardIterator"]


def _of_kinesis(record: Record, shard: str, arn: str) -> Record:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "awsRegion": "us-east-1",
        "eventSourceARN": arn,
    }


def _of_table(record: Record, arn: str) -> Record:
    change = dict(record["dynamodb"])
    change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    return {**record, "dynamodb": change, "eventSourceARN": arn}
