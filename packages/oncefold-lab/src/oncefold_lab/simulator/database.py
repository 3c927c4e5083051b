"""What all operations of a simulated DynamoDB share, and the operations on tables themselves.

Tables are active at once.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from oncefold_lab.simulator.calls import Caller
from oncefold_lab.simulator.change_streams import ChangeShards, ChangeStream
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.expressions import Expressions
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.tables import HASH_BYTES, RANGE_BYTES, Key, KeyPart, Table, point_of
from oncefold_lab.simulator.values import Row

Target = tuple[str, Key]
"""An item by its table and key."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row to be put in place of another."""

    table: Table
    key: Key
    row: Row | None


@dataclass
class Database:
    """The state of a simulated DynamoDB."""

    caller: Caller
    random: Random | None
    stream_shards: int
    stream_lag: float
    tables: dict[str, Table] = field(default_factory=dict)
    expressions: Expressions = field(default_factory=Expressions)
    locks: set[Target] = field(default_factory=set)
    """Items that a transaction which is under way is going to write."""
    _published: dict[Target, float] = field(default_factory=dict)
    """When the last change of an item comes out in its stream."""

    def table(self, request: Mapping[str, Any]) -> Table:
        """The table a request names. Raises Refusal."""
        table = self.tables.get(request["TableName"])
        if table is None:
            raise ServiceError.not_found()
        return table

    def streams(self) -> dict[str, ChangeStream]:
        """All streams by their ARN."""
        streams = (table.stream for table in self.tables.values())
        return {stream.arn: stream for stream in streams if stream is not None}

    def commit(self, changes: Iterable[RowChange]) -> None:
        """Make changes at once, and let them come out in the streams.

        The records of one commit come in any order, and later than it; those of one item come in the item's order.
        Source: "Amazon DynamoDB Transactions: How it works" (propagation to streams).
        """
        records = []
        for change in changes:
            old = change.table.put(change.key, change.row)
            if change.table.stream is not None and _differ(old, change.row):
                records.append((change.table, change.table.stream, change.key, old, change.row))
        if self.random is not None and len(records) > 1:
            self.random.shuffle(records)
        for record in records:
            self._publish(*record)

    def _publish(self, table: Table, stream: ChangeStream, key: Key, before: Row | None, after: Row | None) -> None:
        now = self.caller.now()
        point = point_of(table.hash_of(key))
        keys = table.key_attributes((after or before or ({}, 0))[0])
        if not self.stream_lag or self.random is None:
            stream.record(point, now, now, keys, before, after)
            return
        target = (table.name, key)
        due = max(now + self.random.uniform(0.0, self.stream_lag), self._published.get(target, 0.0))
        self._published[target] = due

        def come_out() -> None:
            stream.record(point, due, now, keys, before, after)
            if self._published.get(target) == due:
                del self._published[target]

        self.caller.agenda.plan(due, come_out)


def _differ(old: Row | None, new: Row | None) -> bool:
    """Whether there is a change to record: a write that changes nothing leaves no record."""
    if old is None or new is None:
        return old is not new
    return old[0] != new[0]


Request = Mapping[str, Any]
Reply = dict[str, Any]

_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)
_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table"
_LISTED = 100
_INVALID = "One or more parameter values were invalid"


def create_table(database: Database, request: Request, _: Fault | None) -> Reply:
    """CreateTable."""
    name = request["TableName"]
    if not _NAME.fullmatch(name):
        raise ServiceError.invalid(
            "TableName must be at least 3 characters long and at most 255 characters long, of the characters "
            "a-z, A-Z, 0-9, _ (underscore), . (dot) and - (hyphen)"
        )
    if name in database.tables:
        raise ServiceError("ResourceInUseException", f"Table already exists: {name}")
    hash_part, range_part = _key(request)
    now = database.caller.now()
    stream = _stream(request, name, now, database.stream_shards)
    table = Table(name, hash_part, range_part, _description(request, name, now, stream), stream)
    database.tables[name] = table
    return {"TableDescription": described(table)}


def describe_table(database: Database, request: Request, _: Fault | None) -> Reply:
    """DescribeTable."""
    return {"Table": described(_existing(database, request))}


def delete_table(database: Database, request: Request, _: Fault | None) -> Reply:
    """DeleteTable."""
    table = _existing(database, request)
    del database.tables[table.name]
    return {"TableDescription": {**described(table), "TableStatus": "DELETING"}}


def list_tables(database: Database, request: Request, _: Fault | None) -> Reply:
    """ListTables."""
    start, limit = request.get("ExclusiveStartTableName", ""), request.get("Limit", _LISTED)
    names = sorted(name for name in database.tables if name > start)
    reply: Reply = {"TableNames": names[:limit]}
    return {**reply, "LastEvaluatedTableName": names[limit - 1]} if len(names) > limit else reply


def _existing(database: Database, request: Request) -> Table:
    table = database.tables.get(request["TableName"])
    if table is None:
        raise ServiceError.not_found(f"Requested resource not found: Table: {request['TableName']} not found")
    return table


def _key(request: Request) -> tuple[KeyPart, KeyPart | None]:
    kinds = {part["AttributeName"]: part["AttributeType"] for part in request["AttributeDefinitions"]}
    names = {part["KeyType"]: part["AttributeName"] for part in request["KeySchema"]}
    if "HASH" not in names or len(names) != len(request["KeySchema"]):
        raise ServiceError.invalid(f"{_INVALID}: KeySchema needs one HASH key, and may have one RANGE key")
    if set(names.values()) != set(kinds):
        raise ServiceError.invalid(
            f"{_INVALID}: Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    hash_part = KeyPart(names["HASH"], kinds[names["HASH"]], HASH_BYTES)
    if "RANGE" not in names:
        return hash_part, None
    return hash_part, KeyPart(names["RANGE"], kinds[names["RANGE"]], RANGE_BYTES)


def _stream(request: Request, name: str, now: float, shards: int) -> ChangeStream | None:
    wanted = request.get("StreamSpecification") or {}
    if not wanted.get("StreamEnabled"):
        return None
    label = _moment(now).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    view = wanted.get("StreamViewType", "")
    key_schema = [dict(part) for part in request["KeySchema"]]
    return ChangeStream(name, f"{_ARN}/{name}/stream/{label}", label, view, key_schema, ChangeShards(now, shards))


def _description(request: Request, name: str, now: float, stream: ChangeStream | None) -> Mapping[str, Any]:
    description: dict[str, Any] = {
        "TableName": name,
        "TableArn": f"{_ARN}/{name}",
        "TableStatus": "ACTIVE",
        "CreationDateTime": _moment(now),
        "AttributeDefinitions": [dict(part) for part in request["AttributeDefinitions"]],
        "KeySchema": [dict(part) for part in request["KeySchema"]],
        "BillingModeSummary": {"BillingMode": request.get("BillingMode", "PROVISIONED")},
    }
    if stream is not None:
        description["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream.view}
        description["LatestStreamArn"] = stream.arn
        description["LatestStreamLabel"] = stream.label
    return description


def described(table: Table) -> Reply:
    """A table as the service describes it; here with its counts as they are, there some hours old."""
    size = sum(row[1] for row in table.rows.values())
    return {**table.description, "ItemCount": len(table.rows), "TableSizeBytes": size}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
