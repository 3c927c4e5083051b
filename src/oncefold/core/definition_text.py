"""The definition written as the canonical TOML text, which a store and a stack keep."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from oncefold.core.definition import (
    Delete,
    FirstOf,
    Level,
    Pipeline,
    Time,
    Version,
)
from oncefold.core.expression import Expression, Source, to_tree
from oncefold.core.measures import UNSCALED


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
