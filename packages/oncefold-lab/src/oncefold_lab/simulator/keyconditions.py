"""Key conditions: a condition that names one hash value, and perhaps a range beside it."""

from collections.abc import Iterator
from typing import Any

from oncefold_lab.simulator.conditions import Between, Compare, Condition, Every, In, Not, Some, Test
from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.syntax import Operand, Path, Values, placeholder
from oncefold_lab.simulator.tables import Table
from oncefold_lab.simulator.values import kind_of

_INVALID = "Invalid KeyConditionExpression"


def hash_value_of(table: Table, condition: Condition, values: Values) -> Any:
    """The hash value that a key condition asks for. Raises Refusal for conditions that keys can not have."""
    found: dict[str, Condition] = {}
    for part in _parts(condition):
        name = _name(part)
        if name in found:
            raise Refusal.invalid(f"{_INVALID}: KeyConditionExpressions must only contain one condition per key")
        found[name] = part
        _check_types(table, name, part, values)
    if table.hash.name not in found:
        raise Refusal.invalid(f"Query condition missed key schema element: {table.hash.name}")
    others = found.keys() - {table.hash.name}
    if others and (table.range is None or others != {table.range.name}):
        raise Refusal.invalid(
            "Query key condition not supported"
            if table.range is None
            else f"Query condition missed key schema element: {table.range.name}"
        )
    asked = found[table.hash.name]
    if not isinstance(asked, Compare) or asked.comparator != "=":
        raise Refusal.invalid("Query key condition not supported")
    return values[_reference(asked)][table.hash.kind]


def _parts(condition: Condition) -> Iterator[Condition]:
    match condition:
        case Every():
            for part in condition.parts:
                yield from _parts(part)
        case Compare() | Between():
            if isinstance(condition, Compare) and condition.comparator == "<>":
                raise Refusal.invalid("Unsupported operator on KeyCondition: <>")
            yield condition
        case Test() if condition.call.function == "begins_with":
            yield condition
        case Test():
            raise Refusal.invalid(
                f"{_INVALID}: Invalid operator used in KeyConditionExpression: {condition.call.function}"
            )
        case Some() | Not() | In():
            words = {Some: "OR", Not: "NOT", In: "IN"}
            raise Refusal.invalid(
                f"{_INVALID}: Invalid operator used in KeyConditionExpression: {words[type(condition)]}"
            )


def _operands(condition: Condition) -> tuple[Operand, ...]:
    match condition:
        case Compare():
            return condition.left, condition.right
        case Between():
            return condition.operand, condition.low, condition.high
        case Test():
            return condition.call.operands
        case _:
            return ()


def _name(condition: Condition) -> str:
    """The one attribute that a condition is about."""
    paths = [operand for operand in _operands(condition) if isinstance(operand, Path)]
    if len(paths) != 1:
        raise Refusal.invalid(f"{_INVALID}: Invalid operand in KeyConditionExpression")
    if len(paths[0].elements) > 1:
        raise Refusal.invalid(f"{_INVALID}: KeyConditionExpressions cannot have conditions on nested attributes")
    return str(paths[0].elements[0])


def _check_types(table: Table, name: str, condition: Condition, values: Values) -> None:
    for part in (table.hash, table.range):
        if part is not None and part.name == name:
            for operand in _operands(condition):
                reference = placeholder(operand)
                if reference is not None and kind_of(values[reference]) != part.kind:
                    raise Refusal.invalid(
                        "One or more parameter values were invalid: Condition parameter type does not match schema type"
                    )


def _reference(condition: Compare) -> str:
    """The placeholder of a comparison, on whichever side it is."""
    return next(name for name in map(placeholder, (condition.left, condition.right)) if name is not None)
