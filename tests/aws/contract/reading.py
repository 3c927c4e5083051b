"""Reading streams, of DynamoDB or Kinesis: from the beginning, all shards, until what is wanted has come."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.tools.waiting import until

Record = dict[str, Any]


@dataclass
class Reader:
    """Reads on from page to page. What was read is kept by shard, in the order in which it came."""

    client: Any
    stream: dict[str, str]
    """How requests name the stream: its StreamArn or StreamName."""
    shards: Callable[[], list[str]]
    read: dict[str, list[Record]] = field(default_factory=dict)
    _iterators: dict[str, str | None] = field(default_factory=dict)

    def iterator(self, shard: str, kind: str = "TRIM_HORIZON", sequence: str | None = None) -> str:
        """Where to begin to read a shard."""
        word = "SequenceNumber" if "StreamArn" in self.stream else "StartingSequenceNumber"
        number = {} if sequence is None else {word: sequence}
        answer = self.client.get_shard_iterator(**self.stream, ShardId=shard, ShardIteratorType=kind, **number)
        position: str = answer["ShardIterator"]
        return position

    def until(self, enough: Callable[[list[Record]], object], what: str) -> list[Record]:
        """All that was read, once that is enough."""

        def look() -> bool:
            self.step()
            return bool(enough(list(self.records())))

        until(look, what, seconds=30)
        return list(self.records())

    def records(self) -> Iterator[Record]:
        """All that was read, shard by shard."""
        return (record for records in self.read.values() for record in records)

    def step(self) -> None:
        """Read one page of each shard that is not at its end."""
        for shard in self.shards():
            if shard not in self._iterators:
                self._iterators[shard] = self.iterator(shard)
        for shard, position in self._iterators.items():
            if position is not None:
                answer = self.client.get_records(ShardIterator=position)
                self.read.setdefault(shard, []).extend(answer["Records"])
                self._iterators[shard] = answer.get("NextShardIterator")

    def ended(self, shard: str) -> bool:
        """Whether a shard was read to its end, because it was closed."""
        return shard in self._iterators and self._iterators[shard] is None
