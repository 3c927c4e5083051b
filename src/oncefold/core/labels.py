"""Labels, texts, numbers and times of a record, as the decoder reads them; and the labels of a set of leaves."""

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, NoReturn

from oncefold.core import leafset
from oncefold.core.decimals import shown
from oncefold.core.definition import Level, Pipeline, Time
from oncefold.core.errors import InvalidEvent
from oncefold.core.expression import Expression, Source
from oncefold.core.limits import EVENT_LEAVES, LABEL_BYTES, SET_BYTES
from oncefold.core.records import NestedRecord, ObjectPairs, Record, refuse
from oncefold.core.timestamps import parse_timestamp
from oncefold.core.values import Number, type_of_marker
from oncefold.core.zones import zone_of


def label_of(record: Record, level: Level) -> str:
    """The one label of a level. Raises InvalidEvent."""
    if level.window is None:
        value = record.get(level.field)
        if value is None and level.missing is not None:
            return level.missing
        label = text_of(record, level.field)
        if len(label) > LABEL_BYTES // 4 and len(label.encode()) > LABEL_BYTES:
            refuse(level.field, f"the label is longer than {LABEL_BYTES} bytes")
        return label
    value = record.get(level.field, empty=None)
    if value is None:
        if level.missing is not None:
            return level.missing
        refuse(level.field, "missing; the level is a time window and names no default")
    return level.window.label(level.window.start(timestamp(value, level)))


def text_of(record: Record, field: Source) -> str:
    """A key's or label's text: text as it is, an integer as its digits, an expression's truth value as its name."""
    value = record.get(field)
    if value is None:
        refuse(field, "missing")
    if isinstance(value, bool) and isinstance(field, Expression):
        return str(value).lower()
    return as_text(value, field)


def as_text(value: Any, field: Source) -> str:
    """A value as a key or label. Raises InvalidEvent."""
    if not isinstance(value, str):
        refuse(field, f"{what(value)} cannot be a key or label; text or a whole number can")
    if isinstance(value, Number):
        if value.lstrip("-").isdigit():
            return "0" if value == "-0" else str(value)
        refuse(
            field,
            f"{shown(value)} cannot be a key or label; of numbers only whole ones without point or exponent",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        refuse(field, "the text holds half of a surrogate pair, which no UTF-8 text can")
    return value


def numeral(value: Any, field: Source) -> str:
    """The text of a number, from a number or from text that holds one."""
    if isinstance(value, str):
        return value
    refuse(field, f"{what(value)} is not a number")


def timestamp(value: Any, spec: Time | Level) -> int:
    """A time as nanoseconds since the epoch, in the zone and the format that its field has. Raises InvalidEvent."""
    text, zone = numeral(value, spec.field), None if spec.timezone is None else zone_of(spec.timezone)
    try:
        return parse_timestamp(text, spec.unit, zone) if spec.format is None else spec.format.read(text, zone)
    except ValueError as error:
        refuse(spec.field, str(error))


def what(value: Any) -> str:
    """A value in the words of a reason."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        name = type_of_marker(value)
        return "an object" if name is None else f"a value of type {name}"
    if isinstance(value, list):
        return "an array"
    return shown(str(value))


def labels_of_set(pipeline: Pipeline, record: Record, missing_texts: frozenset[str]) -> tuple[str, ...]:
    """One label per level; of a level for each element of an array all of them, packed. Raises InvalidEvent.

    Levels of one array are filled element by element; an array that is empty or missing is one element of the labels
    that the levels name for that.
    """
    levels = pipeline.levels
    labels = ["" if level.each else label_of(record, level) for level in levels]
    sizes = []
    for indexes in pipeline.arrays:
        array = [levels[index] for index in indexes]
        elements = sorted(set(_elements(record, array, missing_texts)))
        sizes.append(len(elements))
        for index, column in zip(indexes, zip(*elements, strict=True), strict=True):
            labels[index] = leafset.pack(column)
            if len(labels[index].encode()) > SET_BYTES:
                refuse(levels[index].field, f"its labels take more than {SET_BYTES:,} bytes together")
    for rollup, arrays in zip(pipeline.rollups, pipeline.rollup_arrays, strict=True):
        leaves = prod(sizes[array] for array in arrays)
        if leaves > EVENT_LEAVES:
            fields = " times ".join(f"{sizes[a]:,} of {levels[pipeline.arrays[a][0]].field}" for a in arrays)
            raise InvalidEvent(
                f"the key would count in {leaves:,} leaves of {rollup.name} ({fields}); {EVENT_LEAVES} is the most"
            )
    return tuple(labels)


def _elements(record: Record, levels: list[Level], missing_texts: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """The labels of each element of the array that these levels are of."""
    field = levels[0].field
    found = _array(record, field)
    if not found:
        for level in levels:
            if level.missing is None:
                what_is = "missing" if found is None else "an empty array"
                refuse(field, f'{what_is}; a level that takes it has missing = "(none)" or another label')
        yield tuple(level.missing or "" for level in levels)
        return
    for index, element in enumerate(found):
        yield tuple(_label_of_element(element, level, f"{field}[{index}]", missing_texts) for level in levels)


def _array(record: Record, field: Source) -> list[Any] | None:
    """The elements of an array, which may be the text of one, as a cell of a CSV is; None if it is missing."""
    value = record.get(field, empty=None)
    if isinstance(value, str) and not isinstance(value, Number):
        try:
            value = _ARRAY.decode(value)
        except (ValueError, RecursionError):
            refuse(field, f"{shown(value)} is not an array, nor the JSON text of one")
    if value is None or isinstance(value, list):
        return value
    refuse(field, f"{what(value)} is not an array; the level is filled for each element of one")


def _label_of_element(element: Any, level: Level, position: str, missing_texts: frozenset[str]) -> str:
    value, where = element, position
    if level.inside is not None:
        where = f"{position}.{level.inside}"
        if not isinstance(element, Mapping):
            _refuse_element(position, f"{'null' if element is None else what(element)} is not an object")
        value = NestedRecord(element).field(level.inside)
    if isinstance(value, str) and not isinstance(value, Number) and value in missing_texts:
        value = None
    if value is None:
        if level.inside is not None and level.missing is not None:
            return level.missing
        _refuse_element(where, "null cannot be a label" if level.inside is None else "missing")
    try:
        label = as_text(value, level.field)
    except InvalidEvent as error:
        _refuse_element(where, str(error).removeprefix(f"field {level.field}: "))
    if len(label) > LABEL_BYTES // 4 and len(label.encode()) > LABEL_BYTES:
        _refuse_element(where, f"the label is longer than {LABEL_BYTES} bytes")
    return label


def _refuse_element(position: str, reason: str) -> NoReturn:
    raise InvalidEvent(f"field {position}: {reason}")


def no_constant(name: str) -> NoReturn:
    """Refuses NaN and infinities, which Python's json reads. Raises ValueError."""
    raise ValueError(f"{name} is not a JSON number")


_ARRAY = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=no_constant, object_pairs_hook=ObjectPairs
)
