"""Update expressions made to be applied.

Every value is read from the item as it was before; then the places are changed, on copies of what they lie in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter

from oncefold_lab.simulator import number
from oncefold_lab.simulator.errors import Refusal
from oncefold_lab.simulator.judging import Check, reader_of
from oncefold_lab.simulator.syntax import Call, Operand, Path, Read, Values, placeholder, step
from oncefold_lab.simulator.updates import Action, Add, Delete, Remove, Set, Sum
from oncefold_lab.simulator.values import TYPE_NAMES, Item, Value, give, kind_of, set_of

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
            raise Refusal.invalid(_WRONG_PATH)
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
                raise Refusal.invalid(_WRONG_PATH)
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


def change_of(action: Action) -> Change:
    """The action as a function."""
    match action:
        case Set():
            path, value = action.path, _value_of(action.value)
            return lambda draft, values: draft.set(path, _needed(value(draft.before, values)))
        case Remove():
            removed = action.path
            return lambda draft, _: draft.remove(removed)
        case Add():
            return _addition(action)
        case Delete():
            return _deletion(action)


def _value_of(value: Operand | Sum) -> Read:
    if isinstance(value, Sum):
        left, right = _value_of(value.left), _value_of(value.right)
        combine = number.add if value.sign == "+" else number.subtract
        return lambda item, values: _combined(combine, _needed(left(item, values)), _needed(right(item, values)))
    if not isinstance(value, Call):
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
        raise Refusal.invalid(_MISSING)
    return value


def _combined(combine: Callable[[str, str], str], left: Value, right: Value) -> Value:
    if "N" not in left or "N" not in right:
        raise Refusal.invalid(_WRONG_TYPE)
    return {"N": combine(left["N"], right["N"])}


def _appended(first: Value, second: Value) -> Value:
    if "L" not in first or "L" not in second:
        raise Refusal.invalid(_WRONG_TYPE)
    return {"L": first["L"] + second["L"]}


def _addition(action: Add) -> Change:
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
        raise Refusal.invalid(_WRONG_TYPE)
    return set_of(kind, {*old[kind], *value[kind]}) or value


def _deletion(action: Delete) -> Change:
    path, reference = action.path, action.value.name

    def delete(draft: Draft, values: Values) -> None:
        old, value = path.read(draft.before), values[reference]
        if old is None:
            return
        kind = kind_of(value)
        if kind not in old:
            raise Refusal.invalid(_WRONG_TYPE)
        rest = set_of(kind, {*old[kind]} - {*value[kind]})
        if rest is None:
            draft.remove(path)
        else:
            draft.set(path, rest)

    return delete


def checks_of_action(parameter: str, action: Action) -> Iterator[Check]:
    """What is to be checked of the values behind placeholders, before any item is looked at."""
    match action:
        case Add():
            yield _long_type_check(parameter, "ADD", action.value.name, _SETS | {"N"})
        case Delete():
            yield _long_type_check(parameter, "DELETE", action.value.name, _SETS)
        case Set():
            yield from _value_checks(parameter, action.value)
        case Remove():
            pass


def _value_checks(parameter: str, value: Operand | Sum) -> Iterator[Check]:
    if isinstance(value, Sum):
        for part in (value.left, value.right):
            yield from _operand_check(parameter, value.sign, part, "N")
            yield from _value_checks(parameter, part)
    elif isinstance(value, Call):
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
            raise Refusal.invalid(
                f"Invalid {parameter}: Incorrect operand type for operator or function; "
                f"operator or function: {function}, operand type: {kind}"
            )

    yield check


def _long_type_check(parameter: str, clause: str, name: str, kinds: frozenset[str]) -> Check:
    def check(values: Values) -> None:
        kind = kind_of(values[name])
        if kind not in kinds:
            raise Refusal.invalid(
                f"Invalid {parameter}: Incorrect operand type for operator or function; "
                f"operator: {clause}, operand type: {TYPE_NAMES[kind]}"
            )

    return check
