"""Update expressions: parsed into actions, checked, and applied to items.

Source: "Using update expressions in DynamoDB".

Every value is read from the item as it was before; then the places are changed, on copies of what they lie in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from operator import itemgetter

from oncefold_lab.simulator import number
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.evaluation import Check, reader_of
from oncefold_lab.simulator.syntax import (
    ExpressionScope,
    FunctionCall,
    Operand,
    Path,
    Read,
    Reference,
    TokenReader,
    Values,
    check_count,
    check_path,
    parse_operand,
    parse_path,
    placeholder,
    step,
)
from oncefold_lab.simulator.values import TYPE_NAMES, Item, Value, give, kind_of, set_of

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
class SetAction:
    """`SET path = value`."""

    path: Path
    value: Operand | Sum


@dataclass(frozen=True, slots=True)
class RemoveAction:
    """`REMOVE path`."""

    path: Path


@dataclass(frozen=True, slots=True)
class AddAction:
    """`ADD path value`: to a number or a set."""

    path: Path
    value: Reference


@dataclass(frozen=True, slots=True)
class DeleteAction:
    """`DELETE path value`: elements of a set."""

    path: Path
    value: Reference


UpdateAction = SetAction | RemoveAction | AddAction | DeleteAction


def parse_update(tokens: TokenReader, scope: ExpressionScope) -> tuple[UpdateAction, ...]:
    """Read a whole expression. Raises Refusal."""
    actions = list(_clauses(tokens, scope))
    for one, other in combinations(actions, 2):
        _check_apart(tokens, one.path, other.path)
    return tuple(actions)


def _clauses(tokens: TokenReader, scope: ExpressionScope) -> Iterator[UpdateAction]:
    parsers: dict[str, Callable[[TokenReader, ExpressionScope], UpdateAction]] = {
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


def _parse_set(tokens: TokenReader, scope: ExpressionScope) -> UpdateAction:
    path = parse_path(tokens, scope)
    tokens.take_sign("=")
    left = _parse_value(tokens, scope)
    for sign in "+-":
        if tokens.skip_sign(sign):
            return SetAction(path, Sum(sign, left, _parse_value(tokens, scope)))
    return SetAction(path, left)


def _parse_value(tokens: TokenReader, scope: ExpressionScope) -> Operand:
    operand = parse_operand(tokens, scope)
    _check_functions(tokens, operand)
    return operand


def _check_functions(tokens: TokenReader, operand: Operand) -> None:
    if not isinstance(operand, FunctionCall):
        return
    if operand.function in _CONDITION_FUNCTIONS:
        _not_allowed(tokens, operand)
    if operand.function not in _FUNCTIONS:
        tokens.refuse(f"Invalid function name; function: {operand.function}")
    check_count(tokens, operand, 2)
    if operand.function == "if_not_exists":
        check_path(tokens, operand)
    for inner in operand.operands:
        if isinstance(inner, FunctionCall) and inner.function == "list_append":
            _not_allowed(tokens, inner)
        _check_functions(tokens, inner)


def _not_allowed(tokens: TokenReader, call: FunctionCall) -> None:
    tokens.refuse(f"The function is not allowed to be used this way in an expression; function: {call.function}")


def _parse_remove(tokens: TokenReader, scope: ExpressionScope) -> UpdateAction:
    return RemoveAction(parse_path(tokens, scope))


def _parse_add(tokens: TokenReader, scope: ExpressionScope) -> UpdateAction:
    return AddAction(parse_path(tokens, scope), _parse_reference(tokens, scope))


def _parse_delete(tokens: TokenReader, scope: ExpressionScope) -> UpdateAction:
    return DeleteAction(parse_path(tokens, scope), _parse_reference(tokens, scope))


def _parse_reference(tokens: TokenReader, scope: ExpressionScope) -> Reference:
    name = tokens.take_kind("value")
    scope.used_values.add(name)
    return Reference(name)


def _check_apart(tokens: TokenReader, one: Path, other: Path) -> None:
    """Two actions may not touch one place, nor take one place for a list and for a map."""
    for mine, theirs in zip(one.elements, other.elements, strict=False):
        if mine == theirs:
            continue
        if isinstance(mine, int) is not isinstance(theirs, int):
            _refuse_pair(tokens, "conflict", one, other)
        return
    _refuse_pair(tokens, "overlap", one, other)


def _refuse_pair(tokens: TokenReader, how: str, one: Path, other: Path) -> None:
    tokens.refuse(
        f"Two document paths {how} with each other; must remove or rewrite one of these paths; "
        f"path one: {one.shown()}, path two: {other.shown()}"
    )


def check_distinct_paths(tokens: TokenReader, paths: tuple[Path, ...]) -> None:
    """The same for the paths of a projection."""
    for one, other in combinations(paths, 2):
        _check_apart(tokens, one, other)


_SETS = frozenset(["SS", "NS", "BS"])
_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_MISSING = "The provided expression refers to an attribute that does not exist in the item"
_WRONG_PATH = "The document path provided in the update expression is invalid for update"


@dataclass(slots=True)
class _Edits:
    """What becomes of one list, by the places that its elements had before."""

    elements: list[Value]
    removed: list[int] = field(default_factory=list)
    appended: list[tuple[int, Value]] = field(default_factory=list)

    def make(self) -> None:
        for index in sorted(self.removed, reverse=True):
            del self.elements[index]
        self.elements += [value for _, value in sorted(self.appended, key=itemgetter(0))]


class Draft:
    """The item as it is going to be."""

    __slots__ = ("_edits", "_own", "before", "exists", "item")

    def __init__(self, before: Item | None) -> None:
        self.exists = before is not None
        self.before = before if before is not None else {}
        self.item = dict(self.before)
        self._own: set[str] = set()
        self._edits: dict[int, _Edits] = {}

    def set(self, path: Path, value: Value) -> None:
        """Put a value at a path; past the end of a list it is appended."""
        if len(path.elements) == 1:
            self.item[str(path.elements[0])] = value
            return
        inner, last = self._within(path), path.elements[-1]
        if inner is None:
            raise ServiceError.invalid(_WRONG_PATH)
        if isinstance(last, str):
            inner["M"][last] = value
        elif last < len(inner["L"]):
            inner["L"][last] = value
        else:
            self._edits_of(inner["L"]).appended.append((last, value))

    def remove(self, path: Path) -> None:
        """Take out what is at a path; of an item that is not there nothing is missed."""
        if len(path.elements) == 1:
            self.item.pop(str(path.elements[0]), None)
            return
        inner, last = self._within(path), path.elements[-1]
        if inner is None:
            if self.exists:
                raise ServiceError.invalid(_WRONG_PATH)
        elif isinstance(last, str):
            inner["M"].pop(last, None)
        elif last < len(inner["L"]):
            self._edits_of(inner["L"]).removed.append(last)

    def finish(self) -> Item:
        """The new item."""
        for edits in self._edits.values():
            edits.make()
        return self.item

    def _within(self, path: Path) -> Value | None:
        """The list or map that a path's last element is in, safe to be changed; None if it is not there."""
        head = str(path.elements[0])
        value = self.item.get(head)
        if value is None:
            return None
        if head not in self._own:
            self._own.add(head)
            value = self.item[head] = give(value)
        for element in path.elements[1:-1]:
            inner = step(value, element)
            if inner is None:
                return None
            value = inner
        return value if ("L" if isinstance(path.elements[-1], int) else "M") in value else None

    def _edits_of(self, elements: list[Value]) -> _Edits:
        return self._edits.setdefault(id(elements), _Edits(elements))


Change = Callable[[Draft, Values], None]


def change_of(action: UpdateAction) -> Change:
    """The action as a function."""
    match action:
        case SetAction():
            path, value = action.path, _value_of(action.value)
            return lambda draft, values: draft.set(path, _needed(value(draft.before, values)))
        case RemoveAction():
            removed = action.path
            return lambda draft, _: draft.remove(removed)
        case AddAction():
            return _addition(action)
        case DeleteAction():
            return _deletion(action)


def _value_of(value: Operand | Sum) -> Read:
    if isinstance(value, Sum):
        left, right = _value_of(value.left), _value_of(value.right)
        combine = number.add if value.sign == "+" else number.subtract
        return lambda item, values: _combined(combine, _needed(left(item, values)), _needed(right(item, values)))
    if not isinstance(value, FunctionCall):
        return reader_of(value)
    first, second = map(_value_of, value.operands)
    if value.function == "list_append":
        return lambda item, values: _appended(_needed(first(item, values)), _needed(second(item, values)))

    def if_not_exists(item: Item, values: Values) -> Value | None:
        found = first(item, values)
        return second(item, values) if found is None else found

    return if_not_exists


def _needed(value: Value | None) -> Value:
    if value is None:
        raise ServiceError.invalid(_MISSING)
    return value


def _combined(combine: Callable[[str, str], str], left: Value, right: Value) -> Value:
    if "N" not in left or "N" not in right:
        raise ServiceError.invalid(_WRONG_TYPE)
    return {"N": combine(left["N"], right["N"])}


def _appended(first: Value, second: Value) -> Value:
    if "L" not in first or "L" not in second:
        raise ServiceError.invalid(_WRONG_TYPE)
    return {"L": first["L"] + second["L"]}


def _addition(action: AddAction) -> Change:
    path, reference = action.path, action.value.name

    def add(draft: Draft, values: Values) -> None:
        old, value = path.read(draft.before), values[reference]
        draft.set(path, value if old is None else _sum(old, value))

    return add


def _sum(old: Value, value: Value) -> Value:
    if "N" in old and "N" in value:
        return {"N": number.add(old["N"], value["N"])}
    kind = kind_of(value)
    if kind not in old or kind not in _SETS:
        raise ServiceError.invalid(_WRONG_TYPE)
    return set_of(kind, {*old[kind], *value[kind]}) or value


def _deletion(action: DeleteAction) -> Change:
    path, reference = action.path, action.value.name

    def delete(draft: Draft, values: Values) -> None:
        old, value = path.read(draft.before), values[reference]
        if old is None:
            return
        kind = kind_of(value)
        if kind not in old:
            raise ServiceError.invalid(_WRONG_TYPE)
        rest = set_of(kind, {*old[kind]} - {*value[kind]})
        if rest is None:
            draft.remove(path)
        else:
            draft.set(path, rest)

    return delete


def checks_of_action(parameter: str, action: UpdateAction) -> Iterator[Check]:
    """What is to be checked of the values behind placeholders, before any item is looked at."""
    match action:
        case AddAction():
            yield _long_type_check(parameter, "ADD", action.value.name, _SETS | {"N"})
        case DeleteAction():
            yield _long_type_check(parameter, "DELETE", action.value.name, _SETS)
        case SetAction():
            yield from _value_checks(parameter, action.value)
        case RemoveAction():
            pass


def _value_checks(parameter: str, value: Operand | Sum) -> Iterator[Check]:
    if isinstance(value, Sum):
        for part in (value.left, value.right):
            yield from _operand_check(parameter, value.sign, part, "N")
            yield from _value_checks(parameter, part)
    elif isinstance(value, FunctionCall):
        for operand in value.operands:
            if value.function == "list_append":
                yield from _operand_check(parameter, value.function, operand, "L")
            yield from _value_checks(parameter, operand)


def _operand_check(parameter: str, function: str, operand: Operand, wanted: str) -> Iterator[Check]:
    name = placeholder(operand)
    if name is None:
        return

    def check(values: Values) -> None:
        kind = kind_of(values[name])
        if kind != wanted:
            raise ServiceError.invalid(
                f"Invalid {parameter}: Incorrect operand type for operator or function; "
                f"operator or function: {function}, operand type: {kind}"
            )

    yield check


def _long_type_check(parameter: str, clause: str, name: str, kinds: frozenset[str]) -> Check:
    def check(values: Values) -> None:
        kind = kind_of(values[name])
        if kind not in kinds:
            raise ServiceError.invalid(
                f"Invalid {parameter}: Incorrect operand type for operator or function; "
                f"operator: {clause}, operand type: {TYPE_NAMES[kind]}"
            )

    return check
