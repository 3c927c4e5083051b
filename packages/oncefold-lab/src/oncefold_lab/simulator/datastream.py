"""One Kinesis data stream: shards by ranges of hash keys, split, merged, and trimmed by its retention.

Source: "Amazon Kinesis Data Streams terminology and concepts"; "Reshard a stream".
"""

from dataclasses import dataclass
from hashlib import md5
from itertools import pairwise

from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.shard import Shard, Shards

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
        self._shards = Shards[DataRecord](HASH_KEYS, _FIRST_SEQUENCE, retention_hours * 3600.0)
        edges = [HASH_KEYS * index // shards for index in range(shards + 1)]
        for low, high in pairwise(edges):
            self._open((), low, high, now)

    def put(self, data: bytes, key: str, hash_key: int, now: float) -> tuple[str, int]:
        """Append a record; its shard and sequence number."""
        shard = self._shards.of(hash_key)
        sequence = self._shards.take_sequence()
        shard.entries.append(DataRecord(sequence, now, data, key))
        return shard.id, sequence

    def shards(self) -> list[Shard[DataRecord]]:
        """The shards that are listed, oldest first."""
        return sorted(self._shards.all.values(), key=lambda shard: shard.id)

    def shard(self, shard_id: str) -> Shard[DataRecord]:
        """A shard that is listed. Raises Refusal."""
        shard = self._shards.all.get(shard_id)
        if shard is None:
            raise Refusal.not_found(f"Could not find shard {shard_id} in stream {self.name} under account {ACCOUNT}.")
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
            raise Refusal(
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
            raise Refusal(
                "InvalidArgumentException",
                f"Shards {shard_id} and {adjacent_id} in stream {self.name} under account {ACCOUNT} are not an "
                "adjacent pair of shards eligible for merging",
            )
        self._shards.close(shard, now)
        self._shards.close(adjacent, now)
        self._open((shard_id, adjacent_id), min(shard.low, adjacent.low), max(shard.high, adjacent.high), now)

    def _to_close(self, shard_id: str) -> Shard[DataRecord]:
        shard = self.shard(shard_id)
        if shard.closed is not None:
            raise Refusal(
                "InvalidArgumentException",
                f"Shard {shard_id} in stream {self.name} under account {ACCOUNT} has already been merged or split, "
                "and thus is not eligible for merging or splitting.",
            )
        return shard

    def _open(self, parents: tuple[str, ...], low: int, high: int, now: float) -> None:
        self._shards.open("shardId-{number:012d}", parents, low, high, now)
