"""What a reader asks of a stream: its shards, and the next records of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.stream import calls
from oncefold.aws.stream.calls import Trouble
from oncefold.core.errors import SourceError

FULL: Final = 10_000
"""Records that one answer holds at most."""


class CallFailed(Exception):  # noqa: N818 - a report on a call, which the reader acts on
    """A call failed in a way that a reader can answer to."""

    def __init__(self, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """A shard of a stream."""

    id: str
    parents: tuple[str, ...] = ()
    """The shards whose records came before its own, for any partition key."""
    closed: bool = False
    """It gets no more records."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of a shard, and how to go on."""

    records: Sequence[Mapping[str, Any]]
    iterator: str | None
    """For the next records; None if the shard is closed and these were its last."""
    behind: float
    """Seconds from here to the newest record."""
    children: Sequence[ShardInfo] = ()
    """The shards that follow on a closed one."""

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(len(record["Data"]) for record in self.records)


class StreamCalls:
    """The calls to one stream; several threads may make them. They raise CallFailed, and SourceError beyond that."""

    def __init__(self, client: Any, name: str) -> None:
        """`client` is a boto3 client, or anything that takes the same calls."""
        self._client = client
        self._name = name

    def shards(self) -> list[ShardInfo]:
        """All shards that still hold records, or may get some."""
        found: list[ShardInfo] = []
        request: dict[str, Any] = {"StreamName": self._name}
        while True:
            page = self._call("list_shards", **request)
            found += map(_shard, page["Shards"])
            if not page.get("NextToken"):
                return found
            request = {"NextToken": page["NextToken"]}

    def records(self, shard: str, at: str, iterator: str | None) -> Answer:
        """The records by the iterator, or where there is none after sequence number `at`, or from the oldest on."""
        if iterator is None:
            iterator = self._iterator(shard, at)
        answer = self._call("get_records", ShardIterator=iterator, Limit=FULL)
        children = [
            ShardInfo(child["ShardId"], tuple(child["ParentShards"])) for child in answer.get("ChildShards") or ()
        ]
        behind = (answer.get("MillisBehindLatest") or 0) / 1_000
        return Answer(answer["Records"], answer.get("NextShardIterator"), behind, children)

    def _iterator(self, shard: str, at: str) -> str:
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if at:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": at}
        answer = self._call("get_shard_iterator", StreamName=self._name, ShardId=shard, **start)
        iterator: str = answer["ShardIterator"]
        return iterator

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except (ClientError, BotoCoreError) as error:
            reason = calls.reason(error, self._client)
            kind = calls.trouble(error)
            if kind == "other":
                raise SourceError(f"kinesis://{self._name}: {reason}") from None
            raise CallFailed(kind, reason) from None
        return answer


def _shard(described: Mapping[str, Any]) -> ShardInfo:
    parents = [described.get(name) for name in ("ParentShardId", "AdjacentParentShardId")]
    closed = "EndingSequenceNumber" in described.get("SequenceNumberRange", {})
    return ShardInfo(described["ShardId"], tuple(parent for parent in parents if parent), closed)
