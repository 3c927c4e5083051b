"""Operations on one item, the writes of one item within any operation, and the capacity units of both.

A write costs by the larger of the item before and after. Operations within transactions cost twice, checks of
conditions included. Sources: "DynamoDB read and write operations"; "Capacity management for transactions".
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from oncefold_lab.simulator.database import Database, RowChange
from oncefold_lab.simulator.errors import CONDITION_FAILED, CONFLICT, ServiceError
from oncefold_lab.simulator.expressions import NO_VALUES, Predicate, Program, Update, bind, project, projected
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.syntax import Values
from oncefold_lab.simulator.tables import Key, Table
from oncefold_lab.simulator.values import ITEM_BYTES, Item, Row, check_item_size, give_item, item_size, take_item

WRITE_BYTES = 1024
READ_BYTES = 4096
TRANSACTION = 2.0
"""A transaction prepares, then commits: each item twice."""
EVENTUAL = 0.5

_LEVELS = ("INDEXES", "TOTAL", "NONE")


def write_units(size: int) -> float:
    """Units of writing an item of so many bytes."""
    return float(max(1, -(-size // WRITE_BYTES)))


def read_units(size: int, *, consistent: bool) -> float:
    """Units of reading so many bytes."""
    units = float(max(1, -(-size // READ_BYTES)))
    return units if consistent else units * EVENTUAL


def level_of(request: Mapping[str, Any]) -> str:
    """How much a request wants to know. Raises Refusal."""
    level: str = request.get("ReturnConsumedCapacity", "NONE")
    if level not in _LEVELS:
        raise ServiceError.invalid(
            f"1 validation error detected: Value '{level}' at 'returnConsumedCapacity' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_LEVELS)}]"
        )
    return level


def consumed_capacity(request: Mapping[str, Any], table: str, units: float) -> dict[str, Any]:
    """What a reply about one table says of its capacity."""
    level = level_of(request)
    return {} if level == "NONE" else {"ConsumedCapacity": _of_table(level, table, units)}


def consumed_by_batch(request: Mapping[str, Any], units: Mapping[str, float]) -> dict[str, Any]:
    """What a reply about several tables says of its capacity."""
    level = level_of(request)
    if level == "NONE":
        return {}
    return {"ConsumedCapacity": [_of_table(level, table, amount) for table, amount in units.items()]}


def consumed_by_transaction(request: Mapping[str, Any], kind: str, units: Mapping[str, float]) -> dict[str, Any]:
    """The consumed capacity of a transaction, with reading (`Read`) apart from writing (`Write`)."""
    consumed = consumed_by_batch(request, units)
    for part in consumed.get("ConsumedCapacity", ()):
        part[f"{kind}CapacityUnits"] = part["CapacityUnits"]
    return consumed


def _of_table(level: str, table: str, units: float) -> dict[str, Any]:
    capacity: dict[str, Any] = {"TableName": table, "CapacityUnits": units}
    return {**capacity, "Table": {"CapacityUnits": units}} if level == "INDEXES" else capacity


_ON_FAILURE = ("ALL_OLD", "NONE")


class ItemWrite:
    """A put, update, delete or check of one item."""

    __slots__ = ("condition", "item", "key", "kind", "shows_old", "size", "table", "update", "values")

    def __init__(self, kind: str, table: Table, key: Key, item: Item, size: int = 0) -> None:
        """`item` is what is put, and the key's attributes otherwise."""
        self.kind = kind
        self.table = table
        self.key = key
        self.item = item
        self.size = size
        self.condition: Program[Predicate] | None = None
        self.update: Program[Update] | None = None
        self.values: Values = NO_VALUES
        self.shows_old = False

    def __eq__(self, other: object) -> bool:
        """Whether two actions were requested with the same text and values."""
        return isinstance(other, ItemWrite) and self._content() == other._content()

    __hash__ = None  # type: ignore[assignment]

    def _content(self) -> tuple[Any, ...]:
        written = [program.written for program in (self.condition, self.update) if program is not None]
        return self.kind, self.table.name, self.item, self.values, written, self.shows_old

    def holds(self, row: Row | None) -> bool:
        """Whether the condition is true of the row there is."""
        if self.condition is None:
            return True
        return self.condition.body.evaluate({} if row is None else row[0], self.values)

    def result(self, row: Row | None) -> Row | None:
        """The row after the write. Raises Refusal for an update that does not fit the item."""
        if self.kind == "Put":
            return self.item, self.size
        if self.kind == "Delete":
            return None
        if self.kind == "ConditionCheck":
            return row
        return self._updated(row)

    def _updated(self, row: Row | None) -> Row | None:
        if self.update is None:
            return row if row is not None else (self.item, item_size(self.item))
        update = self.update.body
        item = update.apply(None if row is None else row[0], self.values)
        if row is None:
            if not update.creates:
                return None
            item.update(self.item)
        size = item_size(item)
        if size > ITEM_BYTES:
            raise ServiceError.invalid("Item size to update has exceeded the maximum allowed size")
        return item, size

    def change(self, row: Row | None) -> RowChange:
        """What the write changes."""
        return RowChange(self.table, self.key, row)


def put_action(database: Database, request: Mapping[str, Any]) -> ItemWrite:
    """A put. Raises Refusal."""
    table = database.table(request)
    item, size = take_item(request["Item"])
    check_item_size(size)
    action = ItemWrite("Put", table, table.key_of_item(item), item, size)
    return _conditioned(database, action, request)


def delete_action(database: Database, request: Mapping[str, Any], kind: str = "Delete") -> ItemWrite:
    """A delete, or a check of a condition. Raises Refusal."""
    table = database.table(request)
    return _conditioned(database, ItemWrite(kind, table, *table.key_of(request["Key"])), request)


def check_action(database: Database, request: Mapping[str, Any]) -> ItemWrite:
    """A check of a condition. Raises Refusal."""
    return delete_action(database, request, "ConditionCheck")


def update_action(database: Database, request: Mapping[str, Any]) -> ItemWrite:
    """An update. Raises Refusal."""
    table = database.table(request)
    update = database.expressions.update(request)
    action = ItemWrite("Update", table, *table.key_of(request["Key"]))
    if update is not None:
        _check_keys_untouched(table, update)
        action.update = update
    return _conditioned(database, action, request)


def _check_keys_untouched(table: Table, update: Program[Update]) -> None:
    for path in update.body.paths:
        if path.elements[0] in table.key_names:
            raise ServiceError.invalid(
                f"One or more parameter values were invalid: Cannot update attribute {path.elements[0]}. "
                "This attribute is part of the key"
            )


def _conditioned(database: Database, action: ItemWrite, request: Mapping[str, Any]) -> ItemWrite:
    action.condition = database.expressions.condition(request)
    action.values = bind(request, action.update, action.condition)
    shown = request.get("ReturnValuesOnConditionCheckFailure")
    if shown is not None:
        if shown not in _ON_FAILURE:
            raise ServiceError.invalid(
                f"1 validation error detected: Value '{shown}' at 'returnValuesOnConditionCheckFailure' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(_ON_FAILURE)}]"
            )
        action.shows_old = shown == "ALL_OLD"
    return action


Request = Mapping[str, Any]
Reply = dict[str, Any]

_RETURNS = {
    "Put": frozenset(["NONE", "ALL_OLD"]),
    "Delete": frozenset(["NONE", "ALL_OLD"]),
    "Update": frozenset(["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]),
}


def put_item(database: Database, request: Request, fault: Fault | None) -> Reply:
    """PutItem."""
    return _write(database, put_action(database, request), request, fault)


def update_item(database: Database, request: Request, fault: Fault | None) -> Reply:
    """UpdateItem."""
    return _write(database, update_action(database, request), request, fault)


def delete_item(database: Database, request: Request, fault: Fault | None) -> Reply:
    """DeleteItem."""
    return _write(database, delete_action(database, request), request, fault)


def get_item(database: Database, request: Request, fault: Fault | None) -> Reply:
    """GetItem."""
    table = database.table(request)
    projection = database.expressions.projection(request)
    bind(request, projection)
    key, _ = table.key_of(request["Key"])
    row = row_for(database, table, key, request, fault)
    reply = consumed_capacity(
        request, table.name, read_units(0 if row is None else row[1], consistent=is_consistent(request))
    )
    if row is not None:
        reply["Item"] = give_item(row[0]) if projection is None else projected(row[0], projection)
    return reply


def is_consistent(request: Request) -> bool:
    """Whether a reader wants to see everything that was written before."""
    return bool(request.get("ConsistentRead"))


def row_for(database: Database, table: Table, key: Key, request: Request, fault: Fault | None) -> Row | None:
    """The row as a reader sees it: the last one, or if it did not request consistency perhaps the one before."""
    row = table.rows.get(key)
    if fault is Fault.STALE and not is_consistent(request):
        stale = table.before.get(key, row)
        if stale is not row:
            database.caller.faults.happened(fault)
        return stale
    return row


def _write(database: Database, action: ItemWrite, request: Request, fault: Fault | None) -> Reply:
    returns = request.get("ReturnValues", "NONE")
    if returns not in _RETURNS[action.kind]:
        raise ServiceError.invalid(f"ReturnValues can only be {' or '.join(sorted(_RETURNS[action.kind]))}")
    if fault is Fault.LATE:
        raise database.caller.later(fault, lambda: _late(database, action))
    if fault is Fault.CONFLICT:
        database.caller.faults.happened(fault)
    before, after = _apply(database, action, conflict=fault is Fault.CONFLICT)
    size = max(0 if row is None else row[1] for row in (before, after))
    reply = consumed_capacity(request, action.table.name, write_units(size))
    attributes = _returned(action, returns, before, after)
    if attributes:
        reply["Attributes"] = attributes
    return reply


def _late(database: Database, action: ItemWrite) -> None:
    with suppress(ServiceError):
        _apply(database, action, conflict=False)


def _apply(database: Database, action: ItemWrite, *, conflict: bool) -> tuple[Row | None, Row | None]:
    """Do the write, if it may be done now; the row before and after."""
    if conflict or (database.locks and (action.table.name, action.key) in database.locks):
        raise ServiceError("TransactionConflictException", CONFLICT)
    before = action.table.rows.get(action.key)
    if not action.holds(before):
        shown = {"Item": give_item(before[0])} if action.shows_old and before is not None else {}
        raise ServiceError("ConditionalCheckFailedException", CONDITION_FAILED, **shown)
    after = action.result(before)
    database.commit([action.change(after)])
    return before, after


def _returned(action: ItemWrite, returns: str, before: Row | None, after: Row | None) -> Any:
    if returns == "NONE":
        return None
    row = before if returns.endswith("OLD") else after
    if row is None:
        return None
    if returns.startswith("ALL"):
        return give_item(row[0])
    return None if action.update is None else project(row[0], action.update.body.paths)
