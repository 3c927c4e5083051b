"""Conditions over plain Python values, and how they are written for DynamoDB: what the expressions are held to.

An attribute is a pair of its type and a plain value; items, lists and maps hold such pairs. Nothing here knows the
simulator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

Attribute = tuple[str, Any]
PlainItem = dict[str, Attribute]
Reader = Callable[[PlainItem], Attribute | None]

NAMES = ["a", "b", "c", "d"]
ORDERED = ("S", "N", "B")
_STEPS: list[str | int] = ["x", "y", 0, 1]


@dataclass(frozen=True)
class Operand:
    """How an operand is written, which placeholders it needs, and what it means."""

    text: str
    values: Mapping[str, Attribute]
    read: Reader


@dataclass(frozen=True)
class Plain:
    """The same for a condition."""

    text: str
    values: Mapping[str, Attribute]
    holds: Callable[[PlainItem], bool]


def wire(attribute: Attribute) -> dict[str, Any]:
    """An attribute as requests have it."""
    kind, value = attribute
    if kind == "N":
        return {"N": str(value)}
    if kind == "L":
        return {"L": [wire(element) for element in value]}
    if kind == "M":
        return {"M": {name: wire(element) for name, element in value.items()}}
    if kind == "NULL":
        return {"NULL": True}
    if kind in {"SS", "NS"}:
        return {kind: [str(element) for element in value]}
    return {kind: value}


_TEXTS = st.sampled_from(["", "a", "ab", "b", "ba", "é", "\N{GRINNING FACE}"])
_NUMBERS = st.sampled_from([Decimal(text) for text in ("0", "1", "1.0", "1.5", "-1", "2", "10", "1E+2", "100")])
SCALARS = st.one_of(
    st.tuples(st.just("S"), _TEXTS),
    st.tuples(st.just("N"), _NUMBERS),
    st.tuples(st.just("B"), st.sampled_from([b"", b"a", b"ab", b"\xff"])),
    st.tuples(st.just("BOOL"), st.booleans()),
    st.just(("NULL", None)),
    st.tuples(st.just("SS"), st.frozensets(_TEXTS, min_size=1)),
    st.tuples(st.just("NS"), st.frozensets(_NUMBERS, min_size=1)),
)
ATTRIBUTES: st.SearchStrategy[Attribute] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.tuples(st.just("L"), st.lists(inner, max_size=3)),
        st.tuples(st.just("M"), st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)),
    ),
    max_leaves=4,
)
ITEMS: st.SearchStrategy[PlainItem] = st.dictionaries(st.sampled_from(NAMES), ATTRIBUTES, max_size=4)


def _step(attribute: Attribute | None, element: str | int) -> Attribute | None:
    if attribute is None:
        return None
    kind, value = attribute
    if isinstance(element, int):
        return value[element] if kind == "L" and element < len(value) else None
    return value.get(element) if kind == "M" else None


@st.composite
def paths(draw: st.DrawFn) -> Operand:
    name = draw(st.sampled_from(NAMES))
    steps = draw(st.lists(st.sampled_from(_STEPS), max_size=2))
    text = name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)

    def read(item: PlainItem) -> Attribute | None:
        attribute = item.get(name)
        for step in steps:
            attribute = _step(attribute, step)
        return attribute

    return Operand(text, {}, read)


@st.composite
def constants(draw: st.DrawFn, attributes: st.SearchStrategy[Attribute] = ATTRIBUTES) -> Operand:
    attribute = draw(attributes)
    # One name for one content, so that conditions can be joined.
    name = f":v{crc32(repr(attribute).encode())}"
    return Operand(name, {name: attribute}, lambda _: attribute)


@st.composite
def sizes(draw: st.DrawFn) -> Operand:
    path = draw(paths())

    def read(item: PlainItem) -> Attribute | None:
        attribute = path.read(item)
        if attribute is None or attribute[0] in {"N", "BOOL", "NULL"}:
            return None
        return "N", Decimal(len(attribute[1]))

    return Operand(f"size({path.text})", {}, read)


def operands(constant: st.SearchStrategy[Attribute] = ATTRIBUTES) -> st.SearchStrategy[Operand]:
    return st.one_of(paths(), sizes(), constants(constant))


_SORTABLE = SCALARS.filter(lambda attribute: attribute[0] in ORDERED)


def _ordered(one: Attribute | None, other: Attribute | None, order: Callable[[Any, Any], bool]) -> bool:
    """DynamoDB orders texts by their UTF-8 bytes."""
    if one is None or other is None or one[0] != other[0] or one[0] not in ORDERED:
        return False
    left, right = (value.encode() if isinstance(value, str) else value for value in (one[1], other[1]))
    return order(left, right)


@st.composite
def comparisons(draw: st.DrawFn) -> Plain:
    comparator, order = draw(
        st.sampled_from(
            [
                ("=", None),
                ("<>", None),
                ("<", lambda a, b: a < b),
                ("<=", lambda a, b: a <= b),
                (">", lambda a, b: a > b),
                (">=", lambda a, b: a >= b),
            ]
        )
    )
    constant = ATTRIBUTES if order is None else _SORTABLE
    left, right = draw(
        st.tuples(operands(constant), operands(constant)).filter(lambda pair: pair[0].text != pair[1].text)
    )

    def holds(item: PlainItem) -> bool:
        one, other = left.read(item), right.read(item)
        if order is not None:
            return _ordered(one, other, order)
        equal = one is not None and one == other
        return equal if comparator == "=" else not equal

    return Plain(f"{left.text} {comparator} {right.text}", {**left.values, **right.values}, holds)


@st.composite
def betweens(draw: st.DrawFn) -> Plain:
    operand = draw(operands(_SORTABLE))
    low, high = draw(
        st.tuples(constants(_SORTABLE), constants(_SORTABLE)).filter(
            lambda pair: _ordered(pair[0].read({}), pair[1].read({}), lambda a, b: a <= b)
        )
    )
    if draw(st.booleans()):
        high = draw(paths().filter(lambda path: path.text != operand.text))

    def holds(item: PlainItem) -> bool:
        at = operand.read(item)
        not_above = lambda a, b: a <= b  # noqa: E731
        return _ordered(low.read(item), at, not_above) and _ordered(at, high.read(item), not_above)

    values = {**operand.values, **low.values, **high.values}
    return Plain(f"{operand.text} between {low.text} AND {high.text}", values, holds)


@st.composite
def choices(draw: st.DrawFn) -> Plain:
    operand = draw(operands())
    others = draw(st.lists(operands().filter(lambda other: other.text != operand.text), min_size=1, max_size=3))

    def holds(item: PlainItem) -> bool:
        value = operand.read(item)
        return value is not None and any(value == other.read(item) for other in others)

    values = {name: value for part in (operand, *others) for name, value in part.values.items()}
    return Plain(f"{operand.text} IN ({', '.join(other.text for other in others)})", values, holds)


@st.composite
def functions(draw: st.DrawFn) -> Plain:
    path = draw(paths())
    function = draw(
        st.sampled_from(["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"])
    )
    if function == "attribute_exists":
        return Plain(f"attribute_exists({path.text})", {}, lambda item: path.read(item) is not None)
    if function == "attribute_not_exists":
        return Plain(f"attribute_not_exists ( {path.text} )", {}, lambda item: path.read(item) is None)
    if function == "attribute_type":
        kind = draw(st.sampled_from(["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"]))
        return Plain(
            f"attribute_type({path.text}, :kind_{kind})",
            {f":kind_{kind}": ("S", kind)},
            lambda item: (found := path.read(item)) is not None and found[0] == kind,
        )
    if function == "begins_with":
        prefix = draw(constants(SCALARS.filter(lambda attribute: attribute[0] in {"S", "B"})))
        return Plain(
            f"begins_with({path.text},{prefix.text})", prefix.values, lambda i: _begins(path.read(i), prefix.read(i))
        )
    part = draw(operands().filter(lambda other: other.text != path.text))
    return Plain(f"contains({path.text}, {part.text})", part.values, lambda i: _contains(path.read(i), part.read(i)))


def _begins(value: Attribute | None, prefix: Attribute | None) -> bool:
    if value is None or prefix is None or value[0] != prefix[0] or value[0] not in {"S", "B"}:
        return False
    return bool(value[1].startswith(prefix[1]))


def _contains(value: Attribute | None, part: Attribute | None) -> bool:
    if value is None or part is None:
        return False
    if value[0] == "L":
        return part in value[1]
    if value[0] in {"SS", "NS"}:
        return part[0] == value[0][0] and part[1] in value[1]
    return value[0] in {"S", "B"} and part[0] == value[0] and part[1] in value[1]


def _joined(word: str, parts: list[Plain], both: Callable[[list[bool]], bool]) -> Plain:
    values = {name: value for part in parts for name, value in part.values.items()}
    text = f" {word} ".join(f"({part.text})" for part in parts)
    return Plain(text, values, lambda item: both([part.holds(item) for part in parts]))


CONDITIONS: st.SearchStrategy[Plain] = st.recursive(
    st.one_of(comparisons(), betweens(), choices(), functions()),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _joined("AND", parts, all)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _joined("OR", parts, any)),
        inner.map(lambda part: Plain(f"NOT ({part.text})", part.values, lambda item: not part.holds(item))),
    ),
    max_leaves=4,
)
