"""Expressions as requests use them: parsed once per text and names, bound to the values of each request.

Source: "Using projection expressions in DynamoDB".

Sources: "Using expressions in DynamoDB"; "Expression attribute names (aliases) in DynamoDB".
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar

from oncefold_lab.simulator.conditions import Condition, parse_condition, paths_of
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.evaluation import Check, Evaluate, checks_of, evaluator_of
from oncefold_lab.simulator.syntax import ExpressionScope, Path, TokenReader, Values, parse_path, step
from oncefold_lab.simulator.updates import (
    AddAction,
    Change,
    Draft,
    SetAction,
    change_of,
    check_distinct_paths,
    checks_of_action,
    parse_update,
)
from oncefold_lab.simulator.values import Item, Value, give, take

Tree = dict[Any, Any]
"""Paths by their elements; the end of a path is an empty tree."""


def parse_projection(tokens: TokenReader, scope: ExpressionScope) -> tuple[Path, ...]:
    """Read a whole expression. Raises Refusal."""
    paths = [parse_path(tokens, scope)]
    while tokens.skip_sign(","):
        paths.append(parse_path(tokens, scope))
    tokens.finish()
    check_distinct_paths(tokens, tuple(paths))
    return tuple(paths)


def project(item: Item, paths: Sequence[Path]) -> Item:
    """Copies of the parts of an item at some paths, within the maps and lists that they are in; lists close up."""
    tree: Tree = {}
    for path in paths:
        branch = tree
        for element in path.elements:
            branch = branch.setdefault(element, {})
    return _entries(item, tree)


def _entries(entries: dict[str, Value], tree: Tree) -> dict[str, Value]:
    parts = {name: _part(entries[name], branch) for name, branch in tree.items() if name in entries}
    return {name: part for name, part in parts.items() if part is not None}


def _part(value: Value, tree: Tree) -> Value | None:
    if not tree:
        return give(value)
    if any(isinstance(element, int) for element in tree):
        found = [(step(value, index), branch) for index, branch in sorted(tree.items())]
        parts = [_part(element, branch) for element, branch in found if element is not None]
        elements = [part for part in parts if part is not None]
        return {"L": elements} if elements else None
    entries = _entries(value["M"], tree) if "M" in value else {}
    return {"M": entries} if entries else None


_KEPT = 4096
"""Parsed expressions of a table of expressions; code that writes values into its texts would fill it."""
_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+", re.ASCII)
Body = TypeVar("Body")
Written = tuple[str, str, tuple[tuple[str, str], ...]]
"""Parameter, text and names: all that an expression is parsed from."""
Parse = Callable[[TokenReader, ExpressionScope], tuple[Body, Iterable[Check]]]


@dataclass(frozen=True, slots=True)
class Update:
    """An update expression, ready to be applied."""

    changes: tuple[Change, ...]
    paths: tuple[Path, ...]
    creates: bool
    """Whether it makes an item where there is none; one that only takes away does not."""

    def apply(self, item: Item | None, values: Values) -> Item:
        """The attributes after the update. Raises Refusal where it does not fit the item."""
        draft = Draft(item)
        for change in self.changes:
            change(draft, values)
        return draft.finish()


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition, ready to be evaluated, and as it was written."""

    evaluate: Evaluate
    condition: Condition
    paths: tuple[Path, ...]
    """Every path in it."""


@dataclass(frozen=True, slots=True)
class Program(Generic[Body]):
    """A parsed expression: as it was written, what it does, and which placeholders it needs."""

    parameter: str
    written: Written
    body: Body
    names: frozenset[str]
    values: frozenset[str]
    checks: tuple[Check, ...] = field(repr=False)


class Expressions:
    """Expressions that were parsed before, and the ways to parse new ones."""

    def __init__(self) -> None:
        self._programs: dict[Written, Program[Any]] = {}

    def condition(
        self, request: Mapping[str, Any], parameter: str = "ConditionExpression"
    ) -> Program[Predicate] | None:
        """The condition of a request, under one of the names that conditions have."""
        return self._program(request, parameter, _condition)

    def update(self, request: Mapping[str, Any]) -> Program[Update] | None:
        """The update expression of a request."""
        return self._program(request, "UpdateExpression", _update)

    def projection(self, request: Mapping[str, Any]) -> Program[tuple[Path, ...]] | None:
        """The projection expression of a request."""
        return self._program(request, "ProjectionExpression", _projection)

    def _program(self, request: Mapping[str, Any], parameter: str, parse: Parse[Body]) -> Program[Body] | None:
        text = request.get(parameter)
        if text is None:
            return None
        names = request.get("ExpressionAttributeNames") or {}
        written = (parameter, text, tuple(names.items()))
        program = self._programs.get(written)
        if program is None:
            if len(self._programs) >= _KEPT:
                self._programs.clear()
            program = self._programs[written] = _parsed(written, names, parse)
        return program


def _parsed(written: Written, names: Mapping[str, str], parse: Parse[Body]) -> Program[Body]:
    parameter, text, _ = written
    _check_placeholders("ExpressionAttributeNames", names, "#")
    tokens, scope = TokenReader(parameter, text), ExpressionScope(names)
    body, checks = parse(tokens, scope)
    return Program(parameter, written, body, frozenset(scope.used_names), frozenset(scope.used_values), tuple(checks))


def _condition(tokens: TokenReader, scope: ExpressionScope) -> tuple[Predicate, Iterable[Check]]:
    condition = parse_condition(tokens, scope)
    paths = tuple(paths_of(condition))
    return Predicate(evaluator_of(condition), condition, paths), checks_of(tokens.parameter, condition)


def _update(tokens: TokenReader, scope: ExpressionScope) -> tuple[Update, Iterable[Check]]:
    actions = parse_update(tokens, scope)
    update = Update(
        tuple(map(change_of, actions)),
        tuple(action.path for action in actions),
        any(isinstance(action, (SetAction, AddAction)) for action in actions),
    )
    return update, [check for action in actions for check in checks_of_action(tokens.parameter, action)]


def _projection(tokens: TokenReader, scope: ExpressionScope) -> tuple[tuple[Path, ...], Iterable[Check]]:
    return parse_projection(tokens, scope), ()


NO_VALUES: Values = {}


def bind(request: Mapping[str, Any], *programs: Program[Any] | None) -> Values:
    """The values behind a request's placeholders, for all of its expressions. Raises Refusal.

    Each placeholder must be defined, and each definition used.
    """
    names, given = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    used = [program for program in programs if program is not None]
    if not used:
        _check_none("ExpressionAttributeNames", names)
        _check_none("ExpressionAttributeValues", given)
        return NO_VALUES
    values = NO_VALUES if given is None else _taken(given)
    needed_names, needed_values = used[0].names, used[0].values
    for program in used[1:]:
        needed_names |= program.names
        needed_values |= program.values
    if not needed_values <= values.keys():
        _refuse_undefined(used, values)
    # What is needed is there, so what is there is needed if it is as much.
    if names is not None and (not names or len(names) > len(needed_names)):
        _refuse_unused("ExpressionAttributeNames", "#", names, needed_names)
    if given is not None and (not given or len(given) > len(needed_values)):
        _refuse_unused("ExpressionAttributeValues", ":", given, needed_values)
    for program in used:
        for check in program.checks:
            check(values)
    return values


def _taken(given: Mapping[str, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, value in given.items():
        try:
            values[name], _ = take(value)
        except ServiceError as refusal:
            raise ServiceError(
                refusal.code,
                f"ExpressionAttributeValues contains invalid value: {refusal.message} for key {name}",
            ) from None
    return values


def _check_none(parameter: str, given: Mapping[str, Any] | None) -> None:
    if given is not None:
        raise ServiceError.invalid(f"{parameter} can only be specified when using expressions")


def _refuse_undefined(used: Iterable[Program[Any]], values: Values) -> NoReturn:
    parameter, name = next((p.parameter, name) for p in used for name in sorted(p.values - values.keys()))
    raise ServiceError.invalid(
        f"Invalid {parameter}: An expression attribute value used in expression is not defined; attribute value: {name}"
    )


def _refuse_unused(parameter: str, mark: str, given: Mapping[str, Any], needed: frozenset[str]) -> NoReturn:
    if not given:
        raise ServiceError.invalid(f"{parameter} must not be empty")
    _check_placeholders(parameter, given, mark)
    unused = ", ".join(sorted(given.keys() - needed))
    raise ServiceError.invalid(f"Value provided in {parameter} unused in expressions: keys: {{{unused}}}")


def _check_placeholders(parameter: str, given: Mapping[str, Any], mark: str) -> None:
    for name in given:
        if not name.startswith(mark) or not _PLACEHOLDER.fullmatch(name):
            raise ServiceError.invalid(f'{parameter} contains invalid key: Syntax error; key: "{name}"')


def projected(item: Item, program: Program[tuple[Path, ...]]) -> Item:
    """The projection of an item."""
    return project(item, program.body)
