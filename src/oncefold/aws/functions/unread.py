"""What is in StateTable's stream and not netted yet, in economy mode: looked at, never taken.

The sweeper looks for how old it is, and remembers until when nothing of it can be dropped: a stream keeps its records
for RETENTION_SECONDS. If it comes later than that, something may have been dropped unread, and the totals have to be
made anew (`oncefold aws rebuild`). So a loss never goes unseen; after a long standstill it may be none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import epochs_of
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.dynamodb.calls import Dynamo
from oncefold.dynamodb.items import Item

RETENTION_SECONDS = 24 * 3600
MARGIN_SECONDS = 3600
"""A stream's records are taken to be kept for so much less."""
KEPT_SECONDS = 3 * RETENTION_SECONDS
"""A position is kept for so long after it moved, if its shard is no more."""
SHOWN_SECONDS = 5.0
"""A stream is taken to show a change after so long, which usually is a moment; AWS names no bound."""
EMPTY_PAGES = 5
"""Pages without a record that end the reading of an open shard; records may follow, which then are young."""

WATCH_KEY: Item = {"path": DEFINITION_KEY["path"], "label": {"S": layout.POSITIONS}}
"""The item of AggregateTable with what is known of losses: `safe`, and of which live epoch one is possible, `lost`."""

Record = Mapping[str, Any]


class ChangeStream:
    """StateTable's stream. Its calls are not repeated here."""

    def __init__(self, client: Any, arn: str) -> None:
        """`client` is one of `dynamodbstreams`."""
        self._client = client
        self._arn = arn

    def shards(self) -> list[str]:
        """The shards that are listed, parents among them."""
        found: list[str] = []
        start: dict[str, str] = {}
        while True:
            page = self._client.describe_stream(StreamArn=self._arn, **start)["StreamDescription"]
            found += [shard["ShardId"] for shard in page["Shards"]]
            if not page.get("LastEvaluatedShardId"):
                return found
            start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def after(self, shard: str, position: int | None, limit: int = 1_000) -> Iterator[Record]:
        """The records of a shard behind a position, as they are under `dynamodb`, up to what there is now."""
        iterator: str | None = self._iterator(shard, position)
        empty = 0
        while iterator is not None and empty < EMPTY_PAGES:
            page = self._client.get_records(ShardIterator=iterator, Limit=limit)
            records = [record["dynamodb"] for record in page["Records"]]
            # Below a position that is trimmed the reading begins with the oldest there is.
            yield from (one for one in records if position is None or int(one["SequenceNumber"]) > position)
            empty = 0 if records else empty + 1
            iterator = page.get("NextShardIterator")

    def _iterator(self, shard: str, position: int | None) -> str | None:
        if position is not None:
            try:
                return self._new(shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=str(position))
            except ClientError as error:
                if error.response["Error"]["Code"] != "TrimmedDataAccessException":
                    return _gone(error)
        try:
            return self._new(shard, "TRIM_HORIZON")
        except ClientError as error:
            return _gone(error)

    def _new(self, shard: str, kind: str, **more: str) -> str:
        answer = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, ShardIteratorType=kind, **more)
        iterator: str = answer["ShardIterator"]
        return iterator


def _gone(error: ClientError) -> str | None:
    """No iterator: a shard may go between listing and reading. Raises any other error."""
    if error.response["Error"]["Code"] != "ResourceNotFoundException":
        raise error
    return None


def read_positions(dynamo: Dynamo, names: Names) -> dict[str, Item]:
    """The items of all positions, by shard."""
    items = dynamo.partition(names.aggregate_table, "path", layout.POSITIONS)
    return {item["label"]["S"]: item for item in items}


def position_in(item: Item | None) -> int | None:
    """The sequence number of a position's item."""
    return None if item is None else int(item["sequence"]["S"])


@dataclass(frozen=True, slots=True)
class Watched:
    """What the sweeper found in the stream."""

    age_seconds: int
    """Of the oldest record that is not netted."""
    lost: bool
    """Whether one may have been dropped since the totals were made."""


def watch(dynamo: Dynamo, names: Names, stream: ChangeStream, wall_clock: Callable[[], float]) -> Watched:
    """Look at the stream, remember until when nothing can be lost, and forget positions of shards that are no more.

    Raises OutOfTime; then what is remembered stays.
    """
    now = wall_clock()
    shards = stream.shards()
    positions = read_positions(dynamo, names)
    oldest = now
    for shard in shards:
        first = next(stream.after(shard, position_in(positions.get(shard)), limit=1), None)
        if first is not None:
            oldest = min(oldest, seconds_of(first["ApproximateCreationDateTime"]))
    for shard, item in positions.items():
        if shard not in shards and int(item["moved"]["N"]) < now - KEPT_SECONDS:
            dynamo.delete(names.aggregate_table, [layout.position_key(shard)])
    definition = dynamo.get(names.aggregate_table, DEFINITION_KEY)
    live = 0 if definition is None else epochs_of(definition).live
    known = dynamo.get(names.aggregate_table, WATCH_KEY)
    lost = is_lost(known, live) or (known is not None and now > int(known["safe"]["N"]))
    safe = int(oldest) + RETENTION_SECONDS - MARGIN_SECONDS
    item = {**WATCH_KEY, "safe": {"N": str(safe)}, **({"lost": {"N": str(live)}} if lost else {})}
    dynamo.put(names.aggregate_table, [item])
    return Watched(max(0, int(now - oldest)), lost)


def is_lost(item: Item | None, live: int) -> bool:
    """Whether the live totals may lack something, by what the sweeper remembers; totals made anew since do not."""
    return item is not None and "lost" in item and int(item["lost"]["N"]) >= live


def seconds_of(moment: datetime | float) -> float:
    """A record's time in seconds since 1970, as boto3 or Lambda gives it."""
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
