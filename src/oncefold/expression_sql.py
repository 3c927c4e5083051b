"""Expressions as SQL text: sqlglot parses, and what it finds becomes the closed tree of `core.expression`.

It is used when a person's definition is read. Stores and the Lambda package hold the tree, so that they need no parser.
"""

from collections.abc import Callable, Mapping
from typing import Any

from oncefold.core.expression import (
    NULL,
    PARTS,
    Constant,
    ExpressionError,
    Field,
    Node,
    call,
    number,
    text,
    time,
)
from oncefold.core.fieldpath import FieldPath

_LONGEST = 10_000
"""Characters of an expression."""


def parse_sql(sql: str, derived: Mapping[str, Node] | None = None) -> Node:
    """The tree of an SQL scalar expression; a name in `derived` stands for its tree.

    Raises:
        ExpressionError: It is no such expression; the message says where and what to write.

    Example:
        >>> from oncefold.core.expression import to_sql
        >>> to_sql(parse_sql("qty*price - coalesce(discount, 0)"))
        '(qty * price) - COALESCE(discount, 0)'
    """
    import sqlglot  # noqa: PLC0415 - a fifth of a second that only a definition with expressions needs
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    if len(sql) > _LONGEST:
        raise ExpressionError(f"the expression is longer than {_LONGEST:,} characters")
    try:
        found = sqlglot.parse(sql)
        if len(found) != 1 or found[0] is None:
            raise ExpressionError("write one expression, such as qty * price")
        return _Builder(derived or {}).node(found[0])
    except SqlglotError as error:
        raise ExpressionError(_message(error, sql)) from None
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply") from None


def _message(error: Any, sql: str) -> str:
    details = getattr(error, "errors", None) or [{}]
    where = details[0].get("highlight") or details[0].get("start_context", "")[-20:]
    return f"not an SQL expression near {where!r}" if where else f"not an SQL expression: {sql[:60]!r}"


class _Builder:
    def __init__(self, derived: Mapping[str, Node]) -> None:
        self._derived = derived

    def node(self, sql: Any) -> Node:
        """The node of a parsed expression."""
        name = type(sql).__name__
        if name in _BINARY:
            return call(_BINARY[name], self.node(sql.this), self.node(sql.expression))
        if name in _UNARY:
            return call(_UNARY[name], self.node(sql.this))
        if name in _LISTS:
            return call(_LISTS[name], self.node(sql.this), *map(self.node, sql.expressions))
        build = _BUILDERS.get(name)
        if build is None:
            raise ExpressionError(
                f"{sql.sql()[:60]} is not known here; the operations are listed in docs/DEFINITION.md"
            )
        return build(self, sql)

    def column(self, sql: Any) -> Node:
        """A field by its dotted path, or what a derived name stands for."""
        names = tuple(_names(sql))
        if len(names) == 1 and names[0] in self._derived:
            return self._derived[names[0]]
        return Field(FieldPath(names))

    def literal(self, sql: Any) -> Node:
        """A text or a number."""
        return text(sql.this) if sql.is_string else number(sql.this)

    def negated(self, sql: Any) -> Node:
        """A minus; one before a number belongs to it."""
        inner = self.node(sql.this)
        if isinstance(inner, Constant) and inner.kind == "number":
            return number(f"-{inner.value}" if not str(inner.value).startswith("-") else str(inner.value)[1:])
        return call("neg", inner)

    def perhaps_not(self, sql: Any, found: Node) -> Node:
        """The same, or its opposite where the SQL says NOT LIKE and the like."""
        return call("not", found) if sql.args.get("negate") else found

    def like(self, sql: Any, *escape: Node) -> Node:
        """LIKE, perhaps with its escape character."""
        return self.perhaps_not(sql, call("like", self.node(sql.this), self.node(sql.expression), *escape))

    def escaped(self, sql: Any) -> Node:
        """LIKE ... ESCAPE."""
        inner = sql.this
        if type(inner).__name__ == "Not":
            return call("not", self.like(inner.this, self.node(sql.expression)))
        if type(inner).__name__ != "Like" or len(sql.expression.this) != 1:
            raise ExpressionError("ESCAPE takes one character, after LIKE")
        return self.like(inner, self.node(sql.expression))

    def within(self, sql: Any) -> Node:
        """IN with a list of values."""
        if not sql.expressions:
            raise ExpressionError("IN takes a list of values: status IN ('paid', 'refunded')")
        return self.perhaps_not(sql, call("in", self.node(sql.this), *map(self.node, sql.expressions)))

    def between(self, sql: Any) -> Node:
        """BETWEEN, both bounds included."""
        this, low, high = self.node(sql.this), self.node(sql.args["low"]), self.node(sql.args["high"])
        return self.perhaps_not(sql, call("and", call(">=", this, low), call("<=", this, high)))

    def identity(self, sql: Any) -> Node:
        """IS [NOT] NULL, TRUE or FALSE."""
        this, other = self.node(sql.this), self.node(sql.expression)
        if other == NULL:
            return call("is null", this)
        if not isinstance(other, Constant) or other.kind != "boolean":
            raise ExpressionError("IS takes NULL, TRUE or FALSE")
        return call("is true", this if other.value else call("not", this))

    def case(self, sql: Any) -> Node:
        """CASE in both its forms."""
        subject = None if sql.this is None else self.node(sql.this)
        args: list[Node] = []
        for branch in sql.args["ifs"]:
            when = self.node(branch.this)
            args += [when if subject is None else call("=", subject, when), self.node(branch.args["true"])]
        otherwise = sql.args.get("default")
        return call("case", *args, NULL if otherwise is None else self.node(otherwise))

    def cast(self, sql: Any) -> Node:
        """CAST to a number, a text or a time; `TIMESTAMP '...'` is a constant."""
        this, to = self.node(sql.this), sql.args["to"]
        kind = to.this.value if hasattr(to.this, "value") else str(to.this)
        if kind in _TEXTS:
            return call("to_text", this)
        if kind in _TIMES:
            is_text = isinstance(this, Constant) and this.kind == "text"
            return time(str(this.value)) if isinstance(this, Constant) and is_text else call("to_time", this)
        if kind in _WHOLE:
            return call("to_decimal", this, number("38"), number("0"))
        if kind not in {"DECIMAL", "DECFLOAT"}:
            raise ExpressionError(f"CAST knows DECIMAL, TEXT and TIMESTAMP, not {to.sql()}")
        return call("to_decimal", this, *(self.node(limit.this) for limit in to.expressions))

    def trim(self, sql: Any) -> Node:
        """TRIM of blanks, or of the characters named."""
        op = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(sql.args.get("position") or "").upper(), "trim")
        return call(op, self.node(sql.this), text(" ") if sql.expression is None else self.node(sql.expression))

    def rounded(self, sql: Any) -> Node:
        """ROUND to decimal places, none without."""
        places = sql.args.get("decimals")
        return call("round", self.node(sql.this), number("0") if places is None else self.node(places))

    def substring(self, sql: Any) -> Node:
        """SUBSTR in both its forms."""
        limits = (sql.args.get("start") or None, sql.args.get("length") or None)
        return call("substr", self.node(sql.this), *(self.node(limit) for limit in limits if limit is not None))

    def split(self, sql: Any) -> Node:
        """SPLIT_PART."""
        return call("split_part", *(self.node(sql.args[name]) for name in ("this", "delimiter", "part_index")))

    def extract(self, sql: Any) -> Node:
        """EXTRACT of a part of a time, in UTC."""
        part = {"dayofweek": "dow", "dayofyear": "doy"}.get(str(sql.this).lower(), str(sql.this).lower())
        if part not in PARTS:
            raise ExpressionError(f"EXTRACT knows {', '.join(PARTS).upper()}, not {sql.this}")
        return call("extract", text(part), self.node(sql.expression))


_BINARY = {
    "Add": "+",
    "Sub": "-",
    "Mul": "*",
    "Div": "/",
    "EQ": "=",
    "NEQ": "<>",
    "LT": "<",
    "LTE": "<=",
    "GT": ">",
    "GTE": ">=",
    "And": "and",
    "Or": "or",
    "DPipe": "||",
    "Nullif": "nullif",
}
_UNARY = {"Not": "not", "Lower": "lower", "Upper": "upper", "Abs": "abs"}
_LISTS = {"Coalesce": "coalesce", "Greatest": "greatest", "Least": "least"}
_TEXTS = {"TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR"}
_TIMES = {"TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ", "TIMESTAMPLTZ", "DATETIME", "DATE"}
_WHOLE = {"INT", "BIGINT", "SMALLINT", "TINYINT", "INT128"}

_BUILDERS: dict[str, Callable[[_Builder, Any], Node]] = {
    "Paren": lambda builder, sql: builder.node(sql.this),
    "Column": _Builder.column,
    "Dot": _Builder.column,
    "Identifier": _Builder.column,
    "Parameter": _Builder.column,
    "Literal": _Builder.literal,
    "Null": lambda _, __: NULL,
    "Boolean": lambda _, sql: Constant("boolean", bool(sql.this)),
    "Neg": _Builder.negated,
    "Like": _Builder.like,
    "Escape": _Builder.escaped,
    "In": _Builder.within,
    "Between": _Builder.between,
    "Is": _Builder.identity,
    "Case": _Builder.case,
    "Cast": _Builder.cast,
    "Trim": _Builder.trim,
    "Round": _Builder.rounded,
    "Substring": _Builder.substring,
    "SplitPart": _Builder.split,
    "Extract": _Builder.extract,
}


def _names(sql: Any) -> list[str]:
    """The segments of a dotted name; `@op` keeps its sign."""
    kind = type(sql).__name__
    if kind == "Identifier":
        return [sql.this]
    if kind == "Column":
        parts = [sql.args.get(part) for part in ("catalog", "db", "table", "this")]
        return [name for part in parts if part is not None for name in _names(part)]
    if kind == "Dot":
        return [*_names(sql.this), *_names(sql.expression)]
    if kind == "Parameter":
        first, *others = _names(sql.this)
        return [f"@{first}", *others]
    if kind == "Var":
        return [sql.name]
    raise ExpressionError(f"{sql.sql()[:60]} is no field; write its dotted path")
