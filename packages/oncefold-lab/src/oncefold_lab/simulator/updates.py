"""Update expressions, from their text to plain values.

Source: "Using update expressions in DynamoDB".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from oncefold_lab.simulator.lexer import Tokens
from oncefold_lab.simulator.syntax import (
    Call,
    Operand,
    Path,
    Reference,
    Scope,
    check_count,
    check_path,
    parse_operand,
    parse_path,
)

_FUNCTIONS = frozenset(["if_not_exists", "list_append"])
_CONDITION_FUNCTIONS = frozenset(
    ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"]
)


@dataclass(frozen=True, slots=True)
class Sum:
    """`left + right` or `left - right`."""

    sign: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Set:
    """`SET path = value`."""

    path: Path
    value: Operand | Sum


@dataclass(frozen=True, slots=True)
class Remove:
    """`REMOVE path`."""

    path: Path


@dataclass(frozen=True, slots=True)
class Add:
    """`ADD path value`: to a number or a set."""

    path: Path
    value: Reference


@dataclass(frozen=True, slots=True)
class Delete:
    """`DELETE path value`: elements of a set."""

    path: Path
    value: Reference


Action = Set | Remove | Add | Delete


def parse_update(tokens: Tokens, scope: Scope) -> tuple[Action, ...]:
    """Read a whole expression. Raises Refusal."""
    actions = list(_clauses(tokens, scope))
    for one, other in combinations(actions, 2):
        _check_apart(tokens, one.path, other.path)
    return tuple(actions)


def _clauses(tokens: Tokens, scope: Scope) -> Iterator[Action]:
    parsers: dict[str, Callable[[Tokens, Scope], Action]] = {
        "SET": _parse_set,
        "REMOVE": _parse_remove,
        "ADD": _parse_add,
        "DELETE": _parse_delete,
    }
    seen: set[str] = set()
    while tokens.peek().kind != "end":
        word = tokens.peek().text.upper()
        if word not in parsers:
            tokens.syntax_error()
        if word in seen:
            tokens.refuse(f'The "{word}" section can only be used once in an update expression;')
        seen.add(word)
        tokens.take()
        yield parsers[word](tokens, scope)
        while tokens.skip_sign(","):
            yield parsers[word](tokens, scope)


def _parse_set(tokens: Tokens, scope: Scope) -> Action:
    path = parse_path(tokens, scope)
    tokens.take_sign("=")
    left = _parse_value(tokens, scope)
    for sign in "+-":
        if tokens.skip_sign(sign):
            return Set(path, Sum(sign, left, _parse_value(tokens, scope)))
    return Set(path, left)


def _parse_value(tokens: Tokens, scope: Scope) -> Operand:
    operand = parse_operand(tokens, scope)
    _check_functions(tokens, operand)
    return operand


def _check_functions(tokens: Tokens, operand: Operand) -> None:
    if not isinstance(operand, Call):
        return
    if operand.function in _CONDITION_FUNCTIONS:
        _not_allowed(tokens, operand)
    if operand.function not in _FUNCTIONS:
        tokens.refuse(f"Invalid function name; function: {operand.function}")
    check_count(tokens, operand, 2)
    if operand.function == "if_not_exists":
        check_path(tokens, operand)
    for inner in operand.operands:
        if isinstance(inner, Call) and inner.function == "list_append":
            _not_allowed(tokens, inner)
        _check_functions(tokens, inner)


def _not_allowed(tokens: Tokens, call: Call) -> None:
    tokens.refuse(f"The function is not allowed to be used this way in an expression; function: {call.function}")


def _parse_remove(tokens: Tokens, scope: Scope) -> Action:
    return Remove(parse_path(tokens, scope))


def _parse_add(tokens: Tokens, scope: Scope) -> Action:
    return Add(parse_path(tokens, scope), _parse_reference(tokens, scope))


def _parse_delete(tokens: Tokens, scope: Scope) -> Action:
    return Delete(parse_path(tokens, scope), _parse_reference(tokens, scope))


def _parse_reference(tokens: Tokens, scope: Scope) -> Reference:
    name = tokens.take_kind("value")
    scope.used_values.add(name)
    return Reference(name)


def _check_apart(tokens: Tokens, one: Path, other: Path) -> None:
    """Two actions may not touch one place, nor take one place for a list and for a map."""
    for mine, theirs in zip(one.elements, other.elements, strict=False):
        if mine == theirs:
            continue
        if isinstance(mine, int) is not isinstance(theirs, int):
            _refuse_pair(tokens, "conflict", one, other)
        return
    _refuse_pair(tokens, "overlap", one, other)


def _refuse_pair(tokens: Tokens, how: str, one: Path, other: Path) -> None:
    tokens.refuse(
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {one.shown()}, path two: {other.shown()}"
    )


def check_distinct_paths(tokens: Tokens, paths: tuple[Path, ...]) -> None:
    """The same for the paths of a projection."""
    for one, other in combinations(paths, 2):
        _check_apart(tokens, one, other)
