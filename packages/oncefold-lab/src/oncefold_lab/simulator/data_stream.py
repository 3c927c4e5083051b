"""One Kinesis data stream: its shards, the records put into it, and the records read from it.

Source: "Amazon Kinesis Data Streams terminology and concepts"; "Reshard a stream".

Source: their API reference, which promises no order within one PutRecords.

Source: their API reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from itertools import pairwise
from random import Random
from typing import Any

from oncefold_lab.simulator.calls import Caller, Reply, Request
from oncefold_lab.simulator.errors import INTERNAL, ServiceError
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.shard import ShardLog, ShardLogs

HASH_KEYS = 1 << 128
_FIRST_SEQUENCE = 49 * 10**54
ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class DataRecord:
    """A record, as its shard keeps it."""

    sequence: int
    created: float
    data: bytes
    key: str

    @property
    def bytes(self) -> int:
        """What counts toward the size of a page."""
        return len(self.data) + len(self.key.encode())


def hash_key_of(partition_key: str) -> int:
    """The point at which a partition key's records lie."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest())


class DataStream:
    """The state of a data stream."""

    def __init__(self, name: str, shards: int, retention_hours: int, now: float) -> None:
        self.name = name
        self.created = now
        self.retention_hours = retention_hours
        self.arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{name}"
        self._shards = ShardLogs[DataRecord](HASH_KEYS, _FIRST_SEQUENCE, retention_hours * 3600.0)
        edges = [HASH_KEYS * index // shards for index in range(shards + 1)]
        for low, high in pairwise(edges):
            self._open((), low, high, now)

    def put(self, data: bytes, key: str, hash_key: int, now: float) -> tuple[str, int]:
        """Append a record; its shard and sequence number."""
        shard = self._shards.of(hash_key)
        sequence = self._shards.take_sequence()
        shard.entries.append(DataRecord(sequence, now, data, key))
        return shard.id, sequence

    def shards(self) -> list[ShardLog[DataRecord]]:
        """The shards that are listed, oldest first."""
        return sorted(self._shards.all.values(), key=lambda shard: shard.id)

    def shard(self, shard_id: str) -> ShardLog[DataRecord]:
        """A shard that is listed. Raises Refusal."""
        shard = self._shards.all.get(shard_id)
        if shard is None:
            raise ServiceError.not_found(
                f"Could not find shard {shard_id} in stream {self.name} under account {ACCOUNT}."
            )
        return shard

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next record."""
        return self._shards.next_sequence

    def trim(self, now: float) -> int:
        """Drop records and shards that are too old; how many records."""
        return self._shards.trim(now)

    def split(self, shard_id: str, hash_key: int, now: float) -> None:
        """Close a shard and let two take its place, the second from a hash key on. Raises Refusal."""
        shard = self._to_close(shard_id)
        if not shard.low < hash_key < shard.high:
            raise ServiceError(
                "InvalidArgumentException",
                f"NewStartingHashKey {hash_key} used in SplitShard() on shard {shard_id} in stream {self.name} under "
                f"account {ACCOUNT} is not both greater than one plus the shard's StartingHashKey {shard.low} and "
                f"less than the shard's EndingHashKey {shard.high - 1}.",
            )
        self._shards.close(shard, now)
        self._open((shard_id,), shard.low, hash_key, now)
        self._open((shard_id,), hash_key, shard.high, now)

    def merge(self, shard_id: str, adjacent_id: str, now: float) -> None:
        """Close two shards that lie beside each other and let one take their place. Raises Refusal."""
        shard, adjacent = self._to_close(shard_id), self._to_close(adjacent_id)
        if shard.high != adjacent.low and adjacent.high != shard.low:
            raise ServiceError(
                "InvalidArgumentException",
                f"Shards {shard_id} and {adjacent_id} in stream {self.name} under account {ACCOUNT} are not an "
                "adjacent pair of shards eligible for merging",
            )
        self._shards.close(shard, now)
        self._shards.close(adjacent, now)
        self._open((shard_id, adjacent_id), min(shard.low, adjacent.low), max(shard.high, adjacent.high), now)

    def _to_close(self, shard_id: str) -> ShardLog[DataRecord]:
        shard = self.shard(shard_id)
        if shard.closed is not None:
            raise ServiceError(
                "InvalidArgumentException",
                f"Shard {shard_id} in stream {self.name} under account {ACCOUNT} has already been merged or split, "
                "and thus is not eligible for merging or splitting.",
            )
        return shard

    def _open(self, parents: tuple[str, ...], low: int, high: int, now: float) -> None:
        self._shards.open("shardId-{number:012d}", parents, low, high, now)


PUT_RECORDS = 500
"""Records of one PutRecords, at most."""
PUT_RECORD_BYTES = 10 << 20
"""A record, or all of one PutRecords, with their partition keys."""
KEY_CHARS = 256


@dataclass(frozen=True, slots=True)
class _PutEntry:
    """A record that is to be put."""

    data: bytes
    key: str
    hash_key: int

    @property
    def size(self) -> int:
        return len(self.data) + len(self.key.encode())


def put_record(caller: Caller, stream: DataStream, request: Request, fault: Fault | None) -> Reply:
    """PutRecord."""
    arrival = _arrival(request)
    if fault is Fault.LATE:
        raise caller.later(fault, lambda: _put(caller, stream, arrival))
    shard, sequence = _put(caller, stream, arrival)
    return {"ShardId": shard, "SequenceNumber": str(sequence)}


def put_records(
    caller: Caller, stream: DataStream, random: Random | None, request: Request, fault: Fault | None
) -> Reply:
    """PutRecords."""
    arrivals = _arrivals(request["Records"])
    if fault is Fault.LATE:
        raise caller.later(fault, lambda: _put_all(caller, stream, random, dict(enumerate(arrivals))))
    failed: dict[int, dict[str, str]] = {}
    if fault is Fault.PARTIAL and len(arrivals) > 1:
        caller.faults.happened(fault)
        failed = {index: _failure(caller, stream) for index in caller.faults.some(len(arrivals))}
    done = {index: arrival for index, arrival in enumerate(arrivals) if index not in failed}
    places = _put_all(caller, stream, random, done)
    entries = [failed.get(index) or places[index] for index in range(len(arrivals))]
    return {"FailedRecordCount": len(failed), "Records": entries}


def _put_all(
    caller: Caller, stream: DataStream, random: Random | None, arrivals: Mapping[int, _PutEntry]
) -> dict[int, dict[str, str]]:
    """Put records, in the order of the request or in any; what the reply says of each."""
    order = list(arrivals)
    if random is not None:
        random.shuffle(order)
    places = {index: _put(caller, stream, arrivals[index]) for index in order}
    return {index: {"SequenceNumber": str(number), "ShardId": shard} for index, (shard, number) in places.items()}


def _put(caller: Caller, stream: DataStream, arrival: _PutEntry) -> tuple[str, int]:
    return stream.put(arrival.data, arrival.key, arrival.hash_key, caller.now())


def _failure(caller: Caller, stream: DataStream) -> dict[str, str]:
    if caller.faults.random.random() < 0.5:
        return {"ErrorCode": "InternalFailure", "ErrorMessage": INTERNAL}
    return {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": f"Rate exceeded for shard in stream {stream.name} under account {ACCOUNT}.",
    }


def _arrivals(records: Sequence[Mapping[str, Any]]) -> list[_PutEntry]:
    if not 1 <= len(records) <= PUT_RECORDS:
        raise ServiceError(
            "InvalidArgumentException",
            f"1 validation error detected: Value '[{len(records)} records]' at 'records' failed to satisfy "
            f"constraint: Member must have length between 1 and {PUT_RECORDS}",
        )
    arrivals = [_arrival(record) for record in records]
    if sum(arrival.size for arrival in arrivals) > PUT_RECORD_BYTES:
        raise ServiceError("InvalidArgumentException", "Records size exceeds 10 MB limit")
    return arrivals


def _arrival(record: Mapping[str, Any]) -> _PutEntry:
    data, key = record["Data"], record["PartitionKey"]
    if not 1 <= len(key) <= KEY_CHARS:
        raise ServiceError(
            "InvalidArgumentException",
            f"1 validation error detected: Value '{key}' at 'partitionKey' failed to satisfy constraint: "
            f"Member must have length between 1 and {KEY_CHARS}",
        )
    data = data.encode() if isinstance(data, str) else bytes(data)
    arrival = _PutEntry(data, key, _hash_key(record))
    if arrival.size > PUT_RECORD_BYTES:
        raise ServiceError("InvalidArgumentException", f"Record size exceeds {PUT_RECORD_BYTES} bytes")
    return arrival


def _hash_key(record: Mapping[str, Any]) -> int:
    text = record.get("ExplicitHashKey")
    if text is None:
        return hash_key_of(record["PartitionKey"])
    if not text.isdecimal() or int(text) >= HASH_KEYS:
        raise ServiceError(
            "InvalidArgumentException",
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}",
        )
    return int(text)


READ_RECORDS = 10_000
READ_BYTES = 10 << 20
ITERATOR_SECONDS = 5 * 60.0


@dataclass(frozen=True, slots=True)
class ShardIterator:
    """What a shard iterator says: a sequence number, of a record there is or of one to come."""

    stream: str
    shard: str
    sequence: int
    issued: float

    def text(self) -> str:
        """What the caller gets."""
        return f"{self.stream}|{self.shard}|{self.sequence}|{self.issued!r}"

    @classmethod
    def parse(cls, text: str) -> "ShardIterator":
        """The inverse of `text`."""
        try:
            stream, shard, sequence, issued = text.split("|")
            return cls(stream, shard, int(sequence), float(issued))
        except ValueError:
            raise ServiceError("InvalidArgumentException", "Invalid ShardIterator.") from None


def get_shard_iterator(caller: Caller, stream: DataStream, request: Request) -> Reply:
    """GetShardIterator."""
    shard = stream.shard(request["ShardId"])
    sequence = _start(stream, shard, request)
    return {"ShardIterator": ShardIterator(stream.name, shard.id, sequence, caller.now()).text()}


def _start(stream: DataStream, shard: ShardLog[DataRecord], request: Request) -> int:
    """Where to begin. What was trimmed meanwhile is passed over: reading begins with the oldest record there is."""
    kind = request["ShardIteratorType"]
    if kind == "TRIM_HORIZON":
        return 0
    if kind == "LATEST":
        return stream.next_sequence
    if kind == "AT_TIMESTAMP":
        at = _seconds(request["Timestamp"])
        found = (entry.sequence for entry in shard.entries if entry.created >= at)
        return next(found, stream.next_sequence)
    if kind not in {"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"}:
        raise ServiceError("InvalidArgumentException", f"Invalid ShardIteratorType {kind}")
    text = request.get("StartingSequenceNumber", "")
    if not text.isdecimal() or not shard.first - 1 <= int(text) < stream.next_sequence:
        raise ServiceError(
            "InvalidArgumentException",
            f"StartingSequenceNumber {text} used in GetShardIterator on shard {shard.id} in stream {stream.name} under "
            f"account {ACCOUNT} is invalid.",
        )
    return int(text) + 1 if kind == "AFTER_SEQUENCE_NUMBER" else int(text)


def _seconds(moment: Any) -> float:
    return float(moment.timestamp() if isinstance(moment, datetime) else moment)


def get_records(
    caller: Caller, stream: DataStream, bookmark: ShardIterator, request: Request, fault: Fault | None
) -> Reply:
    """GetRecords."""
    now = caller.now()
    if now - bookmark.issued > ITERATOR_SECONDS:
        raise ServiceError(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {_moment(bookmark.issued)} while right now it is "
            f"{_moment(now)} which is further in the future than the tolerated delay of 300000 milliseconds.",
        )
    limit = request.get("Limit", READ_RECORDS)
    if not 1 <= limit <= READ_RECORDS:
        raise ServiceError("InvalidArgumentException", f"Limit {limit} must be between 1 and {READ_RECORDS}")
    shard = stream.shard(bookmark.shard)
    entries = shard.read(bookmark.sequence, limit, READ_BYTES)
    if fault is Fault.SHORT and entries:
        entries = entries[: caller.shortened(len(entries))]
    sequence = entries[-1].sequence + 1 if entries else bookmark.sequence
    reply: Reply = {
        "Records": [_record(entry) for entry in entries],
        "MillisBehindLatest": _behind(shard, sequence, now),
    }
    if shard.ends_before(sequence):
        reply["ChildShards"] = [_child(child) for child in stream.shards() if shard.id in child.parents]
    else:
        reply["NextShardIterator"] = ShardIterator(stream.name, shard.id, sequence, now).text()
    return reply


def _behind(shard: ShardLog[DataRecord], sequence: int, now: float) -> int:
    """Milliseconds from what is read next to now; 0 where nothing is left to be read."""
    rest = shard.read(sequence, 1, READ_BYTES)
    return max(1, int((now - rest[0].created) * 1000)) if rest else 0


def _record(entry: DataRecord) -> Reply:
    return {
        "SequenceNumber": str(entry.sequence),
        "ApproximateArrivalTimestamp": _moment(entry.created),
        "Data": entry.data,
        "PartitionKey": entry.key,
    }


def _child(shard: ShardLog[DataRecord]) -> Reply:
    return {"ShardId": shard.id, "ParentShards": list(shard.parents), "HashKeyRange": hash_key_range(shard)}


def hash_key_range(shard: ShardLog[DataRecord]) -> Reply:
    """The hash keys of a shard as they are reported, both ends included."""
    return {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high - 1)}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
