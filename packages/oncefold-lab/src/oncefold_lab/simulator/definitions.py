"""Making and describing tables: CreateTable, DescribeTable, ListTables, DeleteTable.

Tables are active at once.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from oncefold_lab.simulator.database import Database
from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.shards import ChangeShards
from oncefold_lab.simulator.streams import Stream
from oncefold_lab.simulator.tables import HASH_BYTES, RANGE_BYTES, KeyPart, Table

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
        raise Refusal.invalid(
            "TableName must be at least 3 characters long and at most 255 characters long, of the characters "
            "a-z, A-Z, 0-9, _ (underscore), . (dot) and - (hyphen)"
        )
    if name in database.tables:
        raise Refusal("ResourceInUseException", f"Table already exists: {name}")
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
        raise Refusal.not_found(f"Requested resource not found: Table: {request['TableName']} not found")
    return table


def _key(request: Request) -> tuple[KeyPart, KeyPart | None]:
    kinds = {part["AttributeName"]: part["AttributeType"] for part in request["AttributeDefinitions"]}
    names = {part["KeyType"]: part["AttributeName"] for part in request["KeySchema"]}
    if "HASH" not in names or len(names) != len(request["KeySchema"]):
        raise Refusal.invalid(f"{_INVALID}: KeySchema needs one HASH key, and may have one RANGE key")
    if set(names.values()) != set(kinds):
        raise Refusal.invalid(
            f"{_INVALID}: Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    hash_part = KeyPart(names["HASH"], kinds[names["HASH"]], HASH_BYTES)
    if "RANGE" not in names:
        return hash_part, None
    return hash_part, KeyPart(names["RANGE"], kinds[names["RANGE"]], RANGE_BYTES)


def _stream(request: Request, name: str, now: float, shards: int) -> Stream | None:
    wanted = request.get("StreamSpecification") or {}
    if not wanted.get("StreamEnabled"):
        return None
    label = _moment(now).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    view = wanted.get("StreamViewType", "")
    key_schema = [dict(part) for part in request["KeySchema"]]
    return Stream(name, f"{_ARN}/{name}/stream/{label}", label, view, key_schema, ChangeShards(now, shards))


def _description(request: Request, name: str, now: float, stream: Stream | None) -> Mapping[str, Any]:
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
