"""Conditions made to be evaluated: a function of an item and the values behind the placeholders.

What an item lacks, or holds in another type, makes a comparison false (and `<>` true); only what the request itself
says wrongly is an error, found by the checks before any item is looked at.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from oncefold_lab.simulator.conditions import Between, Compare, Condition, Every, In, Not, Some, Test
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.syntax import (
    FunctionCall,
    Operand,
    Path,
    Read,
    Reference,
    Values,
    placeholder,
    read_path,
    read_reference,
)
from oncefold_lab.simulator.values import TYPE_NAMES, Item, Value, comparable, kind_of

Evaluate = Callable[[Item, Values], bool]
Check = Callable[[Values], None]

_ORDERED = frozenset(["S", "N", "B"])
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ELEMENTS = {"SS": "S", "NS": "N", "BS": "B"}


def evaluator_of(condition: Condition) -> Evaluate:
    """The condition as a function."""
    match condition:
        case Compare():
            return _comparison(condition)
        case Between():
            return _between(condition)
        case In():
            return _choice(condition)
        case Test():
            return _test(condition.call)
        case Not():
            part = evaluator_of(condition.part)
            return lambda item, values: not part(item, values)
        case Every() | Some():
            return _joined(condition)


def _joined(condition: Every | Some) -> Evaluate:
    parts = [evaluator_of(part) for part in condition.parts]
    if len(parts) == 2:
        one, other = parts
        if isinstance(condition, Every):
            return lambda item, values: one(item, values) and other(item, values)
        return lambda item, values: one(item, values) or other(item, values)
    if isinstance(condition, Every):
        return lambda item, values: all(part(item, values) for part in parts)
    return lambda item, values: any(part(item, values) for part in parts)


def reader_of(operand: Operand) -> Read:
    """An operand as a function."""
    match operand:
        case Path():
            return read_path(operand)
        case Reference():
            return read_reference(operand)
        case FunctionCall():
            inner = reader_of(operand.operands[0])
            return lambda item, values: _size(inner(item, values))


def _size(value: Value | None) -> Value | None:
    if value is None:
        return None
    ((kind, payload),) = value.items()
    return None if kind in {"N", "BOOL", "NULL"} else {"N": str(len(payload))}


def _comparison(condition: Compare) -> Evaluate:
    left, right = reader_of(condition.left), reader_of(condition.right)
    if condition.comparator == "=":
        return _equality(condition, left, right)
    if condition.comparator == "<>":
        equal = _equality(condition, left, right)
        return lambda item, values: not equal(item, values)
    in_order = _ORDERS[condition.comparator]

    def ordered(item: Item, values: Values) -> bool:
        pair = comparable(left(item, values), right(item, values))
        return pair is not None and in_order(*pair)

    return ordered


def _equality(condition: Compare, left: Read, right: Read) -> Evaluate:
    """Nothing equals what is not there, itself included."""
    if isinstance(condition.left, Path) and len(condition.left.elements) == 1:
        name = str(condition.left.elements[0])
        if isinstance(condition.right, Reference):
            reference = condition.right.name
            return lambda item, values: item.get(name) == values[reference]

    def equal(item: Item, values: Values) -> bool:
        value = left(item, values)
        return value is not None and value == right(item, values)

    return equal


def _between(condition: Between) -> Evaluate:
    operand, low, high = map(reader_of, (condition.operand, condition.low, condition.high))

    def between(item: Item, values: Values) -> bool:
        value = operand(item, values)
        below, above = comparable(low(item, values), value), comparable(value, high(item, values))
        return below is not None and above is not None and bool(below[0] <= below[1] and above[0] <= above[1])

    return between


def _choice(condition: In) -> Evaluate:
    operand = reader_of(condition.operand)
    choices = [reader_of(choice) for choice in condition.choices]

    def among(item: Item, values: Values) -> bool:
        value = operand(item, values)
        return value is not None and any(value == choice(item, values) for choice in choices)

    return among


def _test(call: FunctionCall) -> Evaluate:
    first = reader_of(call.operands[0])
    if call.function == "attribute_exists":
        return lambda item, values: first(item, values) is not None
    if call.function == "attribute_not_exists":
        return lambda item, values: first(item, values) is None
    second = reader_of(call.operands[1])
    test = {"attribute_type": _is_of_type, "begins_with": _begins, "contains": _contains}[call.function]

    def tested(item: Item, values: Values) -> bool:
        one, other = first(item, values), second(item, values)
        return one is not None and other is not None and test(one, other)

    return tested


def _is_of_type(value: Value, kind: Value) -> bool:
    return kind["S"] in value


def _begins(value: Value, prefix: Value) -> bool:
    for kind in ("S", "B"):
        if kind in value and kind in prefix:
            return bool(value[kind].startswith(prefix[kind]))
    return False


def _contains(value: Value, part: Value) -> bool:
    """A part of a text or of bytes, an element of a set or of a list."""
    ((kind, payload),) = value.items()
    if kind == "L":
        return part in payload
    element = _ELEMENTS.get(kind, kind)
    return kind in {"S", "B", *_ELEMENTS} and element in part and part[element] in payload


def checks_of(parameter: str, condition: Condition) -> Iterator[Check]:
    """What is to be checked of the values behind placeholders, before any item is looked at."""
    match condition:
        case Compare():
            if condition.comparator in _ORDERS:
                for operand in (condition.left, condition.right):
                    yield from _type_check(parameter, f"operator: {condition.comparator}", operand)
            yield from _operand_checks(parameter, condition.left, condition.right)
        case Between():
            for operand in (condition.operand, condition.low, condition.high):
                yield from _type_check(parameter, "operator: BETWEEN", operand)
            yield from _bounds_check(parameter, condition)
            yield from _operand_checks(parameter, condition.operand, condition.low, condition.high)
        case In():
            yield from _operand_checks(parameter, condition.operand, *condition.choices)
        case Test():
            yield from _test_checks(parameter, condition.call)
        case Not():
            yield from checks_of(parameter, condition.part)
        case Every() | Some():
            for part in condition.parts:
                yield from checks_of(parameter, part)


def _type_check(parameter: str, function: str, operand: Operand, kinds: frozenset[str] = _ORDERED) -> Iterator[Check]:
    name = placeholder(operand)
    if name is None:
        return

    def check(values: Values) -> None:
        kind = kind_of(values[name])
        if kind not in kinds:
            raise ServiceError.invalid(
                f"Invalid {parameter}: Incorrect operand type for operator or function; "
                f"{function}, operand type: {kind}"
            )

    yield check


def _operand_checks(parameter: str, *operands: Operand) -> Iterator[Check]:
    sized = frozenset(TYPE_NAMES) - {"N", "BOOL", "NULL"}
    for operand in operands:
        if isinstance(operand, FunctionCall):
            yield from _type_check(parameter, "operator or function: size", operand.operands[0], sized)


def _bounds_check(parameter: str, condition: Between) -> Iterator[Check]:
    low, high = placeholder(condition.low), placeholder(condition.high)
    if low is None or high is None:
        return

    def check(values: Values) -> None:
        pair = comparable(values[low], values[high])
        if pair is not None and pair[0] <= pair[1]:
            return
        wrong = "same data type for lower and upper bounds"
        if pair is not None:
            wrong = "upper bound to be greater than or equal to lower bound"
        raise ServiceError.invalid(
            f"Invalid {parameter}: The BETWEEN operator requires {wrong}; lower bound operand: AttributeValue: "
            f"{_shown(values[low])}, upper bound operand: AttributeValue: {_shown(values[high])}"
        )

    yield check


def _test_checks(parameter: str, call: FunctionCall) -> Iterator[Check]:
    yield from _operand_checks(parameter, *call.operands)
    if call.function == "begins_with":
        for operand in call.operands:
            yield from _type_check(parameter, "operator or function: begins_with", operand, frozenset(["S", "B"]))
    if call.function == "attribute_type":
        kind = placeholder(call.operands[1])
        if kind is None:
            raise ServiceError.invalid(
                f"Invalid {parameter}: Operator or function requires an expression attribute value as its second "
                "operand; operator or function: attribute_type"
            )
        yield from _type_check(parameter, "operator or function: attribute_type", call.operands[1], frozenset(["S"]))
        yield lambda values: _check_type_name(parameter, values[kind]["S"])


def _check_type_name(parameter: str, name: str) -> None:
    if name not in TYPE_NAMES:
        raise ServiceError.invalid(
            f"Invalid {parameter}: Invalid attribute type name found; type: {name}, "
            f"valid types: {{{','.join(TYPE_NAMES)}}}"
        )


def _shown(value: Value) -> str:
    ((kind, payload),) = value.items()
    return f"{{{kind}:{payload}}}"
