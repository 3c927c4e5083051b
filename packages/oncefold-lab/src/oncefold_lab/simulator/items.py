"""Operations on one item: PutItem, UpdateItem, DeleteItem, GetItem."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from oncefold_lab.simulator.actions import Action, delete_action, put_action, update_action
from oncefold_lab.simulator.capacity import read_units, told, write_units
from oncefold_lab.simulator.database import Database
from oncefold_lab.simulator.errors import CONDITION_FAILED, CONFLICT, Refusal
from oncefold_lab.simulator.expressions import bind, projected
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.projections import project
from oncefold_lab.simulator.tables import Key, Table
from oncefold_lab.simulator.values import Row, give_item

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
    reply = told(request, table.name, read_units(0 if row is None else row[1], consistent=is_consistent(request)))
    if row is not None:
        reply["Item"] = give_item(row[0]) if projection is None else projected(row[0], projection)
    return reply


def is_consistent(request: Request) -> bool:
    """Whether a reader asks to see everything that was written before."""
    return bool(request.get("ConsistentRead"))


def row_for(database: Database, table: Table, key: Key, request: Request, fault: Fault | None) -> Row | None:
    """The row as a reader sees it: the last one, or if it did not ask for consistency perhaps the one before."""
    row = table.rows.get(key)
    if fault is Fault.STALE and not is_consistent(request):
        stale = table.before.get(key, row)
        if stale is not row:
            database.caller.faults.happened(fault)
        return stale
    return row


def _write(database: Database, action: Action, request: Request, fault: Fault | None) -> Reply:
    returns = request.get("ReturnValues", "NONE")
    if returns not in _RETURNS[action.kind]:
        raise Refusal.invalid(f"ReturnValues can only be {' or '.join(sorted(_RETURNS[action.kind]))}")
    if fault is Fault.LATE:
        raise database.caller.later(fault, lambda: _late(database, action))
    if fault is Fault.CONFLICT:
        database.caller.faults.happened(fault)
    before, after = _apply(database, action, conflict=fault is Fault.CONFLICT)
    size = max(0 if row is None else row[1] for row in (before, after))
    reply = told(request, action.table.name, write_units(size))
    attributes = _returned(action, returns, before, after)
    if attributes:
        reply["Attributes"] = attributes
    return reply


def _late(database: Database, action: Action) -> None:
    with suppress(Refusal):
        _apply(database, action, conflict=False)


def _apply(database: Database, action: Action, *, conflict: bool) -> tuple[Row | None, Row | None]:
    """Do the write, if it may be done now; the row before and after."""
    if conflict or (database.locks and (action.table.name, action.key) in database.locks):
        raise Refusal("TransactionConflictException", CONFLICT)
    before = action.table.rows.get(action.key)
    if not action.holds(before):
        shown = {"Item": give_item(before[0])} if action.shows_old and before is not None else {}
        raise Refusal("ConditionalCheckFailedException", CONDITION_FAILED, **shown)
    after = action.result(before)
    database.commit([action.change(after)])
    return before, after


def _returned(action: Action, returns: str, before: Row | None, after: Row | None) -> Any:
    if returns == "NONE":
        return None
    row = before if returns.endswith("OLD") else after
    if row is None:
        return None
    if returns.startswith("ALL"):
        return give_item(row[0])
    return None if action.update is None else project(row[0], action.update.body.paths)
