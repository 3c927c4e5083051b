"""Arrays in sample records as rollups of their own, in which a key has a leaf for each element."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oncefold.core.definition import Level, Rollup
from oncefold.core.fieldpath import FieldPath
from oncefold.core.values import Number

MOST_LEVELS = 3
_FEW = 10
"""So many different labels are few in a sample of any size."""

Arrays = dict[FieldPath, list[list[Any]]]


def array_rollups(rows: Sequence[Mapping[str, Any]], taken: str) -> Iterator[tuple[Rollup, str]]:
    """A rollup for each array whose elements have few different labels, and the reason; no name is `taken`."""
    names = {taken.lower()}
    for field, arrays in _arrays(rows).items():
        elements = [element for array in arrays for element in array]
        levels = _levels(field, elements, some_missing=len(arrays) < len(rows) or not all(arrays))
        name = "".join(char if char.isascii() and char.isalnum() else "_" for char in field.segments[-1]).strip("_")
        if not levels or not name[:1].isalpha() or name.lower() in names:
            continue
        names.add(name.lower())
        inside = ", ".join(str(level.inside) for level in levels if level.inside is not None)
        what = f"{inside} of each element of the array" if inside else "each element of the array"
        yield Rollup(name, levels), f"rollup {name}: {what} {field}; a key counts in several leaves of it"


def _arrays(rows: Sequence[Mapping[str, Any]]) -> Arrays:
    found: Arrays = {}
    for row in rows:
        for field, array in _arrays_in((), row):
            found.setdefault(field, []).append(array)
    return found


def _arrays_in(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[tuple[FieldPath, list[Any]]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _arrays_in((*path, name), value)
        elif name.isprintable() and (array := _as_array(value)) is not None:
            yield FieldPath((*path, name)), array


def _as_array(value: Any) -> list[Any] | None:
    """An array, or that whose JSON text the value is."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value, parse_float=Number, parse_int=Number)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _levels(field: FieldPath, elements: list[Any], *, some_missing: bool) -> tuple[Level, ...]:
    missing = "(none)" if some_missing else None
    if elements and all(map(_is_label, elements)):
        return (Level(field, missing=missing, each=True),) if _are_few(elements) else ()
    if not elements or not all(isinstance(element, Mapping) for element in elements):
        return ()
    columns = {name: [element.get(name) for element in elements] for name in elements[0] if name.isprintable()}
    texts = {
        name: column
        for name, column in columns.items()
        if _are_few(column) and all(isinstance(one, str) and not isinstance(one, Number) for one in column)
    }
    in_order = sorted(texts, key=lambda name: len(set(texts[name])))[:MOST_LEVELS]
    return tuple(Level(field, missing=missing, each=True, inside=FieldPath((name,))) for name in in_order)


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and (not isinstance(value, Number) or value.lstrip("-").isdigit())


def _are_few(labels: list[Any]) -> bool:
    return len(set(labels)) <= max(len(labels) // 4, _FEW)
