"""Change streams of tables: their shards, and a client with the calls of boto3's `dynamodbstreams`.

A shard is closed when it is rolled over or split; its children take its range on. So the changes of an item are in
order along its shards, parents first. Source: "Change data capture for DynamoDB Streams".

Sources: "Change data capture for DynamoDB Streams"; the API reference of Amazon DynamoDB Streams.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from oncefold_lab.simulator.calls import Caller
from oncefold_lab.simulator.errors import INTERNAL, ServiceError
from oncefold_lab.simulator.faults import Fault, Manners
from oncefold_lab.simulator.shard import ShardLog, ShardLogs
from oncefold_lab.simulator.values import Item, Row, give_item, item_size

RETENTION_SECONDS = 24 * 3600.0
SHARD_SECONDS = 4 * 3600.0
"""A shard takes records for as long, then a new one takes its place."""
POINTS = 1 << 64
_FIRST_SEQUENCE = 10**20


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change of an item, as a stream keeps it."""

    sequence: int
    created: float
    bytes: int
    name: str
    keys: Item
    images: Mapping[str, Item]


class ChangeShards:
    """All shards of a change stream that are still listed."""

    def __init__(self, opened: float, count: int) -> None:
        self.opened = opened
        self._shards = ShardLogs[ChangeRecord](POINTS, _FIRST_SEQUENCE, RETENTION_SECONDS)
        edges = [POINTS * index // count for index in range(count + 1)]
        for low, high in pairwise(edges):
            self._open((), low, high, opened)

    @property
    def all(self) -> Mapping[str, ShardLog[ChangeRecord]]:
        """The shards by their id."""
        return self._shards.all

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next record."""
        return self._shards.next_sequence

    def append(self, point: int, now: float, **change: Any) -> None:
        """Append a change to the open shard of its point."""
        shard = self._shards.of(point)
        if now - shard.opened >= SHARD_SECONDS:
            shard = self.roll(shard.id, now)
        shard.entries.append(ChangeRecord(self._shards.take_sequence(), **change))

    def roll(self, shard_id: str, now: float) -> ShardLog[ChangeRecord]:
        """Close a shard and let a new one take its place."""
        shard = self._close(shard_id, now)
        return self._open((shard.id,), shard.low, shard.high, now)

    def split(self, shard_id: str, now: float) -> tuple[ShardLog[ChangeRecord], ShardLog[ChangeRecord]]:
        """Close a shard and let two new ones take its place."""
        shard = self._close(shard_id, now)
        middle = (shard.low + shard.high) // 2
        return self._open((shard.id,), shard.low, middle, now), self._open((shard.id,), middle, shard.high, now)

    def trim(self, now: float) -> int:
        """Drop records and shards that are too old; how many records."""
        return self._shards.trim(now)

    def _open(self, parents: tuple[str, ...], low: int, high: int, now: float) -> ShardLog[ChangeRecord]:
        return self._shards.open(f"shardId-{{number:020d}}-{low >> 32:08x}", parents, low, high, now)

    def _close(self, shard_id: str, now: float) -> ShardLog[ChangeRecord]:
        assert self._shards.is_open(shard_id), f"{shard_id} is no open shard"
        shard = self._shards.all[shard_id]
        self._shards.close(shard, now)
        return shard


RECORDS = 1000
"""Records of one GetRecords, at most."""
READ_BYTES = 1 << 20
ITERATOR_SECONDS = 15 * 60.0
PAGE = 100
"""Shards and streams that are listed at a time."""

STREAM_MANNERS = Manners(
    throttles=(("LimitExceededException", "Rate exceeded for shard."),), failure=("InternalServerError", INTERNAL)
)
_VIEWS = {
    "KEYS_ONLY": (),
    "NEW_IMAGE": ("NewImage",),
    "OLD_IMAGE": ("OldImage",),
    "NEW_AND_OLD_IMAGES": ("NewImage", "OldImage"),
}


@dataclass
class ChangeStream:
    """The changes of one table."""

    table: str
    arn: str
    label: str
    view: str
    key_schema: list[dict[str, str]]
    shards: ChangeShards
    images: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.view not in _VIEWS:
            raise ServiceError.invalid(
                f"1 validation error detected: Value '{self.view}' at 'streamSpecification.streamViewType' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(_VIEWS)}]"
            )
        self.images = _VIEWS[self.view]

    def record(self, point: int, now: float, created: float, keys: Item, old: Row | None, new: Row | None) -> None:
        """Append a change, as it is seen from outside at `now`."""
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        both = {"NewImage": new, "OldImage": old}
        shown = {image: row for image in self.images if (row := both[image]) is not None}
        images = {image: row[0] for image, row in shown.items()}
        size = item_size(keys) + sum(row[1] for row in shown.values())
        self.shards.append(point, now, created=created, name=name, keys=keys, images=images, bytes=size)


@dataclass(frozen=True, slots=True)
class StreamIterator:
    """What a shard iterator says. Sequence number 0 is the oldest record there is when it is used."""

    arn: str
    shard: str
    sequence: int
    issued: float

    def text(self) -> str:
        """What the caller gets."""
        return f"{self.arn}|1|{self.shard}|{self.sequence}|{self.issued!r}"

    @classmethod
    def parse(cls, text: str) -> "StreamIterator":
        """The inverse of `text`."""
        try:
            arn, _, shard, sequence, issued = text.split("|")
            return cls(arn, shard, int(sequence), float(issued))
        except ValueError:
            raise ServiceError.invalid("Invalid ShardIterator") from None


class DynamoDBStreams:
    """A client for the change streams of a simulated DynamoDB."""

    def __init__(self, caller: Caller, streams: Callable[[], Mapping[str, ChangeStream]]) -> None:
        """`streams` returns the existing streams, by ARN."""
        self._caller = caller
        self._streams = streams
        self.exceptions = caller.errors

    def list_streams(self, **request: Any) -> dict[str, Any]:
        """ListStreams."""
        return self._caller.call("ListStreams", self._list, request)

    def describe_stream(self, **request: Any) -> dict[str, Any]:
        """DescribeStream."""
        return self._caller.call("DescribeStream", self._describe, request)

    def get_shard_iterator(self, **request: Any) -> dict[str, Any]:
        """GetShardIterator."""
        return self._caller.call("GetShardIterator", self._iterator, request)

    def get_records(self, **request: Any) -> dict[str, Any]:
        """GetRecords."""
        return self._caller.call("GetRecords", self._records, request)

    def _list(self, request: Mapping[str, Any], _: Fault | None) -> dict[str, Any]:
        table, start = request.get("TableName"), request.get("ExclusiveStartStreamArn")
        found = [stream for stream in self._streams().values() if table in {None, stream.table}]
        arns = [stream.arn for stream in found]
        found = found[arns.index(start) + 1 :] if start in arns else found
        limit = request.get("Limit", PAGE)
        reply: dict[str, Any] = {
            "Streams": [
                {"StreamArn": stream.arn, "TableName": stream.table, "StreamLabel": stream.label}
                for stream in found[:limit]
            ]
        }
        if len(found) > limit:
            reply["LastEvaluatedStreamArn"] = found[limit - 1].arn
        return reply

    def _describe(self, request: Mapping[str, Any], _: Fault | None) -> dict[str, Any]:
        stream = self._stream(request["StreamArn"])
        start, limit = request.get("ExclusiveStartShardId", ""), request.get("Limit", PAGE)
        shards = sorted((shard for shard in stream.shards.all.values() if shard.id > start), key=lambda s: s.id)
        description: dict[str, Any] = {
            "StreamArn": stream.arn,
            "StreamLabel": stream.label,
            "StreamStatus": "ENABLED",
            "StreamViewType": stream.view,
            "CreationRequestDateTime": _moment(stream.shards.opened),
            "TableName": stream.table,
            "KeySchema": stream.key_schema,
            "Shards": [_described(shard) for shard in shards[:limit]],
        }
        if len(shards) > limit:
            description["LastEvaluatedShardId"] = shards[limit - 1].id
        return {"StreamDescription": description}

    def _iterator(self, request: Mapping[str, Any], _: Fault | None) -> dict[str, Any]:
        stream = self._stream(request["StreamArn"])
        shard = self._shard(stream, request["ShardId"])
        sequence = self._start(stream, shard, request)
        return {"ShardIterator": StreamIterator(stream.arn, shard.id, sequence, self._caller.now()).text()}

    def _start(self, stream: ChangeStream, shard: ShardLog[ChangeRecord], request: Mapping[str, Any]) -> int:
        kind: str = request["ShardIteratorType"]
        if kind == "TRIM_HORIZON":
            return 0
        if kind == "LATEST":
            return stream.shards.next_sequence
        if kind not in {"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"} or "SequenceNumber" not in request:
            raise ServiceError.invalid(f"Invalid ShardIteratorType {kind}, or no SequenceNumber with it")
        sequence = int(request["SequenceNumber"])
        if sequence <= shard.trimmed:
            raise _trimmed()
        return sequence + 1 if kind == "AFTER_SEQUENCE_NUMBER" else sequence

    def _records(self, request: Mapping[str, Any], fault: Fault | None) -> dict[str, Any]:
        bookmark = StreamIterator.parse(request["ShardIterator"])
        now = self._caller.now()
        if now - bookmark.issued > ITERATOR_SECONDS:
            raise ServiceError("ExpiredIteratorException", "The shard iterator is expired.")
        stream = self._stream(bookmark.arn)
        shard = self._shard(stream, bookmark.shard)
        if 0 < bookmark.sequence <= shard.trimmed:
            raise _trimmed()
        limit = request.get("Limit", RECORDS)
        if not 1 <= limit <= RECORDS:
            raise ServiceError("LimitExceededException", f"Limit must be between 1 and {RECORDS}")
        entries = shard.read(bookmark.sequence, limit, READ_BYTES)
        if fault is Fault.SHORT and entries:
            entries = entries[: self._caller.shortened(len(entries))]
        reply: dict[str, Any] = {"Records": [_record(stream, entry) for entry in entries]}
        sequence = entries[-1].sequence + 1 if entries else bookmark.sequence
        if not shard.ends_before(sequence):
            reply["NextShardIterator"] = StreamIterator(stream.arn, shard.id, sequence, now).text()
        return reply

    def _stream(self, arn: str) -> ChangeStream:
        stream = self._streams().get(arn)
        if stream is None:
            raise ServiceError.not_found(f"Requested resource not found: Stream: {arn} not found")
        self._caller.count("trimmed records", stream.shards.trim(self._caller.now()))
        return stream

    def _shard(self, stream: ChangeStream, shard_id: str) -> ShardLog[ChangeRecord]:
        shard = stream.shards.all.get(shard_id)
        if shard is None:
            raise ServiceError.not_found(f"Requested resource not found: Shard does not exist: {shard_id}")
        return shard


def _trimmed() -> ServiceError:
    return ServiceError(
        "TrimmedDataAccessException", "The operation attempted to read past the oldest stream record in a shard."
    )


def _described(shard: ShardLog[ChangeRecord]) -> dict[str, Any]:
    range_of: dict[str, str] = {"StartingSequenceNumber": str(shard.first)}
    if shard.last is not None:
        range_of["EndingSequenceNumber"] = str(shard.last)
    described: dict[str, Any] = {"ShardId": shard.id, "SequenceNumberRange": range_of}
    return {**described, "ParentShardId": shard.parents[0]} if shard.parents else described


def _record(stream: ChangeStream, entry: ChangeRecord) -> dict[str, Any]:
    return {
        "eventID": f"{entry.sequence:032x}",
        "eventName": entry.name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.arn.split(":")[3],
        "dynamodb": {
            "ApproximateCreationDateTime": _moment(entry.created // 1),
            "Keys": give_item(entry.keys),
            **{image: give_item(item) for image, item in entry.images.items()},
            "SequenceNumber": str(entry.sequence),
            "SizeBytes": entry.bytes,
            "StreamViewType": stream.view,
        },
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
