"""Conditions of writes, filters and keys, from their text to plain values.

Source: "Condition and filter expressions, operators, and functions in DynamoDB".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.syntax import (
    ExpressionScope,
    FunctionCall,
    Operand,
    Path,
    TokenReader,
    Values,
    check_count,
    check_path,
    parse_call,
    parse_operand,
    placeholder,
)
from oncefold_lab.simulator.tables import Table
from oncefold_lab.simulator.values import kind_of

COMPARATORS = frozenset(["=", "<>", "<", "<=", ">", ">="])
CHOICES = 100
"""Operands of IN."""

_TESTS = {"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}
_OTHER_FUNCTIONS = frozenset(["size", "if_not_exists", "list_append"])


@dataclass(frozen=True, slots=True)
class Compare:
    """`left = right`, and the other comparators."""

    comparator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """`operand BETWEEN low AND high`, both included."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """`operand IN (choices)`."""

    operand: Operand
    choices: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """A function that is true or false."""

    call: FunctionCall


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Every:
    """Conditions joined by AND."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """Conditions joined by OR."""

    parts: "tuple[Condition, ...]"


Condition = Compare | Between | In | Test | Not | Every | Some


def parse_condition(tokens: TokenReader, scope: ExpressionScope) -> Condition:
    """Read a whole expression. Raises Refusal."""
    condition, _ = _Parser(tokens, scope).some()
    tokens.finish()
    return condition


class _Parser:
    """OR binds least, then AND, then NOT. Each method also says whether what it read was in parentheses."""

    def __init__(self, tokens: TokenReader, scope: ExpressionScope) -> None:
        self._tokens = tokens
        self._scope = scope

    def some(self) -> tuple[Condition, bool]:
        part, wrapped = self._every()
        parts = [part]
        while self._tokens.skip_word("OR"):
            parts.append(self._every()[0])
        return (part, wrapped) if len(parts) == 1 else (Some(tuple(parts)), False)

    def _every(self) -> tuple[Condition, bool]:
        part, wrapped = self._opposite()
        parts = [part]
        while self._tokens.skip_word("AND"):
            parts.append(self._opposite()[0])
        return (part, wrapped) if len(parts) == 1 else (Every(tuple(parts)), False)

    def _opposite(self) -> tuple[Condition, bool]:
        if self._tokens.skip_word("NOT"):
            return Not(self._opposite()[0]), False
        return self._primary()

    def _primary(self) -> tuple[Condition, bool]:
        if self._tokens.skip_sign("("):
            condition, wrapped = self.some()
            if wrapped:
                self._tokens.refuse("The expression has redundant parentheses;")
            self._tokens.take_sign(")")
            return condition, True
        if self._tokens.peek().kind == "name" and self._tokens.peek(1).text == "(":
            call = parse_call(self._tokens, self._scope)
            if call.function in _TESTS:
                return self._test(call), False
            return self._relation(call), False
        return self._relation(parse_operand(self._tokens, self._scope)), False

    def _test(self, call: FunctionCall) -> Condition:
        check_count(self._tokens, call, _TESTS[call.function])
        for operand in call.operands:
            self._check_operand(operand)
        if call.function in {"attribute_exists", "attribute_not_exists"}:
            check_path(self._tokens, call)
        elif call.function in {"begins_with", "contains"}:
            self._check_distinct(call.function, *call.operands)
        if self._tokens.peek().text in COMPARATORS:
            self._not_allowed(call)
        return Test(call)

    def _relation(self, left: Operand) -> Condition:
        self._check_operand(left)
        if self._tokens.skip_word("BETWEEN"):
            low = self._operand()
            if not self._tokens.skip_word("AND"):
                self._tokens.syntax_error()
            high = self._operand()
            self._check_distinct("BETWEEN", left, low, high)
            return Between(left, low, high)
        if self._tokens.skip_word("IN"):
            return self._choice(left)
        token = self._tokens.peek()
        if token.text not in COMPARATORS:
            if isinstance(left, FunctionCall):
                self._not_allowed(left)
            self._tokens.syntax_error()
        self._tokens.take()
        right = self._operand()
        self._check_distinct(token.text, left, right)
        return Compare(token.text, left, right)

    def _choice(self, left: Operand) -> Condition:
        self._tokens.take_sign("(")
        choices = [self._operand()]
        while self._tokens.skip_sign(","):
            choices.append(self._operand())
        self._tokens.take_sign(")")
        if len(choices) > CHOICES:
            self._tokens.refuse(
                "Incorrect number of operands for operator or function; "
                f"operator or function: IN, number of operands: {len(choices) + 1}"
            )
        self._check_distinct("IN", left, *choices)
        return In(left, tuple(choices))

    def _operand(self) -> Operand:
        operand = parse_operand(self._tokens, self._scope)
        self._check_operand(operand)
        return operand

    def _check_operand(self, operand: Operand) -> None:
        """`size` is the one function whose result can be an operand."""
        if not isinstance(operand, FunctionCall):
            return
        if operand.function != "size":
            self._not_allowed(operand)
        check_count(self._tokens, operand, 1)
        self._check_operand(operand.operands[0])

    def _not_allowed(self, call: FunctionCall) -> None:
        if call.function not in _TESTS and call.function not in _OTHER_FUNCTIONS:
            self._tokens.refuse(f"Invalid function name; function: {call.function}")
        self._tokens.refuse(
            f"The function is not allowed to be used this way in an expression; function: {call.function}"
        )

    def _check_distinct(self, operator: str, first: Operand, *others: Operand) -> None:
        if isinstance(first, Path) and first in others:
            self._tokens.refuse(
                "The first operand must be distinct from the remaining operands for this operator or function; "
                f"operator: {operator}, first operand: {first.shown()}"
            )


def paths_of(condition: Condition) -> Iterator[Path]:
    """Every path in a condition."""
    match condition:
        case Compare():
            yield from _paths(condition.left, condition.right)
        case Between():
            yield from _paths(condition.operand, condition.low, condition.high)
        case In():
            yield from _paths(condition.operand, *condition.choices)
        case Test():
            yield from _paths(condition.call)
        case Not():
            yield from paths_of(condition.part)
        case Every() | Some():
            for part in condition.parts:
                yield from paths_of(part)


def _paths(*operands: Operand) -> Iterator[Path]:
    for operand in operands:
        if isinstance(operand, Path):
            yield operand
        elif isinstance(operand, FunctionCall):
            yield from _paths(*operand.operands)


_INVALID = "Invalid KeyConditionExpression"


def hash_value_of(table: Table, condition: Condition, values: Values) -> Any:
    """The hash value that a key condition asks for. Raises Refusal for conditions that keys can not have."""
    found: dict[str, Condition] = {}
    for part in _parts(condition):
        name = _name(part)
        if name in found:
            raise ServiceError.invalid(f"{_INVALID}: KeyConditionExpressions must only contain one condition per key")
        found[name] = part
        _check_types(table, name, part, values)
    if table.hash.name not in found:
        raise ServiceError.invalid(f"Query condition missed key schema element: {table.hash.name}")
    others = found.keys() - {table.hash.name}
    if others and (table.range is None or others != {table.range.name}):
        raise ServiceError.invalid(
            "Query key condition not supported"
            if table.range is None
            else f"Query condition missed key schema element: {table.range.name}"
        )
    wanted = found[table.hash.name]
    if not isinstance(wanted, Compare) or wanted.comparator != "=":
        raise ServiceError.invalid("Query key condition not supported")
    return values[_reference(wanted)][table.hash.kind]


def _parts(condition: Condition) -> Iterator[Condition]:
    match condition:
        case Every():
            for part in condition.parts:
                yield from _parts(part)
        case Compare() | Between():
            if isinstance(condition, Compare) and condition.comparator == "<>":
                raise ServiceError.invalid("Unsupported operator on KeyCondition: <>")
            yield condition
        case Test() if condition.call.function == "begins_with":
            yield condition
        case Test():
            raise ServiceError.invalid(
                f"{_INVALID}: Invalid operator used in KeyConditionExpression: {condition.call.function}"
            )
        case Some() | Not() | In():
            operators = {Some: "OR", Not: "NOT", In: "IN"}
            raise ServiceError.invalid(
                f"{_INVALID}: Invalid operator used in KeyConditionExpression: {operators[type(condition)]}"
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
        raise ServiceError.invalid(f"{_INVALID}: Invalid operand in KeyConditionExpression")
    if len(paths[0].elements) > 1:
        raise ServiceError.invalid(f"{_INVALID}: KeyConditionExpressions cannot have conditions on nested attributes")
    return str(paths[0].elements[0])


def _check_types(table: Table, name: str, condition: Condition, values: Values) -> None:
    for part in (table.hash, table.range):
        if part is not None and part.name == name:
            for operand in _operands(condition):
                reference = placeholder(operand)
                if reference is not None and kind_of(values[reference]) != part.kind:
                    raise ServiceError.invalid(
                        "One or more parameter values were invalid: Condition parameter type does not match schema type"
                    )


def _reference(condition: Compare) -> str:
    """The placeholder of a comparison, on whichever side it is."""
    return next(name for name in map(placeholder, (condition.left, condition.right)) if name is not None)
