"""Shards of Kinesis and DynamoDB streams, read into the records that Lambda passes to a function, and filter patterns.

Syntax: "Filter rule syntax" of the Lambda Developer Guide. Here: lists of exact values, `prefix` and `exists`; any
other rule is refused, so that a mapping never lets through what Lambda would not.

Shapes: "Using Lambda to process records from Amazon Kinesis Data Streams" and "Using AWS Lambda with Amazon DynamoDB"
of the Lambda Developer Guide.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from botocore.exceptions import ClientError

from oncefold.core.errors import OncefoldError

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """A record passes if it matches any of the patterns."""

    patterns: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "RecordFilter | None":
        """The filter of `FilterCriteria`, each pattern a JSON text; None if there are none. Raises OncefoldError."""
        patterns = tuple(_pattern(text) for text in texts)
        return cls(patterns) if patterns else None

    def passes(self, record: Any) -> bool:
        """Whether the function gets to see a record."""
        return any(_matches(pattern, record) for pattern in self.patterns)


def _pattern(text: str) -> Mapping[str, Any]:
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise OncefoldError(f"filter pattern {text}: {error}; write a JSON object") from None
    if not isinstance(pattern, dict):
        raise OncefoldError(f"filter pattern {text}: write a JSON object")
    _check(pattern, text)
    return pattern


def _check(pattern: Mapping[str, Any], text: str) -> None:
    for name, rule in pattern.items():
        if isinstance(rule, dict):
            _check(rule, text)
        elif name.startswith("$") or not isinstance(rule, list) or not all(_known(one) for one in rule):
            raise OncefoldError(
                f"filter pattern {text}: the rule for {name!r} cannot be run on this machine; "
                f'use a list of values, {{"prefix": "..."}} or {{"exists": true}}'
            )


def _known(rule: Any) -> bool:
    if isinstance(rule, dict):
        return [*rule] == ["prefix"] or [*rule] == ["exists"]
    return not isinstance(rule, list)


def _matches(pattern: Mapping[str, Any], record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    for name, rule in pattern.items():
        value = record.get(name, _ABSENT)
        if isinstance(rule, Mapping):
            if not _matches(rule, value):
                return False
        elif not any(_fits(one, value) for one in rule):
            return False
    return True


def _fits(rule: Any, value: Any) -> bool:
    if isinstance(rule, Mapping):
        if "exists" in rule:
            return (value is not _ABSENT) is bool(rule["exists"])
        return isinstance(value, str) and value.startswith(rule["prefix"])
    return bool(type(rule) is type(value) and rule == value)


KINESIS_READ: Final = 10_000
DYNAMODB_READ: Final = 1_000
"""Records of one GetRecords call, at most."""


@dataclass(frozen=True, slots=True)
class PolledRecord:
    """A record of a shard, as a function sees it."""

    sequence: str
    key: bytes
    """Records of one key reach the function in their order."""
    arrived: float
    """Seconds since 1970."""
    event: bytes
    """JSON: the record's place in a batch."""


@dataclass(frozen=True, slots=True)
class ShardDescription:
    """A shard, and those it came from."""

    id: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardPage:
    """What one call read: the entries that pass the filter, and how many records it was given."""

    entries: tuple[PolledRecord, ...]
    records: int
    behind: bool
    """Whether more records are known to wait."""
    closed: bool
    """Whether the shard is closed and read to its end."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What GetRecords answered: the entries of all its records with whether they pass the filter."""

    entries: list[tuple[PolledRecord, bool]]
    following: str | None
    behind: bool


class RecordStream(Protocol):
    """A stream of either service."""

    arn: str

    def shards(self) -> list[ShardDescription]:
        """The shards that can be read now."""
        ...

    def iterator(self, shard: str, after: str | None, *, latest: bool) -> str:
        """An iterator behind the record `after`; without one, at the end (`latest`) or at the oldest record."""
        ...

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:
        """One GetRecords call."""
        ...


class KinesisRecordStream:
    """A Kinesis stream, through a boto3 client."""

    def __init__(self, client: Any, arn: str, wanted: RecordFilter | None = None) -> None:
        self.arn = arn
        self._client = client
        self._wanted = wanted
        _, _, _, self._region, account, name = arn.split(":", 5)
        self._role = f"arn:aws:iam::{account}:role/{name.replace('/', '-')}"

    def shards(self) -> list[ShardDescription]:
        """See Stream."""
        page = self._client.list_shards(StreamARN=self.arn)
        found = page["Shards"]
        while token := page.get("NextToken"):
            page = self._client.list_shards(NextToken=token)
            found += page["Shards"]
        return [
            ShardDescription(item["ShardId"], _present(item.get("ParentShardId"), item.get("AdjacentParentShardId")))
            for item in found
        ]

    def iterator(self, shard: str, after: str | None, *, latest: bool) -> str:
        """See Stream."""
        start = _start(after, "StartingSequenceNumber", latest=latest)
        answer = self._client.get_shard_iterator(StreamARN=self.arn, ShardId=shard, **start)
        return str(answer["ShardIterator"])

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:
        """See Stream."""
        answer = self._client.get_records(ShardIterator=iterator, Limit=min(limit, KINESIS_READ), StreamARN=self.arn)
        entries = [(self._entry(shard, record), self._passes(record)) for record in answer["Records"]]
        return Fetched(entries, answer.get("NextShardIterator"), bool(answer.get("MillisBehindLatest")))

    def _entry(self, shard: str, record: dict[str, Any]) -> PolledRecord:
        sequence = record["SequenceNumber"]
        arrived = _seconds(record["ApproximateArrivalTimestamp"])
        event = {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": sequence,
                "data": record["Data"],
                "approximateArrivalTimestamp": arrived,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": self._role,
            "awsRegion": self._region,
            "eventSourceARN": self.arn,
        }
        return PolledRecord(sequence, record["PartitionKey"].encode(), arrived, _json(event))

    def _passes(self, record: dict[str, Any]) -> bool:
        """Patterns match `data`, which is JSON there or no match."""
        if self._wanted is None:
            return True
        try:
            data = json.loads(record["Data"])
        except ValueError:
            return False
        return self._wanted.passes({"data": data})


class DynamoRecordStream:
    """The stream of a DynamoDB table, through a boto3 client of `dynamodbstreams`."""

    def __init__(self, client: Any, arn: str, wanted: RecordFilter | None = None) -> None:
        self.arn = arn
        self._client = client
        self._wanted = wanted
        self._region = arn.split(":")[3]

    def shards(self) -> list[ShardDescription]:
        """See Stream."""
        found: list[ShardDescription] = []
        more: dict[str, str] = {}
        while True:
            description = self._client.describe_stream(StreamArn=self.arn, **more)["StreamDescription"]
            found += [
                ShardDescription(item["ShardId"], _present(item.get("ParentShardId"))) for item in description["Shards"]
            ]
            if "LastEvaluatedShardId" not in description:
                return found
            more = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}

    def iterator(self, shard: str, after: str | None, *, latest: bool) -> str:
        """See Stream."""
        start = _start(after, "SequenceNumber", latest=latest)
        answer = self._client.get_shard_iterator(StreamArn=self.arn, ShardId=shard, **start)
        return str(answer["ShardIterator"])

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:  # noqa: ARG002 - the other service needs it
        """See Stream."""
        answer = self._client.get_records(ShardIterator=iterator, Limit=min(limit, DYNAMODB_READ))
        return Fetched(list(self._entries(answer["Records"])), answer.get("NextShardIterator"), behind=False)

    def _entries(self, records: list[dict[str, Any]]) -> Iterator[tuple[PolledRecord, bool]]:
        for record in records:
            change = {**record["dynamodb"]}
            arrived = change["ApproximateCreationDateTime"] = _seconds(change["ApproximateCreationDateTime"])
            event = {
                "eventID": record["eventID"],
                "eventName": record["eventName"],
                "eventVersion": record["eventVersion"],
                "eventSource": "aws:dynamodb",
                "awsRegion": self._region,
                "dynamodb": change,
                "eventSourceARN": self.arn,
            }
            text = _json(event)
            passes = self._wanted is None or self._wanted.passes(json.loads(text))
            yield PolledRecord(change["SequenceNumber"], _json(change["Keys"]), arrived, text), passes


class ShardReader:
    """Reads one shard from its beginning, or from its end as it is now, once through, whatever becomes of iterators."""

    def __init__(self, stream: RecordStream, shard: str, *, latest: bool) -> None:
        self._stream = stream
        self._shard = shard
        self._latest = latest
        self._after: str | None = None
        # The end has to be marked now; the beginning can wait.
        self._iterator = stream.iterator(shard, None, latest=True) if latest else None

    def read(self, limit: int) -> ShardPage:
        """The next records, at most `limit` of them, and fewer where the service gives no more at a time."""
        try:
            fetched = self._fetch(limit)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceNotFoundException":
                return ShardPage((), 0, behind=False, closed=True)  # its last record has been trimmed
            if code == "TrimmedDataAccessException":
                self._after, self._latest = None, False
            elif code != "ExpiredIteratorException":
                raise
            self._iterator = None
            fetched = self._fetch(limit)
        self._iterator = fetched.following
        if fetched.entries:
            self._after = fetched.entries[-1][0].sequence
        passed = tuple(entry for entry, passes in fetched.entries if passes)
        return ShardPage(passed, len(fetched.entries), fetched.behind, closed=self._iterator is None)

    def _fetch(self, limit: int) -> Fetched:
        if self._iterator is None:
            self._iterator = self._stream.iterator(self._shard, self._after, latest=self._latest)
        return self._stream.fetch(self._shard, self._iterator, limit)


def open_stream(client: Callable[[str], Any], arn: str, wanted: RecordFilter | None = None) -> RecordStream:
    """The stream of an ARN; `client` gives a boto3 client for the name of a service."""
    if arn.split(":")[2] == "kinesis":
        return KinesisRecordStream(client("kinesis"), arn, wanted)
    return DynamoRecordStream(client("dynamodbstreams"), arn, wanted)


def _start(after: str | None, sequence_parameter: str, *, latest: bool) -> dict[str, str]:
    if after is not None:
        return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", sequence_parameter: after}
    return {"ShardIteratorType": "LATEST" if latest else "TRIM_HORIZON"}


def _present(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name)


def _seconds(moment: datetime) -> float:
    """Whole seconds as an integer, as both services write them."""
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_encode = json.JSONEncoder(separators=(",", ":"), default=_base64).encode


def _json(value: Any) -> bytes:
    return _encode(value).encode()
