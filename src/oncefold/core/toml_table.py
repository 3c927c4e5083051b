"""A table of a definition as it was written, with its position, which every error names."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from oncefold.core.definition import (
    NAME,
)
from oncefold.core.errors import DefinitionError, similar_names
from oncefold.core.expression import Expression, ExpressionError, Field, Node, Source, from_tree
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import NAME_CHARS

MISSING = object()
"""What stands for a setting that is not there, where null would be one."""

ParseSql = Callable[[str, Mapping[str, Node]], Node]
"""Reads an SQL expression, in which some names stand for trees. Raises ExpressionError."""

_LIKE_SQL = re.compile(r"[()*+<>=|']|^-|\s[-/]\s|(^|\s)(and|or|not|is|in|like|between|case)\s", re.IGNORECASE)
"""What a field's name has in quotes only; a text with it is an expression."""
_WITH_UNIT = re.compile(r"[^()'=<>*+|]*?(\w+) \([^()'=<>*+|,]*\)")
"""A name such as `Amount (EUR)`, which no function has."""
_BEFORE_BRACKETS = re.compile(
    "and|or|not|in|is|like|between|case|when|then|else|abs|round|cast|lower|upper|trim|substr|substring|split_part"
    "|coalesce|nullif|greatest|least|extract",
    re.IGNORECASE,
)
"""Words that stand before brackets in SQL."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class TomlTable:
    """One TOML table with its position, which its errors name."""

    def __init__(
        self,
        values: Mapping[str, Any],
        origin: str,
        position: str = "",
        joint: str = "",
        *,
        sql: ParseSql | None = None,
        derived: dict[str, Source] | None = None,
    ) -> None:
        self.values, self.origin, self.position, self.joint = values, origin, position, joint
        self.sql = sql
        self.derived: dict[str, Source] = {} if derived is None else derived
        """What the names in [fields] stand for; one for all tables of a definition."""
        self.read: set[str] = set()

    def where(self, key: str | None) -> str:
        """The position of a key as text: `[event] version.unit`."""
        return self.position if key is None else f"{self.position}{self.joint}{key}"

    def fail(self, key: str | None, wrong: str, remedy: str) -> NoReturn:
        """Raise DefinitionError with the position, what is wrong, and what to do."""
        parts = (self.origin, self.where(key), wrong)
        raise DefinitionError(f"{': '.join(filter(None, parts))}; {remedy}")

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a setting, which is known from now on."""
        self.read.add(key)
        return self.values.get(key, default)

    def table(self, key: str, remedy: str | None) -> "TomlTable":
        """A table of the document; an empty one where it may be left out, for which there is no `remedy`."""
        value = self.get(key, MISSING)
        if value is MISSING and remedy is not None:
            self.fail(None, f"the table [{key}] is missing", remedy)
        value = {} if value is MISSING else value
        if not isinstance(value, Mapping):
            self.fail(None, f"{key} is not a table", f"write [{key}] on a line of its own")
        return TomlTable(value, self.origin, f"[{key}]", " ", sql=self.sql, derived=self.derived)

    def inline(self, key: str, value: Mapping[str, Any]) -> "TomlTable":
        """A value of this table that is a table itself."""
        return TomlTable(value, self.origin, self.where(key), ".", sql=self.sql, derived=self.derived)

    def finish(self) -> None:
        """Raise DefinitionError for a setting that nobody knows."""
        for key in self.values:
            if key not in self.read:
                near = similar_names(key, self.read)
                known = ", ".join(sorted(self.read))
                remedy = f"did you mean {near[0]}?" if near else f"known here: {known}"
                self.fail(key, "no such setting", remedy)

    def name_of(self, key: str) -> str:
        """The value of a setting that is a name."""
        value = self.get(key)
        if value is None:
            self.fail(None, f"{key} is missing", f'write {key} = "my-pipeline" at the top')
        if not isinstance(value, str) or not NAME.fullmatch(value):
            self.fail(
                key,
                f"{value!r} is not a name",
                f"use a letter, then letters, digits, - or _ (up to {NAME_CHARS})",
            )
        return value

    def source(self, key: str, value: Any, name: str = "") -> Source:
        """A field, or an expression: as SQL, as a name in [fields], or as its tree; `name` is what it is called."""
        if isinstance(value, Mapping) and "tree" in value:
            return self._tree(key, value)
        if not isinstance(value, str):
            self.fail(key, f"{value!r} is not a field", 'write its name or dotted path, such as "Hierarchy.Region"')
        if value in self.derived:
            return self.derived[value]
        if self.sql is not None and _is_expression(value):
            return self.expression(key, value, name)
        try:
            return FieldPath.parse(value)
        except ValueError as error:
            self.fail(key, str(error), "write names joined by dots, and quote a name that holds one: '\"a.b\".c'")

    def expression(self, key: str, value: str, name: str = "") -> Expression:
        """An SQL expression, in which names in [fields] stand for what they mean."""
        assert self.sql is not None
        try:
            return Expression(self.sql(value, {name: node_of(source) for name, source in self.derived.items()}), name)
        except ExpressionError as error:
            remedy = f"correct {value!r} there; a field of that name is written in quotes: '\"{value}\"'"
            self.fail(key, str(error), remedy)

    def _tree(self, key: str, value: Mapping[str, Any]) -> Expression:
        table = self.inline(key, value)
        name = table.get("name", "")
        try:
            expression = Expression(from_tree(table.get("tree")), name if isinstance(name, str) else "")
        except ExpressionError as error:
            self.fail(key, str(error), "write the expression as SQL")
        table.finish()
        return expression

    def own_source(self) -> Source:
        """The field or expression of an inline table."""
        value = self.get("field", MISSING)
        if value is MISSING:
            self.fail(None, "field is missing", 'write { field = "NAME", ... }')
        return self.source("field", value)

    def choice(self, key: str, options: Collection[str], default: str | None) -> Any:
        """The value of a setting that has few."""
        value = self.get(key, default)
        if value is not default and value not in options:
            self.fail(key, f"{value!r} is not one of its values", f"use one of {', '.join(options)}")
        return value


def _is_expression(text: str) -> bool:
    """Whether a text is an expression rather than a field's name."""
    plain = _QUOTED.sub("", text)
    unit = _WITH_UNIT.fullmatch(plain)
    if unit is not None and not _BEFORE_BRACKETS.fullmatch(unit[1]):
        return False
    return _LIKE_SQL.search(plain) is not None


def node_of(source: Source) -> Node:
    """A field or expression as the tree of an expression."""
    return source.tree if isinstance(source, Expression) else Field(source)
