"""The settings of [event], each read from its table: key, version, time, delete, where, and how texts are spelled."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, get_args

from oncefold.core.definition import (
    PART_BITS,
    PART_TYPES,
    Delete,
    Envelope,
    FirstOf,
    Time,
    Version,
    VersionType,
    share_bits,
)
from oncefold.core.expression import Expression, ExpressionError, Source, coerce
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import DECIMAL_VERSION_DIGITS
from oncefold.core.time_format import TimeFormat
from oncefold.core.timestamps import UNIT_PLACES
from oncefold.core.toml_table import MISSING, TomlTable, node_of
from oncefold.core.zones import zone_of


def key_setting(event: TomlTable) -> tuple[Source | FirstOf, ...]:
    """The fields of the key, each perhaps the first of several. Raises DefinitionError, as all here do."""
    value = event.get("key", MISSING)
    if value is MISSING:
        event.fail(None, "key is missing", 'write key = "FIELD", or key = ["FIELD", "FIELD"] for several')
    parts = value if isinstance(value, list) else [value]
    if not parts:
        event.fail("key", "the list is empty", "name at least one field")
    return tuple(_key_part(event, part) for part in parts)


def _key_part(event: TomlTable, value: Any) -> Source | FirstOf:
    if not isinstance(value, Mapping) or "first_of" not in value:
        return event.source("key", value)
    table = event.inline("key", value)
    fields = table.get("first_of")
    if not isinstance(fields, list) or not fields:
        table.fail("first_of", "a list of fields is missing", 'write { first_of = ["FIELD", "FIELD"] }')
    table.finish()
    return FirstOf(tuple(table.source("first_of", field) for field in fields))


def separators_setting(event: TomlTable) -> tuple[str, str | None]:
    """What stands before the decimal places, and between groups of digits."""
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


def missing_texts_setting(event: TomlTable) -> tuple[str, ...]:
    """The texts that mean that nothing is there."""
    texts = event.get("missing_texts", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        event.fail("missing_texts", f"{texts!r} is not a list of texts", 'write, for example, missing_texts = ["NULL"]')
    return tuple(dict.fromkeys(texts))


def timezone_setting(table: TomlTable, key: str, default: str | None) -> str | None:
    """The zone that a setting names; None for UTC."""
    name = table.get(key, default)
    if name is None:
        return None
    try:
        zone_of(name if isinstance(name, str) else "")
    except ValueError:
        table.fail(key, f"{name!r} is not a time zone", 'write a name of the IANA database, such as "Europe/Berlin"')
    return None if name in _UTC_NAMES else str(name)


def format_setting(table: TomlTable) -> TimeFormat | None:
    """The pattern of a time's text; None for RFC 3339 and numbers."""
    text = table.get("format")
    if text is None:
        return None
    try:
        return TimeFormat.parse(text if isinstance(text, str) else "")
    except ValueError as error:
        table.fail("format", str(error), 'write, for example, format = "%d.%m.%Y %H:%M"')


_UTC_NAMES = frozenset({"UTC", "Etc/UTC"})
UNITS = tuple(UNIT_PLACES)


def keep_events_setting(top: TomlTable) -> bool | None:
    """Whether whole events are kept; None where it is not said."""
    value = top.get("keep_events")
    if value is not None and not isinstance(value, bool):
        top.fail("keep_events", f"{value!r} is neither true nor false", "write keep_events = true, or drop it")
    return None if value is None else bool(value)


def _field_or_table(event: TomlTable, key: str) -> TomlTable | None:
    value = event.get(key)
    if value is None:
        return None
    return event.inline(key, value if is_settings(value) else {"field": value})


def is_settings(value: Any) -> bool:
    """Whether a value is a table of settings rather than a field or an expression's tree."""
    return isinstance(value, Mapping) and "tree" not in value


def version_setting(event: TomlTable, envelope: Envelope | None, zone: str | None) -> Version | None:
    """What orders the events of a key; None where arrival does."""
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


def _version_table(event: TomlTable, value: Any) -> TomlTable:
    return event.inline("version", value if is_settings(value) else {"field": value})


def _one_version(table: TomlTable, zone: str | None, types: Collection[str], *, in_list: bool) -> Version:
    field, kind = table.own_source(), table.choice("type", types, "integer")
    unit, scale, bits = table.choice("unit", UNITS, "s"), table.get("scale", 0), None
    if kind == "timestamp":
        zone, pattern = timezone_setting(table, "timezone", zone), format_setting(table)
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


def time_setting(event: TomlTable, zone: str | None) -> Time | None:
    """The time of an event; None where it has none."""
    table = _field_or_table(event, "time")
    if table is None:
        return None
    unit = table.choice("unit", UNITS, "s")
    time = Time(table.own_source(), unit, timezone_setting(table, "timezone", zone), format_setting(table))
    table.finish()
    return time


def delete_setting(event: TomlTable) -> Delete | None:
    """What says that an event deletes its key; None where none does."""
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


def where_setting(event: TomlTable) -> Expression | None:
    """The condition that an event must meet to count; None where every event counts."""
    value = event.get("where")
    if value is None:
        return None
    is_sql = isinstance(value, str) and event.sql is not None and value not in event.derived
    source = event.expression("where", value) if is_sql else event.source("where", value)
    name = source.name if isinstance(source, Expression) else ""
    try:
        return Expression(coerce(node_of(source), "boolean", "where"), name)
    except ExpressionError as error:
        event.fail("where", str(error), "write a condition, such as where = \"status = 'paid'\"")
