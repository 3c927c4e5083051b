"""The definition as a TOML text: read with errors that name the position and the remedy, and written back.

The text that `to_toml` writes is the canonical form that a store keeps.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn, get_args

from oncefold.core.definition import (
    NAME,
    PART_BITS,
    PART_TYPES,
    RESERVED_NAMES,
    Delete,
    Envelope,
    FirstOf,
    Level,
    Pipeline,
    Rollup,
    Time,
    Version,
    VersionType,
    share_bits,
)
from oncefold.core.errors import DefinitionError
from oncefold.core.expression import Expression, ExpressionError, Field, Node, Source, call, coerce, from_tree, to_tree
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import DECIMAL_VERSION_DIGITS, LABEL_BYTES, MEASURE_DIGITS, NAME_CHARS
from oncefold.core.measures import NULLABLE, UNSCALED, Measure, MeasureKind
from oncefold.core.time_format import TimeFormat
from oncefold.core.timestamps import UNIT_PLACES
from oncefold.core.windows import WEEKDAYS, Window
from oncefold.core.zones import zone_of

_MISSING = object()


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


def parse_toml(text: str, origin: str = "pipeline", sql: ParseSql | None = None) -> Pipeline:
    """Read a definition; `origin` names the text in errors, and `sql` reads expressions.

    Without it a text is always a field, as in the canonical form, which holds expressions as trees.
    Raises DefinitionError.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise DefinitionError(f"{origin}: not valid TOML: nested too deeply; no setting needs it") from None
    except ValueError as error:
        raise DefinitionError(f"{origin}: not valid TOML: {error}; correct the text there") from None
    return from_dict(document, origin, sql)


def from_dict(document: Mapping[str, Any], origin: str = "pipeline", sql: ParseSql | None = None) -> Pipeline:
    """The same from parsed tables. Raises DefinitionError."""
    top = _TomlTable(document, origin, sql=sql)
    derived = top.table("fields", None)
    for name in derived.values:
        top.derived[name] = derived.source(name, derived.get(name), name)
    event = top.table("event", 'write a table [event] with at least key = "FIELD"')
    rollups = top.table("rollups", 'write a table [rollups] with at least one tree, such as by_region = ["Region"]')
    measures = top.table("measures", None)
    for table in (rollups, measures):
        _check_distinct(table)
    if not rollups.values:
        rollups.fail(None, "no rollup is defined", 'add one, such as by_region = ["Region"]')
    envelope = event.choice("envelope", get_args(Envelope), None)
    zone = _timezone(event, "timezone", None)
    decimal, group = _separators(event)
    pipeline = Pipeline(
        name=top.name_of("name"),
        key=_key(event),
        version=_version(event, envelope, zone),
        time=_time(event, zone),
        delete=_delete(event),
        where=_where(event),
        envelope=envelope,
        missing_texts=_missing_texts(event),
        decimal=decimal,
        group=group,
        rollups=tuple(_rollup(rollups, name, zone) for name in rollups.values),
        measures=tuple(_measure(measures, name) for name in measures.values),
        keep_events=_keep_events(top),
    )
    for table in (top, event):
        table.finish()
    return pipeline


class _TomlTable:
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
        parts = (self.origin, self.where(key), wrong)
        raise DefinitionError(f"{': '.join(filter(None, parts))}; {remedy}")

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return self.values.get(key, default)

    def table(self, key: str, remedy: str | None) -> "_TomlTable":
        value = self.get(key, _MISSING)
        if value is _MISSING and remedy is not None:
            self.fail(None, f"the table [{key}] is missing", remedy)
        value = {} if value is _MISSING else value
        if not isinstance(value, Mapping):
            self.fail(None, f"{key} is not a table", f"write [{key}] on a line of its own")
        return _TomlTable(value, self.origin, f"[{key}]", " ", sql=self.sql, derived=self.derived)

    def inline(self, key: str, value: Mapping[str, Any]) -> "_TomlTable":
        return _TomlTable(value, self.origin, self.where(key), ".", sql=self.sql, derived=self.derived)

    def finish(self) -> None:
        for key in self.values:
            if key not in self.read:
                near = difflib.get_close_matches(key, self.read, 1)
                known = ", ".join(sorted(self.read))
                remedy = f"did you mean {near[0]}?" if near else f"known here: {known}"
                self.fail(key, "no such setting", remedy)

    def name_of(self, key: str) -> str:
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
            return Expression(self.sql(value, {name: _node(source) for name, source in self.derived.items()}), name)
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
        value = self.get("field", _MISSING)
        if value is _MISSING:
            self.fail(None, "field is missing", 'write { field = "NAME", ... }')
        return self.source("field", value)

    def choice(self, key: str, options: Collection[str], default: str | None) -> Any:
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


def _node(source: Source) -> Node:
    return source.tree if isinstance(source, Expression) else Field(source)


def _key(event: _TomlTable) -> tuple[Source | FirstOf, ...]:
    value = event.get("key", _MISSING)
    if value is _MISSING:
        event.fail(None, "key is missing", 'write key = "FIELD", or key = ["FIELD", "FIELD"] for several')
    parts = value if isinstance(value, list) else [value]
    if not parts:
        event.fail("key", "the list is empty", "name at least one field")
    return tuple(_key_part(event, part) for part in parts)


def _key_part(event: _TomlTable, value: Any) -> Source | FirstOf:
    if not isinstance(value, Mapping) or "first_of" not in value:
        return event.source("key", value)
    table = event.inline("key", value)
    fields = table.get("first_of")
    if not isinstance(fields, list) or not fields:
        table.fail("first_of", "a list of fields is missing", 'write { first_of = ["FIELD", "FIELD"] }')
    table.finish()
    return FirstOf(tuple(table.source("first_of", field) for field in fields))


def _separators(event: _TomlTable) -> tuple[str, str | None]:
    decimal, group = event.get("decimal", "."), event.get("group")
    for key, value in (("decimal", decimal), ("group", group)):
        if value is None and key == "group":
            continue
        if not isinstance(value, str) or len(value) != 1 or value in "0123456789+-eE":
            event.fail(
                key, f"{value!r} is not what stands between digits", 'write one character, such as decimal = ","'
            )
    if decimal == group:
        event.fail("group", f"{group!r} stands before the decimal places already", 'write another, such as group = "."')
    return decimal, group


def _missing_texts(event: _TomlTable) -> tuple[str, ...]:
    texts = event.get("missing_texts", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        event.fail("missing_texts", f"{texts!r} is not a list of texts", 'write, for example, missing_texts = ["NULL"]')
    return tuple(dict.fromkeys(texts))


def _timezone(table: _TomlTable, key: str, default: str | None) -> str | None:
    """The zone that a setting names; None for UTC."""
    name = table.get(key, default)
    if name is None:
        return None
    try:
        zone_of(name if isinstance(name, str) else "")
    except ValueError:
        table.fail(key, f"{name!r} is not a time zone", 'write a name of the IANA database, such as "Europe/Berlin"')
    return None if name in _UTC_NAMES else str(name)


def _format(table: _TomlTable) -> TimeFormat | None:
    text = table.get("format")
    if text is None:
        return None
    try:
        return TimeFormat.parse(text if isinstance(text, str) else "")
    except ValueError as error:
        table.fail("format", str(error), 'write, for example, format = "%d.%m.%Y %H:%M"')


_UTC_NAMES = frozenset({"UTC", "Etc/UTC"})
_UNITS = tuple(UNIT_PLACES)


def _keep_events(top: _TomlTable) -> bool | None:
    value = top.get("keep_events")
    if value is not None and not isinstance(value, bool):
        top.fail("keep_events", f"{value!r} is neither true nor false", "write keep_events = true, or drop it")
    return None if value is None else bool(value)


def _field_or_table(event: _TomlTable, key: str) -> _TomlTable | None:
    value = event.get(key)
    if value is None:
        return None
    return event.inline(key, value if _is_settings(value) else {"field": value})


def _is_settings(value: Any) -> bool:
    """Whether a value is a table of settings rather than a field or an expression's tree."""
    return isinstance(value, Mapping) and "tree" not in value


def _version(event: _TomlTable, envelope: Envelope | None, zone: str | None) -> Version | None:
    value = event.get("version")
    if value is None and envelope == "debezium":
        remedy = 'write version = "@source.lsn" (PostgreSQL), or what orders the changes of your database'
        event.fail(None, "version is missing, and a Debezium event needs one", remedy)
    if value is None:
        return Version(FieldPath(("@version",)), "decimal") if envelope == "dynamodb" else None
    if not isinstance(value, list):
        return _one_version(_version_table(event, value), zone, get_args(VersionType), in_list=False)
    if not value:
        event.fail("version", "the list is empty", "name at least one field")
    one = len(value) == 1
    types = get_args(VersionType) if one else PART_TYPES
    parts = [_one_version(_version_table(event, part), zone, types, in_list=not one) for part in value]
    version = replace(parts[0], then=tuple(parts[1:]))
    try:
        if version.then:
            share_bits(version)
    except ValueError as error:
        event.fail("version", str(error), 'give some fewer, such as { field = "seq", bits = 32 }')
    return version


def _version_table(event: _TomlTable, value: Any) -> _TomlTable:
    return event.inline("version", value if _is_settings(value) else {"field": value})


def _one_version(table: _TomlTable, zone: str | None, types: Collection[str], *, in_list: bool) -> Version:
    field, kind = table.own_source(), table.choice("type", types, "integer")
    unit, scale, bits = table.choice("unit", _UNITS, "s"), table.get("scale", 0), None
    if kind == "timestamp":
        zone, pattern = _timezone(table, "timezone", zone), _format(table)
    else:
        zone, pattern = None, None
        for key in ("unit", "timezone", "format"):
            if key in table.values:
                table.fail(key, f"{_A[kind]} version has no {key}", 'drop it, or write type = "timestamp"')
    if kind != "decimal" and "scale" in table.values:
        table.fail("scale", f"{_A[kind]} version has no scale", 'drop it, or write type = "decimal"')
    if type(scale) is not int or not 0 <= scale <= DECIMAL_VERSION_DIGITS:
        table.fail("scale", f"{scale!r} is not a number of decimal places", "write a whole number, such as scale = 10")
    if in_list:
        bits = table.get("bits")
        if bits is not None and (type(bits) is not int or not 1 <= bits <= _MOST_BITS):
            table.fail("bits", f"{bits!r} is not a number of bits", f"write a whole number from 1 to {_MOST_BITS}")
        if bits is not None and kind in PART_BITS and bits != PART_BITS[kind]:
            table.fail("bits", f"{_A[kind]} version always has {PART_BITS[kind]}", "drop it")
    table.finish()
    return Version(field, kind, unit, scale, zone, pattern, bits)


_MOST_BITS = 127
_A = {
    kind: f"an {kind}" if kind[0] in "aeio" or kind.startswith("lsn") else f"a {kind}" for kind in get_args(VersionType)
}


def _time(event: _TomlTable, zone: str | None) -> Time | None:
    table = _field_or_table(event, "time")
    if table is None:
        return None
    unit = table.choice("unit", _UNITS, "s")
    time = Time(table.own_source(), unit, _timezone(table, "timezone", zone), _format(table))
    table.finish()
    return time


def _delete(event: _TomlTable) -> Delete | None:
    table = _field_or_table(event, "delete")
    if table is None:
        return None
    equals = table.get("equals")
    if isinstance(equals, bool):
        equals = str(equals).lower()
    elif isinstance(equals, int):
        equals = str(equals)
    if equals is not None and not isinstance(equals, str):
        table.fail("equals", f"{equals!r} is not a text or a whole number", 'write, for example, equals = "delete"')
    delete = Delete(table.own_source(), equals)
    table.finish()
    return delete


def _where(event: _TomlTable) -> Expression | None:
    value = event.get("where")
    if value is None:
        return None
    is_sql = isinstance(value, str) and event.sql is not None and value not in event.derived
    source = event.expression("where", value) if is_sql else event.source("where", value)
    name = source.name if isinstance(source, Expression) else ""
    try:
        return Expression(coerce(_node(source), "boolean", "where"), name)
    except ExpressionError as error:
        event.fail("where", str(error), "write a condition, such as where = \"status = 'paid'\"")


def _rollup(rollups: _TomlTable, name: str, zone: str | None) -> Rollup:
    _check_name(rollups, name, frozenset({"count"}))
    levels = rollups.get(name)
    if not isinstance(levels, list):
        rollups.fail(name, f"{levels!r} is not a list of levels", f'write {name} = ["FIELD", "FIELD"], root first')
    rollup = Rollup(name, tuple(_level(rollups, name, level, zone) for level in levels))
    if len(set(rollup.levels)) != len(rollup.levels):
        rollups.fail(name, "a level occurs twice", "name each level once")
    return rollup


def _level(rollups: _TomlTable, name: str, value: Any, zone: str | None) -> Level:
    table = rollups.inline(name, value if _is_settings(value) else {"field": value})
    array = _array(table)
    inside = _inside(table) if array is not None else None
    field = table.own_source() if array is None else array
    missing = table.get("missing")
    if missing is not None and not isinstance(missing, str):
        table.fail("missing", f"{missing!r} is not a label", 'write, for example, missing = "(none)"')
    if missing is not None and len(missing.encode()) > LABEL_BYTES:
        table.fail("missing", f"the label is longer than {LABEL_BYTES} bytes", 'write, for example, missing = "(none)"')
    if table.get("window") is not None:
        if array is not None:
            table.fail("window", "for each element of an array there is a label, not a window", "drop it")
        return _window_level(table, field, missing, zone)
    for key in ("unit", "timezone", "week_starts", "format", "field_timezone"):
        if table.get(key) is not None:
            table.fail(key, f"only a time window has a {key}", 'drop it, or write window = "1h"')
    table.finish()
    return Level(field, missing=missing, each=array is not None, inside=inside)


def _array(table: _TomlTable) -> FieldPath | None:
    """The array whose elements fill a level; None for a level of one label."""
    if table.get("each") is None:
        return None
    found = table.source("each", table.get("each"))
    if isinstance(found, Expression):
        table.fail("each", f"{found} is an expression", 'write the field of an array, such as each = "tags"')
    return found


def _inside(table: _TomlTable) -> FieldPath | None:
    """Where the label is in each element of an array."""
    if table.get("field") is None:
        return None
    found = table.source("field", table.get("field"))
    if isinstance(found, Expression):
        table.fail("field", f"{found} is an expression", 'write a field of each element, such as field = "sku"')
    return found


def _window_level(table: _TomlTable, field: Source, missing: str | None, zone: str | None) -> Level:
    unit, pattern = table.choice("unit", _UNITS, "s"), _format(table)
    of_window, of_field = _timezone(table, "timezone", zone), _timezone(table, "field_timezone", zone)
    week_starts = table.choice("week_starts", WEEKDAYS, None)
    table.finish()
    try:
        window = Window.parse(str(table.get("window")), of_window, week_starts or "monday")
    except ValueError as error:
        table.fail("window", str(error), 'for example window = "1h"')
    if week_starts is not None and window.unit != "w":
        table.fail("week_starts", "only a window of weeks has it", 'drop it, or write window = "1w"')
    return Level(field, window, unit, missing, of_field, pattern)


def _measure(measures: _TomlTable, name: str) -> Measure:
    _check_name(measures, name, RESERVED_NAMES)
    value = measures.get(name)
    if not isinstance(value, Mapping):
        measures.fail(name, f"{value!r} is not a measure", f'write {name} = {{ sum = "FIELD", scale = 2 }}')
    table = measures.inline(name, value)
    kind = _measure_kind(table, name)
    source = _measured(table, kind)
    if kind in UNSCALED:
        for key in ("scale", "round"):
            if key in value:
                table.fail(key, f"a {kind} is a whole number and has no {key}", "drop it")
    if kind != "sum" and "missing" in value:
        remedy = f'drop it, or write {kind} = "COALESCE(FIELD, 0)" for a zero'
        table.fail("missing", f"only a sum has it; what is missing takes no part in {kind}", remedy)
    scale = table.get("scale", 0)
    if not isinstance(scale, int) or isinstance(scale, bool) or not 0 <= scale <= MEASURE_DIGITS:
        remedy = f"write a whole number from 0 to {MEASURE_DIGITS}, such as scale = 2"
        table.fail("scale", f"{scale!r} is not a number of decimal places", remedy)
    measure = Measure(
        name,
        source,
        scale,
        table.choice("round", ("half-even",), None),
        table.choice("missing", ("reject", "zero"), "reject"),
        kind,
    )
    table.finish()
    return measure


_MEASURE_KINDS: tuple[MeasureKind, ...] = get_args(MeasureKind)


def _measure_kind(table: _TomlTable, name: str) -> MeasureKind:
    found = [kind for kind in _MEASURE_KINDS if kind in table.values]
    if not found:
        others = ", ".join(_MEASURE_KINDS[1:])
        unknown = [key for key in table.values if key not in {"scale", "round", "missing"}]
        near = difflib.get_close_matches(unknown[0], _MEASURE_KINDS, 1) if unknown else []
        if near:
            table.fail(unknown[0], "no such setting", f"did you mean {near[0]}?")
        table.fail(
            None, "sum is missing", f'write {name} = {{ sum = "FIELD", scale = 2 }}, or in place of sum one of {others}'
        )
    if len(found) > 1:
        table.fail(found[1], f"it is a {found[0]} already", "make a measure of each, with a name of its own")
    return found[0]


def _measured(table: _TomlTable, kind: MeasureKind) -> Source:
    """What a measure is of: a field, or an expression that gives what the measure takes."""
    source = table.source(kind, table.get(kind))
    if not isinstance(source, Expression):
        return source
    if kind == "distinct" and source.tree.kind != "text":
        tree = source.tree
        as_text = coerce(tree, "text", kind) if tree.kind == "raw" else call("to_text", tree)
        return Expression(as_text, source.name)
    if kind in NULLABLE and source.tree.kind in {"boolean", "time"}:
        remedy = "write an expression that gives a number"
        table.fail(kind, f"{kind} is of numbers, and {source} gives a {source.tree.kind}", remedy)
    return source


def _check_name(table: _TomlTable, name: str, taken: Container[str]) -> None:
    if not NAME.fullmatch(name):
        table.fail(name, "not a name", f"use a letter, then letters, digits, - or _ (up to {NAME_CHARS})")
    if name.lower() in taken:
        table.fail(name, "this name is taken by a column of the results", "choose another")


def _check_distinct(table: _TomlTable) -> None:
    """Columns of SQL results are named after them, and SQL knows no upper and lower case."""
    seen: dict[str, str] = {}
    for name in table.values:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            table.fail(name, f"differs from {other} only in upper and lower case", "choose another name")


def to_toml(pipeline: Pipeline) -> str:
    """The canonical text of a definition; `parse_toml` gives the equal pipeline back."""
    return "\n".join(_lines(pipeline)) + "\n"


def _lines(pipeline: Pipeline) -> Iterator[str]:
    yield f"name = {_value(pipeline.name)}"
    if pipeline.keep_events is not None:
        yield f"keep_events = {_value(pipeline.keep_events)}"
    yield from ("", "[event]")
    for name, text in (("envelope", pipeline.envelope), ("group", pipeline.group)):
        if text is not None:
            yield f"{name} = {_value(text)}"
    if pipeline.decimal != ".":
        yield f"decimal = {_value(pipeline.decimal)}"
    if pipeline.missing_texts:
        yield f"missing_texts = {_value(list(pipeline.missing_texts))}"
    keys = [_key_value(part) for part in pipeline.key]
    yield f"key = {_value(keys[0] if len(keys) == 1 else keys)}"
    if pipeline.version is not None:
        parts = [_item_value(part) for part in pipeline.version.parts]
        yield f"version = {_value(parts if len(parts) > 1 else parts[0])}"
    for name, item in (("time", pipeline.time), ("delete", pipeline.delete)):
        if item is not None:
            yield f"{name} = {_value(_item_value(item))}"
    if pipeline.where is not None:
        yield f"where = {_value(_source_value(pipeline.where))}"
    yield from ("", "[rollups]")
    for rollup in pipeline.rollups:
        yield f"{rollup.name} = {_value([_level_value(level) for level in rollup.levels])}"
    yield from ("", "[measures]")
    for measure in pipeline.measures:
        value = {
            measure.kind: _source_value(measure.field),
            "scale": None if measure.kind in UNSCALED else measure.scale,
            "round": measure.round,
            "missing": measure.missing if measure.kind == "sum" else None,
        }
        yield f"{measure.name} = {_value(value)}"


def _source_value(source: Source) -> str | dict[str, Any]:
    if isinstance(source, Expression):
        return {"tree": to_tree(source.tree), "name": source.name or None}
    return str(source)


def _key_value(part: Source | FirstOf) -> str | dict[str, Any]:
    return {"first_of": list(map(_source_value, part.fields))} if isinstance(part, FirstOf) else _source_value(part)


def _item_value(item: Version | Time | Delete) -> str | dict[str, Any]:
    """In the short form where that has the same meaning."""
    settings: dict[str, Any] = {"field": _source_value(item.field)}
    if isinstance(item, Version):
        settings["type"] = None if item.type == "integer" else item.type
        settings["scale"] = item.scale or None
        settings["bits"] = item.bits
    if isinstance(item, Delete):
        settings["equals"] = item.equals
    else:
        settings["unit"] = None if item.unit == "s" else item.unit
        settings["timezone"] = item.timezone
        settings["format"] = None if item.format is None else item.format.text
    return settings if any(value is not None for value in list(settings.values())[1:]) else _source_value(item.field)


def _level_value(level: Level) -> str | dict[str, Any]:
    field = _source_value(level.field)
    if level.each:
        inside = None if level.inside is None else _source_value(level.inside)
        return {"each": field, "field": inside, "missing": level.missing}
    if level.window is None and level.missing is None:
        return field
    if level.window is None:
        return {"field": field, "missing": level.missing}
    return {
        "field": field,
        "window": str(level.window),
        "timezone": level.window.timezone,
        "week_starts": None if level.window.week_starts == "monday" else level.window.week_starts,
        "unit": None if level.unit == "s" else level.unit,
        "field_timezone": level.timezone,
        "format": None if level.format is None else level.format.text,
        "missing": level.missing,
    }


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items() if item is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
