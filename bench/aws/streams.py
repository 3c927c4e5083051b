"""Batches of a stream's records as Lambda hands them over, read through the project's own driver's readers."""

import json
from collections.abc import Iterator
from typing import Any

from oncefold.aws.connect import client
from oncefold_lab.local.streams import ShardReader, open_stream

_READ = 10_000


class Tail:
    """What is new in a stream at each read, in batches of at most so many records of one shard."""

    def __init__(self, arn: str, batch_size: int, *, inserts_only: bool = False) -> None:
        self._stream = open_stream(client, arn)
        self._batch_size = batch_size
        self._inserts_only = inserts_only
        self._readers: dict[str, ShardReader] = {}

    def batches(self) -> Iterator[dict[str, Any]]:
        """The events of invocations for all that has come since the last time."""
        for shard in self._stream.shards():
            reader = self._readers.setdefault(shard.id, ShardReader(self._stream, shard.id, latest=False))
            records = list(self._new(reader))
            for start in range(0, len(records), self._batch_size):
                yield {"Records": records[start : start + self._batch_size]}

    def _new(self, reader: ShardReader) -> Iterator[dict[str, Any]]:
        while (page := reader.read(_READ)).records:
            for entry in page.entries:
                record = json.loads(entry.event)
                if not self._inserts_only or record["eventName"] == "INSERT":
                    yield record


def table_stream(table: str) -> str:
    """The ARN of a table's stream."""
    arn: str = client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    return arn


def kinesis_stream(name: str) -> str:
    """The ARN of a Kinesis stream."""
    summary = client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    arn: str = summary["StreamARN"]
    return arn
