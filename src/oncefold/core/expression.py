"""Scalar expressions over an event's fields: a small closed tree, typed when it is built.

The meaning is that of SQL's scalar expressions: NULL is three-valued, a missing field is NULL, numbers are exact. There
is no clock and nothing that depends on a locale. Division is exact, too: its result must pass ROUND or a CAST to a
DECIMAL with a scale (both round half to even) before it leaves the expression.

A field has no type of its own: what uses it says how it is read. `qty > 0` reads a number, `status = 'paid'` a text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

from oncefold.core.decimals import parse_decimal
from oncefold.core.fieldpath import FieldPath
from oncefold.core.timestamps import format_timestamp, parse_timestamp

Kind = Literal["raw", "number", "text", "time", "boolean"]
"""What a node gives. `raw` is a field as it is, for places that read it their own way; NULL is raw, too."""

MOST_NODES = 500
MOST_DEPTH = 50
MOST_SCALE = 38
"""Decimal places of ROUND and of DECIMAL."""

ARITHMETIC = frozenset({"+", "-", "*", "/"})
COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
PARTS = ("year", "quarter", "month", "week", "day", "dow", "doy", "hour", "minute", "second", "epoch")
"""What EXTRACT knows; a week is that of ISO 8601, `dow` counts from Sunday as 0."""

_NUMBERS_TO_NUMBER = {*ARITHMETIC, "neg", "abs"}
_TEXTS_TO_TEXT = {"lower", "upper", "trim", "ltrim", "rtrim", "||"}
_SIZES = {
    **dict.fromkeys([*ARITHMETIC, *COMPARISONS, "nullif", "||", "trim", "ltrim", "rtrim", "round", "extract"], (2, 2)),
    **dict.fromkeys(["neg", "abs", "not", "is null", "is true", "lower", "upper", "to_text", "to_time"], (1, 1)),
    **dict.fromkeys(["and", "or", "in", "coalesce", "greatest", "least"], (1, MOST_NODES)),
    "case": (3, MOST_NODES),
    "like": (2, 3),
    "substr": (2, 3),
    "split_part": (3, 3),
    "to_decimal": (1, 3),
}
"""Arguments of each operation, least and most."""


class ExpressionError(ValueError):
    """No expression: the message says what is wrong and what to write."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event, and how it is read."""

    path: FieldPath
    kind: Kind = "raw"


@dataclass(frozen=True, slots=True)
class Constant:
    """A value: a number or time as its text, a text, a boolean, or NULL."""

    kind: Kind
    value: str | bool | None


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on the values of its arguments."""

    op: str
    args: tuple["Node", ...]
    kind: Kind


Node = Field | Constant | Call

NULL = Constant("raw", None)


@dataclass(frozen=True, slots=True)
class Expression:
    """An SQL scalar expression over an event's fields, as its tree; it stands where a field path stands.

    Raises:
        ExpressionError: Its result has endless decimals: a division outside ROUND and CAST.

    Example:
        >>> import oncefold
        >>> definition = '''
        ...     name = "orders"
        ...     event.key = "id"
        ...     rollups.all = []
        ...     measures.n.sum = "qty * 2"
        ... '''
        >>> measure = oncefold.parse_pipeline(definition).measures[0]
        >>> type(measure.field).__name__, str(measure.field)
        ('Expression', 'qty * 2')
    """

    tree: Node
    name: str = field(default="", compare=False)
    """What a person calls it: its name in `[fields]`, if it has one. It is not part of the meaning."""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ExpressionError for a result with endless decimals."""
        object.__setattr__(self, "_hash", hash(self.tree))  # once: decoders look expressions up for every record
        _refuse_quotient(self.tree)
        if sum(1 for _ in nodes(self.tree)) > MOST_NODES:
            raise ExpressionError(f"the expression has more than {MOST_NODES} parts; split what it computes")

    def __hash__(self) -> int:
        return self._hash

    @property
    def column(self) -> str:
        """What stands for it where fields go by names of columns."""
        return str(self)

    def __str__(self) -> str:
        return self.name or to_sql(self.tree)


Source = FieldPath | Expression
"""Where a definition finds a value in an event."""


def nodes(tree: Node) -> Iterator[Node]:
    """The node and all below it, as they are written."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Call):
            waiting.extend(reversed(node.args))


def fields_in(tree: Node) -> list[FieldPath]:
    """The fields that the tree reads, each once, in order."""
    return list(dict.fromkeys(node.path for node in nodes(tree) if isinstance(node, Field)))


def number(text: str) -> Constant:
    """A constant number. Raises ExpressionError."""
    try:
        parse_decimal(text, MOST_SCALE, 10 ** (2 * MOST_SCALE))
    except ValueError as error:
        raise ExpressionError(str(error)) from None
    return Constant("number", text)


def text(value: str) -> Constant:
    """A constant text."""
    return Constant("text", value)


def time(value: str) -> Constant:
    """A constant time, from any text that `parse_timestamp` reads. Raises ExpressionError."""
    try:
        return Constant("time", format_timestamp(parse_timestamp(value)))
    except ValueError as error:
        raise ExpressionError(str(error)) from None


def call(op: str, *args: Node) -> Node:
    """The operation on these arguments, with their types checked and fields read as it needs them.

    Raises ExpressionError for an unknown operation, a wrong number of arguments, or types that do not fit.
    """
    if op not in _SIZES:
        raise ExpressionError(f"there is no operation {op!r}")
    least, most = _SIZES[op]
    if not least <= len(args) <= most:
        raise ExpressionError(
            f"{op} takes {least if least == most else f'{least} to {most}'} arguments, not {len(args)}"
        )
    built = _typed(op, args)
    if _depth(built) > MOST_DEPTH:
        raise ExpressionError(f"the expression is nested deeper than {MOST_DEPTH} levels")
    return built


def _typed(op: str, args: tuple[Node, ...]) -> Call:  # noqa: PLR0911 - a case per kind of operation
    if op in _NUMBERS_TO_NUMBER:
        return Call(op, _all(args, "number", op), "number")
    if op in _TEXTS_TO_TEXT:
        return Call(op, _all(args, "text", op), "text")
    if op in {"and", "or", "not", "is true"}:
        return Call(op, _all(args, "boolean", op.upper()), "boolean")
    if op in COMPARISONS or op == "in":
        compared = _alike(args, op.upper())
        if compared[0].kind == "boolean" and op not in {"=", "<>", "in"}:
            raise ExpressionError(f"{op} does not compare truth values; = and <> do")
        return Call(op, compared, "boolean")
    if op == "is null":
        return Call(op, args, "boolean")
    if op in {"greatest", "least", "nullif"}:
        compared = _alike(args, op.upper())
        return Call(op, compared, compared[0].kind)
    if op == "coalesce":
        return _chosen(op, args, range(len(args)))
    if op == "case":
        return _case(args)
    return _special(op, args)


def _special(op: str, args: tuple[Node, ...]) -> Call:  # noqa: PLR0911 - a case per operation
    first = args[0]
    if op == "like":
        return Call(op, _all(args, "text", "LIKE"), "boolean")
    if op == "substr":
        return Call(op, (coerce(first, "text", "SUBSTR"), *_all(args[1:], "number", "SUBSTR")), "text")
    if op == "split_part":
        return Call(op, (*_all(args[:2], "text", "SPLIT_PART"), coerce(args[2], "number", "SPLIT_PART")), "text")
    if op == "round":
        _places(args[1], "ROUND")
        return Call(op, (coerce(first, "number", "ROUND"), args[1]), "number")
    if op == "extract":
        if not isinstance(first, Constant) or first.value not in PARTS:
            raise ExpressionError(f"EXTRACT knows {', '.join(PARTS).upper()}")
        return Call(op, (first, coerce(args[1], "time", "EXTRACT")), "number")
    if op == "to_time":
        return Call(op, (coerce(first, "time", "CAST") if first.kind == "raw" else first,), "time")
    if op == "to_decimal":
        return _to_decimal(args)
    _refuse_quotient(first)
    return Call(op, (coerce(first, "text", "CAST") if first.kind == "raw" else first,), "text")


def _to_decimal(args: tuple[Node, ...]) -> Call:
    first, *limits = args
    if first.kind == "time":
        raise ExpressionError("a time is no number; EXTRACT(EPOCH FROM ...) gives its seconds since 1970")
    if limits:
        precision, scale = _places(limits[0], "DECIMAL"), _places(limits[-1], "DECIMAL")
        if scale > precision or not precision:
            raise ExpressionError(f"DECIMAL({precision}, {scale}) holds no number: more places than digits")
    return Call("to_decimal", (coerce(first, "number", "CAST") if first.kind == "raw" else first, *limits), "number")


def _places(node: Node, what: str) -> int:
    """A constant number of digits."""
    if isinstance(node, Constant) and node.kind == "number" and str(node.value).isdigit():
        places = int(str(node.value))
        if places <= MOST_SCALE:
            return places
    raise ExpressionError(f"{what} takes a whole number from 0 to {MOST_SCALE} as digits, such as ROUND(price / 3, 2)")


def _case(args: tuple[Node, ...]) -> Call:
    """(condition, value) pairs and the value otherwise."""
    if len(args) % 2 == 0:
        raise ExpressionError("CASE needs a value for what no condition is true of; write ELSE NULL")
    branches = [index for index in range(len(args)) if index % 2 or index == len(args) - 1]
    whens = [coerce(arg, "boolean", "CASE") if index not in branches else arg for index, arg in enumerate(args)]
    return _chosen("case", tuple(whens), branches)


def _chosen(op: str, args: tuple[Node, ...], values: Iterable[int]) -> Call:
    """A call that gives one of these arguments; they are raw if all of them are."""
    indexes = list(values)
    if all(args[index].kind == "raw" for index in indexes):
        return Call(op, args, "raw")
    alike = dict(zip(indexes, _alike([args[index] for index in indexes], op.upper()), strict=True))
    return Call(op, tuple(alike.get(index, arg) for index, arg in enumerate(args)), alike[indexes[0]].kind)


def _all(args: Sequence[Node], kind: Kind, what: str) -> tuple[Node, ...]:
    return tuple(coerce(arg, kind, what) for arg in args)


def _alike(args: Sequence[Node], what: str) -> tuple[Node, ...]:
    """The arguments as one kind; a text constant among times is read as a time."""
    kinds = {arg.kind for arg in args} - {"raw"}
    if "time" in kinds and kinds == {"time", "text"}:
        kinds = {"time"}
    if not kinds:
        named = [str(node.path) for arg in args for node in nodes(arg) if isinstance(node, Field)] or ["NULL"]
        raise ExpressionError(
            f"{what} cannot know how to read {', '.join(named)}: write CAST({named[0]} AS DECIMAL), "
            "AS TEXT or AS TIMESTAMP for one of them"
        )
    if len(kinds) > 1:
        raise ExpressionError(f"{what} takes values of one kind, not {' and '.join(sorted(kinds))}: CAST one of them")
    return _all(args, kinds.pop(), what)


def coerce(node: Node, kind: Kind, what: str) -> Node:
    """The node as one that gives this kind: a field is read so. Raises ExpressionError if it gives another."""
    if node.kind == kind:
        return node
    if isinstance(node, Field) and node.kind == "raw":
        return replace(node, kind=kind)
    if isinstance(node, Constant):
        if node.value is None:
            return Constant(kind, None)
        if node.kind == "text" and kind == "time":
            return time(str(node.value))
    if isinstance(node, Call) and node.kind == "raw":
        return _pushed_down(node, kind, what)
    raise ExpressionError(f"{what} takes a {kind}, not the {node.kind} {to_sql(node)}; CAST it if that is meant")


def _pushed_down(node: Call, kind: Kind, what: str) -> Call:
    last = len(node.args) - 1
    chosen = [node.op != "case" or index % 2 == 1 or index == last for index in range(last + 1)]
    args = (coerce(arg, kind, what) if one else arg for arg, one in zip(node.args, chosen, strict=True))
    return Call(node.op, tuple(args), kind)


_LOOSE = frozenset({"+", "-", "*", "neg", "abs", "coalesce", "nullif", "case", "greatest", "least"})
"""Operations whose result has endless decimals if an argument has."""


def _refuse_quotient(node: Node) -> None:
    if _is_quotient(node):
        raise ExpressionError(f"a division says its decimal places: write ROUND({to_sql(node)}, 2)")


def _is_quotient(node: Node) -> bool:
    if not isinstance(node, Call) or node.kind != "number":
        return False
    if node.op == "/":
        return True
    if node.op == "to_decimal":
        return len(node.args) == 1 and _is_quotient(node.args[0])
    return node.op in _LOOSE and any(map(_is_quotient, node.args))


def _depth(node: Node) -> int:
    return 1 + max((_depth(arg) for arg in node.args), default=0) if isinstance(node, Call) else 1


def to_tree(node: Node) -> list[Any]:
    """The node as nested lists, the canonical form: `["*", ["field", "qty", "number"], ["number", "1.19"]]`."""
    if isinstance(node, Field):
        return ["field", str(node.path), node.kind]
    if isinstance(node, Constant):
        return ["null", node.kind] if node.value is None else [node.kind, node.value]
    return [node.op, *map(to_tree, node.args)]


def from_tree(tree: Any) -> Node:  # noqa: PLR0911 - a case per kind of node
    """The node of its canonical form, checked as `call` checks. Raises ExpressionError."""
    match tree:
        case ["field", str(path), "raw" | "number" | "text" | "time" | "boolean" as kind]:
            return Field(_path(path), kind)
        case ["null", "raw" | "number" | "text" | "time" | "boolean" as kind]:
            return Constant(kind, None)
        case ["number", str(value)]:
            return number(value)
        case ["text", str(value)]:
            return text(value)
        case ["time", str(value)]:
            return time(value)
        case ["boolean", bool(value)]:
            return Constant("boolean", value)
        case [str(op), *args]:
            return call(op, *map(from_tree, args))
    _no_tree(tree)


def _path(text: str) -> FieldPath:
    try:
        return FieldPath.parse(text)
    except ValueError as error:
        raise ExpressionError(str(error)) from None


def _no_tree(tree: Any) -> NoReturn:
    raise ExpressionError(f"{str(tree)[:60]!r} is no part of an expression")


_PLAIN = re.compile(r"@?[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_INFIX = ARITHMETIC | COMPARISONS | {"and", "or", "||"}
_NAMES = {"split_part": "SPLIT_PART", "substr": "SUBSTR", "ltrim": "LTRIM", "rtrim": "RTRIM"}


def to_sql(node: Node) -> str:
    """The node as SQL, for people."""
    if isinstance(node, Field):
        return ".".join(name if _PLAIN.fullmatch(name) else _quoted(name, '"') for name in node.path.segments)
    if isinstance(node, Constant):
        return _constant_sql(node)
    args = [to_sql(arg) for arg in node.args]
    inner = [f"({sql})" if _is_infix(arg) else sql for sql, arg in zip(args, node.args, strict=True)]
    if node.op in _INFIX:
        return f" {node.op.upper()} ".join(inner)
    if node.op == "case":
        pairs = zip(args[0:-1:2], args[1:-1:2], strict=True)
        return f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in pairs)} ELSE {args[-1]} END"
    written = {
        "neg": "-{0}",
        "not": "NOT {0}",
        "is null": "{0} IS NULL",
        "is true": "{0} IS TRUE",
        "like": "{0} LIKE {1}" + (" ESCAPE {2}" if len(args) > 2 else ""),
        "in": "{0} IN ({rest})",
        "extract": f"EXTRACT({str(getattr(node.args[0], 'value', '')).upper()} FROM {{1}})",
        "to_text": "CAST({0} AS TEXT)",
        "to_time": "CAST({0} AS TIMESTAMP)",
        "to_decimal": "CAST({0} AS DECIMAL" + (f"({', '.join(args[1:])})" if len(args) > 1 else "") + ")",
    }.get(node.op)
    if written is None:
        return f"{_NAMES.get(node.op, node.op.upper())}({', '.join(args)})"
    return written.format(*inner, rest=", ".join(args[1:]))


def _is_infix(node: Node) -> bool:
    return isinstance(node, Call) and (
        node.op in _INFIX or node.op in {"neg", "not", "is null", "is true", "like", "in"}
    )


def _constant_sql(node: Constant) -> str:
    if node.value is None:
        return "NULL"
    if isinstance(node.value, bool):
        return str(node.value).upper()
    if node.kind == "number":
        return node.value
    quoted = _quoted(node.value, "'")
    return f"TIMESTAMP {quoted}" if node.kind == "time" else quoted


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace(quote, 2 * quote) + quote
