"""What expressions are made of, as plain values: paths, placeholders for values, conditions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from oncefold_lab.simulator.lexer import Tokens
from oncefold_lab.simulator.reserved import RESERVED
from oncefold_lab.simulator.values import Item, Value

Element = str | int
"""An attribute's or map entry's name, or a list index."""
Values = Mapping[str, Value]
"""Values by their placeholder."""


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: `a.b[1]` is ("a", "b", 1)."""

    elements: tuple[Element, ...]

    def shown(self) -> str:
        """The path as messages show it."""
        return f"[{', '.join(f'[{e}]' if isinstance(e, int) else e for e in self.elements)}]"

    def read(self, item: Item) -> Value | None:
        """The value at the path, if there is one."""
        value = item.get(str(self.elements[0]))
        for element in self.elements[1:]:
            if value is None:
                return None
            value = step(value, element)
        return value


@dataclass(frozen=True, slots=True)
class Reference:
    """A placeholder for a value: `:v`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its operands."""

    function: str
    operands: "tuple[Operand, ...]"


Operand = Path | Reference | Call
Read = Callable[[Item, Values], Value | None]
"""An operand, made to be evaluated on an item."""


@dataclass(slots=True)
class Scope:
    """The names an expression may use, and the placeholders that it used."""

    names: Mapping[str, str]
    used_names: set[str] = field(default_factory=set)
    used_values: set[str] = field(default_factory=set)


def step(value: Value, element: Element) -> Value | None:
    """One step of a path."""
    if isinstance(element, int):
        elements = value.get("L")
        return elements[element] if elements is not None and element < len(elements) else None
    entries = value.get("M")
    return entries.get(element) if entries is not None else None


def parse_path(tokens: Tokens, scope: Scope) -> Path:
    """Read a path; names behind `#` are looked up."""
    elements: list[Element] = [_parse_name(tokens, scope)]
    while True:
        if tokens.skip_sign("."):
            elements.append(_parse_name(tokens, scope))
        elif tokens.skip_sign("["):
            elements.append(int(tokens.take_kind("index")))
            tokens.take_sign("]")
        else:
            return Path(tuple(elements))


def _parse_name(tokens: Tokens, scope: Scope) -> str:
    token = tokens.peek()
    if token.kind == "name":
        if token.text.upper() in RESERVED:
            tokens.refuse(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        return tokens.take().text
    alias = tokens.take_kind("alias")
    if alias not in scope.names:
        tokens.refuse(f"An expression attribute name used in the document path is not defined; attribute name: {alias}")
    scope.used_names.add(alias)
    return scope.names[alias]


def parse_operand(tokens: Tokens, scope: Scope) -> Operand:
    """Read a path, a placeholder or a function with its operands."""
    token = tokens.peek()
    if token.kind == "value":
        scope.used_values.add(token.text)
        return Reference(tokens.take().text)
    if token.kind == "name" and tokens.peek(1).text == "(":
        return parse_call(tokens, scope)
    return parse_path(tokens, scope)


def parse_call(tokens: Tokens, scope: Scope) -> Call:
    """Read a function and its operands."""
    function = tokens.take_kind("name")
    tokens.take_sign("(")
    operands = [parse_operand(tokens, scope)]
    while tokens.skip_sign(","):
        operands.append(parse_operand(tokens, scope))
    tokens.take_sign(")")
    return Call(function, tuple(operands))


def check_count(tokens: Tokens, call: Call, count: int) -> None:
    """Refuse a function with another number of operands."""
    if len(call.operands) != count:
        tokens.refuse(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {call.function}, number of operands: {len(call.operands)}"
        )


def check_path(tokens: Tokens, call: Call) -> Path:
    """The first operand of a function that takes a path there, and nothing else."""
    path = call.operands[0]
    if not isinstance(path, Path):
        tokens.refuse(f"Operator or function requires a document path; operator or function: {call.function}")
    return path


def read_path(path: Path) -> Read:
    """A path, made to be evaluated."""
    if len(path.elements) == 1:
        name = str(path.elements[0])
        return lambda item, _: item.get(name)
    return lambda item, _: path.read(item)


def read_reference(reference: Reference) -> Read:
    """A placeholder, made to be evaluated."""
    name = reference.name
    return lambda _, values: values[name]


def placeholder(operand: Operand) -> str | None:
    """The placeholder that an operand is, if it is one."""
    return operand.name if isinstance(operand, Reference) else None
