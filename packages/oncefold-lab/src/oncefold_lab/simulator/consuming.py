"""GetShardIterator and GetRecords: positions in a shard, and pages from there.

Source: their API reference.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oncefold_lab.simulator.calling import Caller, Reply, Request
from oncefold_lab.simulator.datastream import ACCOUNT, DataRecord, DataStream
from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.shard import Shard

RECORDS = 10_000
READ_BYTES = 10 << 20
ITERATOR_SECONDS = 5 * 60.0


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What a shard iterator says: a sequence number, of a record there is or of one to come."""

    stream: str
    shard: str
    sequence: int
    issued: float

    def text(self) -> str:
        """What the caller gets."""
        return f"{self.stream}|{self.shard}|{self.sequence}|{self.issued!r}"

    @classmethod
    def parse(cls, text: str) -> "Bookmark":
        """The inverse of `text`."""
        try:
            stream, shard, sequence, issued = text.split("|")
            return cls(stream, shard, int(sequence), float(issued))
        except ValueError:
            raise Refusal("InvalidArgumentException", "Invalid ShardIterator.") from None


def get_shard_iterator(caller: Caller, stream: DataStream, request: Request) -> Reply:
    """GetShardIterator."""
    shard = stream.shard(request["ShardId"])
    sequence = _start(stream, shard, request)
    return {"ShardIterator": Bookmark(stream.name, shard.id, sequence, caller.now()).text()}


def _start(stream: DataStream, shard: Shard[DataRecord], request: Request) -> int:
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
        raise Refusal("InvalidArgumentException", f"Invalid ShardIteratorType {kind}")
    text = request.get("StartingSequenceNumber", "")
    if not text.isdecimal() or not shard.first - 1 <= int(text) < stream.next_sequence:
        raise Refusal(
            "InvalidArgumentException",
            f"StartingSequenceNumber {text} used in GetShardIterator on shard {shard.id} in stream {stream.name} under "
            f"account {ACCOUNT} is invalid.",
        )
    return int(text) + 1 if kind == "AFTER_SEQUENCE_NUMBER" else int(text)


def _seconds(moment: Any) -> float:
    return float(moment.timestamp() if isinstance(moment, datetime) else moment)


def get_records(caller: Caller, stream: DataStream, bookmark: Bookmark, request: Request, fault: Fault | None) -> Reply:
    """GetRecords."""
    now = caller.now()
    if now - bookmark.issued > ITERATOR_SECONDS:
        raise Refusal(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {_moment(bookmark.issued)} while right now it is "
            f"{_moment(now)} which is further in the future than the tolerated delay of 300000 milliseconds.",
        )
    limit = request.get("Limit", RECORDS)
    if not 1 <= limit <= RECORDS:
        raise Refusal("InvalidArgumentException", f"Limit {limit} must be between 1 and {RECORDS}")
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
        reply["NextShardIterator"] = Bookmark(stream.name, shard.id, sequence, now).text()
    return reply


def _behind(shard: Shard[DataRecord], sequence: int, now: float) -> int:
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


def _child(shard: Shard[DataRecord]) -> Reply:
    return {"ShardId": shard.id, "ParentShards": list(shard.parents), "HashKeyRange": hash_key_range(shard)}


def hash_key_range(shard: Shard[DataRecord]) -> Reply:
    """The hash keys of a shard as they are told, both ends included."""
    return {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high - 1)}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
