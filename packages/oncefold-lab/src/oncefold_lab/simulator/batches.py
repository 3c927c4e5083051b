"""BatchGetItem and BatchWriteItem: several single operations in one call, each by itself."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from oncefold_lab.simulator.database import Database
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.expressions import bind, projected
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.items import (
    ItemWrite,
    consumed_by_batch,
    delete_action,
    is_consistent,
    put_action,
    read_units,
    row_for,
    write_units,
)
from oncefold_lab.simulator.values import ITEM_BYTES, give_item

Request = Mapping[str, Any]
Reply = dict[str, Any]

READ_KEYS = 100
WRITES = 25
REPLY_BYTES = 16 << 20
_DUPLICATES = "Provided list of item keys contains duplicates"


def batch_get_item(database: Database, request: Request, fault: Fault | None) -> Reply:
    """BatchGetItem."""
    wanted = _wanted(database, request)
    left = _left(database, len(wanted), fault)
    responses: dict[str, list[Any]] = {name: [] for name in request["RequestItems"]}
    units: dict[str, float] = dict.fromkeys(responses, 0.0)
    unprocessed: dict[str, list[Any]] = defaultdict(list)
    total = 0
    for index, (name, given, key, projection) in enumerate(wanted):
        block = request["RequestItems"][name]
        row = row_for(database, database.tables[name], key, block, fault)
        size = 0 if row is None else row[1]
        if index in left or total + size > REPLY_BYTES:
            unprocessed[name].append(given)
            continue
        total += size
        units[name] += read_units(size, consistent=is_consistent(block))
        if row is not None:
            responses[name].append(give_item(row[0]) if projection is None else projected(row[0], projection))
    blocks = request["RequestItems"]
    return {
        "Responses": responses,
        "UnprocessedKeys": {name: {**blocks[name], "Keys": keys} for name, keys in unprocessed.items()},
        **consumed_by_batch(request, units),
    }


def _wanted(database: Database, request: Request) -> list[tuple[str, Any, Any, Any]]:
    """Table, key as given, key and projection of everything that is to be read."""
    if not request["RequestItems"]:
        raise ServiceError.invalid("The requestItems parameter is required for BatchGetItem")
    wanted = []
    for name, block in request["RequestItems"].items():
        table = database.table({"TableName": name})
        if len(block["Keys"]) > READ_KEYS:
            raise ServiceError.invalid(
                f"1 validation error detected: Value at 'RequestItems.{name}.member.Keys' failed to satisfy "
                f"constraint: Member must have length less than or equal to {READ_KEYS}"
            )
        projection = database.expressions.projection(block)
        bind(block, projection)
        keys = [table.key_of(given)[0] for given in block["Keys"]]
        _check_distinct(keys)
        wanted += [(name, given, key, projection) for given, key in zip(block["Keys"], keys, strict=True)]
    if len(wanted) > READ_KEYS:
        raise ServiceError.invalid("Too many items requested for the BatchGetItem call")
    return wanted


def batch_write_item(database: Database, request: Request, fault: Fault | None) -> Reply:
    """BatchWriteItem."""
    actions = _actions(database, request)
    if fault is Fault.LATE:
        raise database.caller.later(fault, lambda: [_write(database, action) for _, action in actions])
    left = _left(database, len(actions), fault)
    units: dict[str, float] = dict.fromkeys(request["RequestItems"], 0.0)
    unprocessed: dict[str, list[Any]] = defaultdict(list)
    for index, (given, action) in enumerate(actions):
        written = None if index in left else _write(database, action)
        if written is None:
            unprocessed[action.table.name].append(given)
        else:
            units[action.table.name] += written
    return {"UnprocessedItems": dict(unprocessed), **consumed_by_batch(request, units)}


def _write(database: Database, action: ItemWrite) -> float | None:
    """Do one write and return its units; None if a transaction that is under way has taken the item."""
    if (action.table.name, action.key) in database.locks:
        return None
    before = action.table.rows.get(action.key)
    after = action.result(before)
    database.commit([action.change(after)])
    return write_units(max(0 if row is None else row[1] for row in (before, after)))


def _actions(database: Database, request: Request) -> list[tuple[Any, ItemWrite]]:
    blocks = request["RequestItems"]
    if not blocks:
        raise ServiceError.invalid("The requestItems parameter is required for BatchWriteItem")
    actions = []
    for name, writes in blocks.items():
        if not 1 <= len(writes) <= WRITES:
            raise ServiceError.invalid(
                f"1 validation error detected: Value '{{{name}=[{len(writes)} requests]}}' at 'requestItems' failed "
                "to satisfy constraint: Map value must satisfy constraint: "
                f"[Member must have length less than or equal to {WRITES}, "
                "Member must have length greater than or equal to 1]"
            )
        some = [(given, _action(database, name, given)) for given in writes]
        _check_distinct([action.key for _, action in some])
        actions += some
    if len(actions) > WRITES:
        raise ServiceError.invalid("Too many items requested for the BatchWriteItem call")
    if sum(action.size for _, action in actions) > REPLY_BYTES:
        raise ServiceError.invalid(f"Batch of more than {REPLY_BYTES} bytes, in items of up to {ITEM_BYTES}")
    return actions


def _action(database: Database, table: str, given: Mapping[str, Any]) -> ItemWrite:
    if len(given) != 1:
        raise ServiceError.invalid("Supplied AttributeValue has more than one of PutRequest and DeleteRequest, or none")
    if "PutRequest" in given:
        return put_action(database, {"TableName": table, **given["PutRequest"]})
    return delete_action(database, {"TableName": table, **given["DeleteRequest"]})


def _check_distinct(keys: Sequence[Hashable]) -> None:
    if len(set(keys)) < len(keys):
        raise ServiceError.invalid(_DUPLICATES)


def _left(database: Database, count: int, fault: Fault | None) -> frozenset[int]:
    """The places of a batch that are left unprocessed: never all of them."""
    if fault is not Fault.PARTIAL or count < 2:
        return frozenset()
    database.caller.faults.happened(fault)
    return frozenset(database.caller.faults.some(count))
