"""Kinesis Data Streams, simulated: a client with the calls of boto3's `client("kinesis")` that Oncefold uses."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from oncefold_lab.simulator import data_stream
from oncefold_lab.simulator.calls import KINESIS, Agenda, Caller, CallHook, Reply, Request
from oncefold_lab.simulator.data_stream import ACCOUNT, DataRecord, DataStream, ShardIterator, hash_key_range
from oncefold_lab.simulator.errors import INTERNAL, ServiceError
from oncefold_lab.simulator.faults import Fault, Faults, Manners, no_faults
from oncefold_lab.simulator.shard import ShardLog

MANNERS = Manners(
    throttles=(("ProvisionedThroughputExceededException", f"Rate exceeded for shard under account {ACCOUNT}."),),
    failure=("InternalFailure", INTERNAL),
)
RETENTION_HOURS = 24
LISTED = 1000
"""Shards that are listed at a time."""


class Kinesis:
    """One account's data streams, none at first, in the memory of this process. Calls must not overlap.

    Streams are made, split and merged at once. A call may come within another one's hook.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        random: Random | None = None,
        faults: Faults | None = None,
        *,
        retention_hours: int = RETENTION_HOURS,
        calls: CallHook | None = None,
    ) -> None:
        """`clock` returns seconds since 1970 and never goes back.

        `random` orders the records of one PutRecords, which Kinesis does not; without it they keep their order.
        """
        self.counts: Counter[str] = Counter()
        """Calls by operation, errors by code, and what else there is to count."""
        self._agenda = Agenda()
        faults = faults if faults is not None else no_faults()
        self._caller = Caller(clock, faults, MANNERS, KINESIS, self._agenda, self.counts, calls)
        self._random = random
        self._retention_hours = retention_hours
        self._streams: dict[str, DataStream] = {}
        self.exceptions = self._caller.errors

    def create_stream(self, **request: Any) -> Reply:
        """CreateStream."""
        return self._caller.call("CreateStream", self._create, request)

    def delete_stream(self, **request: Any) -> Reply:
        """DeleteStream."""
        return self._caller.call("DeleteStream", self._delete, request)

    def list_streams(self, **request: Any) -> Reply:
        """ListStreams."""
        return self._caller.call("ListStreams", self._list, request)

    def describe_stream_summary(self, **request: Any) -> Reply:
        """DescribeStreamSummary."""
        return self._caller.call("DescribeStreamSummary", self._describe, request)

    def list_shards(self, **request: Any) -> Reply:
        """ListShards."""
        return self._caller.call("ListShards", self._list_shards, request)

    def put_record(self, **request: Any) -> Reply:
        """PutRecord."""
        return self._caller.call("PutRecord", self._put_record, request)

    def put_records(self, **request: Any) -> Reply:
        """PutRecords."""
        return self._caller.call("PutRecords", self._put_records, request)

    def get_shard_iterator(self, **request: Any) -> Reply:
        """GetShardIterator."""
        return self._caller.call("GetShardIterator", self._iterator, request)

    def get_records(self, **request: Any) -> Reply:
        """GetRecords."""
        return self._caller.call("GetRecords", self._records, request)

    def split_shard(self, **request: Any) -> Reply:
        """SplitShard."""
        return self._caller.call("SplitShard", self._split, request)

    def merge_shards(self, **request: Any) -> Reply:
        """MergeShards."""
        return self._caller.call("MergeShards", self._merge, request)

    def get_waiter(self, name: str) -> "StreamWaiter":
        """The waiters for streams, which have nothing to wait for."""
        return StreamWaiter(self, name)

    def due(self) -> float | None:
        """When a late effect is going to happen next."""
        return self._agenda.due()

    def run_due(self) -> None:
        """Let what is due happen now, rather than with the next call."""
        self._agenda.run(self._caller.now())

    def _create(self, request: Request, _: Fault | None) -> Reply:
        name = request["StreamName"]
        if name in self._streams:
            raise ServiceError("ResourceInUseException", f"Stream {name} under account {ACCOUNT} already exists.")
        shards = request.get("ShardCount", 1)
        self._streams[name] = DataStream(name, shards, self._retention_hours, self._caller.now())
        return {}

    def _delete(self, request: Request, _: Fault | None) -> Reply:
        del self._streams[self._stream(request).name]
        return {}

    def _list(self, request: Request, _: Fault | None) -> Reply:
        start, limit = request.get("ExclusiveStartStreamName", ""), request.get("Limit", 100)
        names = sorted(name for name in self._streams if name > start)
        return {"StreamNames": names[:limit], "HasMoreStreams": len(names) > limit}

    def _describe(self, request: Request, _: Fault | None) -> Reply:
        stream = self._stream(request)
        summary = {
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "RetentionPeriodHours": stream.retention_hours,
            "StreamCreationTimestamp": datetime.fromtimestamp(stream.created, UTC),
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "OpenShardCount": sum(shard.closed is None for shard in stream.shards()),
            "ConsumerCount": 0,
        }
        return {"StreamDescriptionSummary": summary}

    def _list_shards(self, request: Request, _: Fault | None) -> Reply:
        name, _, start = request.get("NextToken", "|").partition("|")
        stream = self._stream({"StreamName": name} if name else request)
        start = start or request.get("ExclusiveStartShardId", "")
        limit = request.get("MaxResults", LISTED)
        shards = [shard for shard in stream.shards() if shard.id > start]
        reply: Reply = {"Shards": [_described(shard) for shard in shards[:limit]]}
        return {**reply, "NextToken": f"{stream.name}|{shards[limit - 1].id}"} if len(shards) > limit else reply

    def _put_record(self, request: Request, fault: Fault | None) -> Reply:
        return data_stream.put_record(self._caller, self._stream(request), request, fault)

    def _put_records(self, request: Request, fault: Fault | None) -> Reply:
        return data_stream.put_records(self._caller, self._stream(request), self._random, request, fault)

    def _iterator(self, request: Request, _: Fault | None) -> Reply:
        return data_stream.get_shard_iterator(self._caller, self._stream(request), request)

    def _records(self, request: Request, fault: Fault | None) -> Reply:
        bookmark = ShardIterator.parse(request["ShardIterator"])
        stream = self._stream({"StreamName": bookmark.stream})
        return data_stream.get_records(self._caller, stream, bookmark, request, fault)

    def _split(self, request: Request, _: Fault | None) -> Reply:
        stream = self._stream(request)
        stream.split(request["ShardToSplit"], int(request["NewStartingHashKey"]), self._caller.now())
        return {}

    def _merge(self, request: Request, _: Fault | None) -> Reply:
        stream = self._stream(request)
        stream.merge(request["ShardToMerge"], request["AdjacentShardToMerge"], self._caller.now())
        return {}

    def _stream(self, request: Request) -> DataStream:
        """The stream that a request names, without what is too old."""
        name = request.get("StreamName") or request.get("StreamARN", "").rpartition("/")[2]
        stream = self._streams.get(name)
        if stream is None:
            raise ServiceError.not_found(f"Stream {name} under account {ACCOUNT} not found.")
        self._caller.count("trimmed records", stream.trim(self._caller.now()))
        return stream


def _described(shard: ShardLog[DataRecord]) -> Reply:
    sequences = {"StartingSequenceNumber": str(shard.first)}
    if shard.last is not None:
        sequences["EndingSequenceNumber"] = str(shard.last)
    described: Reply = {
        "ShardId": shard.id,
        "HashKeyRange": hash_key_range(shard),
        "SequenceNumberRange": sequences,
    }
    return {**described, **dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))}


class StreamWaiter:
    """Waits for a stream to be there, or gone: which it is at once, by the call that made it."""

    def __init__(self, kinesis: Kinesis, name: str) -> None:
        assert name in {"stream_exists", "stream_not_exists"}
        self._kinesis = kinesis if name == "stream_exists" else None

    def wait(self, **request: Any) -> None:
        """Check once. Raises ClientError for a stream that does not exist."""
        if self._kinesis is not None:
            self._kinesis.describe_stream_summary(StreamName=request["StreamName"])
