"""Writes of one item, alone or within a transaction, read from their requests."""

from collections.abc import Mapping
from typing import Any

from oncefold_lab.simulator.database import Change, Database
from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.expressions import NO_VALUES, Filter, Program, Update, bind
from oncefold_lab.simulator.syntax import Values
from oncefold_lab.simulator.tables import Key, Table
from oncefold_lab.simulator.values import ITEM_BYTES, Item, Row, check_item_size, item_size, take_item

_ON_FAILURE = ("ALL_OLD", "NONE")


class Action:
    """A put, update, delete or check of one item."""

    __slots__ = ("condition", "item", "key", "kind", "shows_old", "size", "table", "update", "values")

    def __init__(self, kind: str, table: Table, key: Key, item: Item, size: int = 0) -> None:
        """`item` is what is put, and the key's attributes otherwise."""
        self.kind = kind
        self.table = table
        self.key = key
        self.item = item
        self.size = size
        self.condition: Program[Filter] | None = None
        self.update: Program[Update] | None = None
        self.values: Values = NO_VALUES
        self.shows_old = False

    def __eq__(self, other: object) -> bool:
        """Whether two actions were requested with the same words and values."""
        return isinstance(other, Action) and self._content() == other._content()

    __hash__ = None  # type: ignore[assignment]

    def _content(self) -> tuple[Any, ...]:
        written = [program.written for program in (self.condition, self.update) if program is not None]
        return self.kind, self.table.name, self.item, self.values, written, self.shows_old

    def holds(self, row: Row | None) -> bool:
        """Whether the condition is true of the row there is."""
        if self.condition is None:
            return True
        return self.condition.body.judge({} if row is None else row[0], self.values)

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
            raise Refusal.invalid("Item size to update has exceeded the maximum allowed size")
        return item, size

    def change(self, row: Row | None) -> Change:
        """What the write changes."""
        return Change(self.table, self.key, row)


def put_action(database: Database, request: Mapping[str, Any]) -> Action:
    """A put. Raises Refusal."""
    table = database.table(request)
    item, size = take_item(request["Item"])
    check_item_size(size)
    action = Action("Put", table, table.key_of_item(item), item, size)
    return _conditioned(database, action, request)


def delete_action(database: Database, request: Mapping[str, Any], kind: str = "Delete") -> Action:
    """A delete, or a check of a condition. Raises Refusal."""
    table = database.table(request)
    return _conditioned(database, Action(kind, table, *table.key_of(request["Key"])), request)


def check_action(database: Database, request: Mapping[str, Any]) -> Action:
    """A check of a condition. Raises Refusal."""
    return delete_action(database, request, "ConditionCheck")


def update_action(database: Database, request: Mapping[str, Any]) -> Action:
    """An update. Raises Refusal."""
    table = database.table(request)
    update = database.expressions.update(request)
    action = Action("Update", table, *table.key_of(request["Key"]))
    if update is not None:
        _check_keys_untouched(table, update)
        action.update = update
    return _conditioned(database, action, request)


def _check_keys_untouched(table: Table, update: Program[Update]) -> None:
    for path in update.body.paths:
        if path.elements[0] in table.key_names:
            raise Refusal.invalid(
                f"One or more parameter values were invalid: Cannot update attribute {path.elements[0]}. "
                "This attribute is part of the key"
            )


def _conditioned(database: Database, action: Action, request: Mapping[str, Any]) -> Action:
    action.condition = database.expressions.condition(request)
    action.values = bind(request, action.update, action.condition)
    shown = request.get("ReturnValuesOnConditionCheckFailure")
    if shown is not None:
        if shown not in _ON_FAILURE:
            raise Refusal.invalid(
                f"1 validation error detected: Value '{shown}' at 'returnValuesOnConditionCheckFailure' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(_ON_FAILURE)}]"
            )
        action.shows_old = shown == "ALL_OLD"
    return action
