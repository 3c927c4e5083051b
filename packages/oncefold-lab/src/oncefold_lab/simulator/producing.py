"""PutRecord and PutRecords: into the shard of the hash key; of several records some may fail.

Source: their API reference, which promises no order within one PutRecords.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from oncefold_lab.simulator.calling import Caller, Reply, Request
from oncefold_lab.simulator.datastream import ACCOUNT, HASH_KEYS, DataStream, hash_key_of
from oncefold_lab.simulator.errors import INTERNAL, Refusal
from oncefold_lab.simulator.faults import Fault

RECORDS = 500
"""Records of one PutRecords, at most."""
RECORD_BYTES = 10 << 20
"""A record, or all of one PutRecords, with their partition keys."""
KEY_CHARS = 256


@dataclass(frozen=True, slots=True)
class _Arrival:
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
    caller: Caller, stream: DataStream, random: Random | None, arrivals: Mapping[int, _Arrival]
) -> dict[int, dict[str, str]]:
    """Put records, in the order of the request or in any; what the reply says of each."""
    order = list(arrivals)
    if random is not None:
        random.shuffle(order)
    places = {index: _put(caller, stream, arrivals[index]) for index in order}
    return {index: {"SequenceNumber": str(number), "ShardId": shard} for index, (shard, number) in places.items()}


def _put(caller: Caller, stream: DataStream, arrival: _Arrival) -> tuple[str, int]:
    return stream.put(arrival.data, arrival.key, arrival.hash_key, caller.now())


def _failure(caller: Caller, stream: DataStream) -> dict[str, str]:
    if caller.faults.random.random() < 0.5:
        return {"ErrorCode": "InternalFailure", "ErrorMessage": INTERNAL}
    return {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": f"Rate exceeded for shard in stream {stream.name} under account {ACCOUNT}.",
    }


def _arrivals(records: Sequence[Mapping[str, Any]]) -> list[_Arrival]:
    if not 1 <= len(records) <= RECORDS:
        raise Refusal(
            "InvalidArgumentException",
            f"1 validation error detected: Value '[{len(records)} records]' at 'records' failed to satisfy "
            f"constraint: Member must have length between 1 and {RECORDS}",
        )
    arrivals = [_arrival(record) for record in records]
    if sum(arrival.size for arrival in arrivals) > RECORD_BYTES:
        raise Refusal("InvalidArgumentException", "Records size exceeds 10 MB limit")
    return arrivals


def _arrival(record: Mapping[str, Any]) -> _Arrival:
    data, key = record["Data"], record["PartitionKey"]
    if not 1 <= len(key) <= KEY_CHARS:
        raise Refusal(
            "InvalidArgumentException",
            f"1 validation error detected: Value '{key}' at 'partitionKey' failed to satisfy constraint: "
            f"Member must have length between 1 and {KEY_CHARS}",
        )
    data = data.encode() if isinstance(data, str) else bytes(data)
    arrival = _Arrival(data, key, _hash_key(record))
    if arrival.size > RECORD_BYTES:
        raise Refusal("InvalidArgumentException", f"Record size exceeds {RECORD_BYTES} bytes")
    return arrival


def _hash_key(record: Mapping[str, Any]) -> int:
    text = record.get("ExplicitHashKey")
    if text is None:
        return hash_key_of(record["PartitionKey"])
    if not text.isdecimal() or int(text) >= HASH_KEYS:
        raise Refusal(
            "InvalidArgumentException",
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}",
        )
    return int(text)
