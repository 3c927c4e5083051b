"""A Kinesis stream in memory, as its documentation describes it, whose every failure is scripted."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

HOUR = 3_600.0
PAGE = 2
"""Shards in one answer of ListShards."""


def refusal(code: str, operation: str = "GetRecords", message: str = "because") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class ScriptedShard:
    parents: tuple[str, ...] = ()
    records: list[tuple[int, float, bytes]] = field(default_factory=list)
    """(sequence number, arrival, data)"""
    closed: bool = False


@dataclass
class Kinesis:
    """The calls of a boto3 client that a reader makes. `clock` gives the service's time."""

    clock: Callable[[], float]
    page_records: int = 10_000
    created: float = 1_000.0
    retention_hours: int = 24
    shards: dict[str, ScriptedShard] = field(default_factory=dict)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """The next call of an operation on the list fails in this way."""
    calls: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[str, float]] = field(default_factory=list)
    """Every GetRecords: shard and time."""
    on_records: Callable[[], object] = lambda: None
    exists: bool = True
    meta: Any = field(default_factory=lambda: SimpleNamespace(region_name="eu-west-1"))
    sequence: int = 4_900
    generation: int = 0
    """Of iterators; those of an earlier one are expired."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, clock: Callable[[], float], count: int, **options: Any) -> "Kinesis":
        made = cls(clock, **options)
        for _ in range(count):
            made.add_shard()
        return made

    # What happens to the stream

    def add_shard(self, *parents: str) -> str:
        name = f"shardId-{len(self.shards):03d}"
        self.shards[name] = ScriptedShard(parents)
        for parent in parents:
            self.shards[parent].closed = True
        return name

    def put(self, shard: str, *data: bytes) -> None:
        for each in data:
            self.sequence += 7
            self.shards[shard].records.append((self.sequence, self.clock(), each))

    def trim(self, shard: str, count: int) -> None:
        del self.shards[shard].records[:count]

    # The calls

    def describe_stream_summary(self, StreamName: str) -> dict[str, Any]:  # noqa: N803
        self._enter("describe_stream_summary")
        about = {"StreamCreationTimestamp": self.created, "RetentionPeriodHours": self.retention_hours}
        return {"StreamDescriptionSummary": about}

    def list_shards(self, StreamName: str = "", NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        self._enter("list_shards")
        start = int(NextToken)
        page = list(self.shards.items())[start : start + PAGE]
        more = start + PAGE < len(self.shards)
        return {"Shards": [_described(*each) for each in page], **({"NextToken": str(start + PAGE)} if more else {})}

    def get_shard_iterator(
        self,
        StreamName: str,  # noqa: N803
        ShardId: str,  # noqa: N803
        ShardIteratorType: str,  # noqa: N803
        StartingSequenceNumber: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        self._enter("get_shard_iterator")
        self._shard(ShardId)
        assert (ShardIteratorType == "TRIM_HORIZON") == (StartingSequenceNumber == "")
        if StartingSequenceNumber and int(StartingSequenceNumber) > self.sequence:
            raise refusal("InvalidArgumentException", "GetShardIterator", "it did not come from this stream")
        return {"ShardIterator": f"{ShardId} {StartingSequenceNumber or 0} {self.generation}"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:  # noqa: N803
        name, at, generation = ShardIterator.split(" ")
        self.asked.append((name, self.clock()))
        self._enter("get_records")
        shard = self._shard(name)
        if int(generation) < self.generation:
            raise refusal("ExpiredIteratorException")
        left = [record for record in shard.records if record[0] > int(at)]
        page = left[: min(Limit, self.page_records)]
        rest = left[len(page) :]
        last = page[-1][0] if page else int(at)
        over = shard.closed and not page and not rest
        answer = {
            "Records": [{"SequenceNumber": str(number), "Data": data} for number, _, data in page],
            "NextShardIterator": None if over else f"{name} {last} {generation}",
            "MillisBehindLatest": max(1, int(1_000 * (self.clock() - rest[0][1]))) if rest else 0,
        }
        if over:
            children = [(child, made.parents) for child, made in self.shards.items() if name in made.parents]
            answer["ChildShards"] = [{"ShardId": child, "ParentShards": list(parents)} for child, parents in children]
        self.on_records()
        return answer

    def expire_iterators(self) -> None:
        """All that were given out so far."""
        self.generation += 1

    def _enter(self, operation: str) -> None:
        with self._lock:
            self.calls[operation] += 1
            due = next((failure for failure in self.failures if failure[0] == operation), None)
            if due is not None:
                self.failures.remove(due)
        if not self.exists:
            raise refusal("ResourceNotFoundException", operation)
        if due is not None:
            raise due[1]

    def _shard(self, name: str) -> ScriptedShard:
        if name not in self.shards:
            raise refusal("ResourceNotFoundException")
        return self.shards[name]


def _described(name: str, shard: ScriptedShard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": "0", **({"EndingSequenceNumber": "9"} if shard.closed else {})}
    parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))
    return {"ShardId": name, "SequenceNumberRange": numbers, **parents}
