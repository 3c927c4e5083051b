"""The settings of [rollups] and [measures], each read from its table."""

from collections.abc import Container, Mapping
from typing import Any, get_args

from oncefold.core.definition import (
    NAME,
    RESERVED_NAMES,
    Level,
    Rollup,
)
from oncefold.core.errors import similar_names
from oncefold.core.event_settings import UNITS, format_setting, is_settings, timezone_setting
from oncefold.core.expression import Expression, Source, call, coerce
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import LABEL_BYTES, MEASURE_DIGITS, NAME_CHARS
from oncefold.core.measures import NULLABLE, UNSCALED, Measure, MeasureKind
from oncefold.core.toml_table import TomlTable
from oncefold.core.windows import WEEKDAYS, Window


def rollup_setting(rollups: TomlTable, name: str, zone: str | None) -> Rollup:
    """A tree of totals: its levels, root first. Raises DefinitionError, as all here do."""
    _check_name(rollups, name, frozenset({"count"}))
    levels = rollups.get(name)
    if not isinstance(levels, list):
        rollups.fail(name, f"{levels!r} is not a list of levels", f'write {name} = ["FIELD", "FIELD"], root first')
    rollup = Rollup(name, tuple(_level(rollups, name, level, zone) for level in levels))
    if len(set(rollup.levels)) != len(rollup.levels):
        rollups.fail(name, "a level occurs twice", "name each level once")
    return rollup


def _level(rollups: TomlTable, name: str, value: Any, zone: str | None) -> Level:
    table = rollups.inline(name, value if is_settings(value) else {"field": value})
    array = _own_field(table, "each", 'write the field of an array, such as each = "tags"')
    inside = None
    if array is not None:
        inside = _own_field(table, "field", 'write a field of each element, such as field = "sku"')
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


def _own_field(table: TomlTable, key: str, remedy: str) -> FieldPath | None:
    """The field that a setting names, which may be no expression; None where it is not said."""
    if table.get(key) is None:
        return None
    found = table.source(key, table.get(key))
    if isinstance(found, Expression):
        table.fail(key, f"{found} is an expression", remedy)
    return found


def _window_level(table: TomlTable, field: Source, missing: str | None, zone: str | None) -> Level:
    unit, pattern = table.choice("unit", UNITS, "s"), format_setting(table)
    of_window, of_field = timezone_setting(table, "timezone", zone), timezone_setting(table, "field_timezone", zone)
    week_starts = table.choice("week_starts", WEEKDAYS, None)
    table.finish()
    try:
        window = Window.parse(str(table.get("window")), of_window, week_starts or "monday")
    except ValueError as error:
        table.fail("window", str(error), 'for example window = "1h"')
    if week_starts is not None and window.unit != "w":
        table.fail("week_starts", "only a window of weeks has it", 'drop it, or write window = "1w"')
    return Level(field, window, unit, missing, of_field, pattern)


def measure_setting(measures: TomlTable, name: str) -> Measure:
    """A measure: its kind, what it is of, its scale."""
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


def _measure_kind(table: TomlTable, name: str) -> MeasureKind:
    found = [kind for kind in _MEASURE_KINDS if kind in table.values]
    if not found:
        others = ", ".join(_MEASURE_KINDS[1:])
        unknown = [key for key in table.values if key not in {"scale", "round", "missing"}]
        near = similar_names(unknown[0], _MEASURE_KINDS) if unknown else []
        if near:
            table.fail(unknown[0], "no such setting", f"did you mean {near[0]}?")
        table.fail(
            None, "sum is missing", f'write {name} = {{ sum = "FIELD", scale = 2 }}, or in place of sum one of {others}'
        )
    if len(found) > 1:
        table.fail(found[1], f"it is a {found[0]} already", "make a measure of each, with a name of its own")
    return found[0]


def _measured(table: TomlTable, kind: MeasureKind) -> Source:
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


def _check_name(table: TomlTable, name: str, taken: Container[str]) -> None:
    if not NAME.fullmatch(name):
        table.fail(name, "not a name", f"use a letter, then letters, digits, - or _ (up to {NAME_CHARS})")
    if name.lower() in taken:
        table.fail(name, "this name is taken by a column of the results", "choose another")


def check_distinct(table: TomlTable) -> None:
    """Columns of SQL results are named after them, and SQL knows no upper and lower case."""
    seen: dict[str, str] = {}
    for name in table.values:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            table.fail(name, f"differs from {other} only in upper and lower case", "choose another name")
