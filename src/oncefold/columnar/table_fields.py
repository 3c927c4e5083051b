"""The columns of a table as fields of records in text, for definitions whose expressions are computed on those.

And for those whose levels are filled for each element of an array, which is read from its JSON text.

A value becomes the text that the scalar decoder reads of it, or one that means the same wherever it is used. What has
no such text (a nested value, bytes, a time that something reads as a text) is left to the scalar decoder.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.arrow import spans_of
from oncefold.columnar.arrays import Int64s, UInt8s, read_only
from oncefold.columnar.field_kinds import FALSE, MISSING, NUMBER, OTHER, STRING, TRUE
from oncefold.core.definition import Pipeline
from oncefold.core.expression import Expression, Field, Source, nodes
from oncefold.core.fieldpath import FieldPath
from oncefold.deferred import Deferred

pc: Any = Deferred("pyarrow.compute")

Found = tuple[Int64s, Int64s, Int64s]
"""Kinds, starts and ends of the fields of each row, shape (rows, fields)."""


def _read_as_text(pipeline: Pipeline) -> frozenset[FieldPath]:
    """The fields that something reads otherwise than as a time."""
    version = pipeline.version
    others = {level.field for level in pipeline.levels if level.window is None} | set(pipeline.key_fields)
    others |= {column.field for column in pipeline.columns if column.field is not None}
    others |= {pipeline.delete.field} if pipeline.delete is not None else set()
    others |= {version.field} if version is not None and version.type != "timestamp" else set()
    inner = {node for source in pipeline.expressions for node in nodes(source.tree) if isinstance(node, Field)}
    found = {source for source in others if not isinstance(source, Expression)}
    return frozenset(found | {node.path for node in inner if node.kind != "time"})


def _names_in_arrays(pipeline: Pipeline) -> dict[Source, tuple[str, ...]]:
    """Of each array that fills levels, the names of what its elements have for them; none if they are labels."""
    found: dict[Source, tuple[str, ...]] = {}
    for indexes in pipeline.arrays:
        levels = [pipeline.levels[index] for index in indexes]
        names = (level.inside.segments[-1] for level in levels if level.inside is not None)
        found[levels[0].field] = tuple(dict.fromkeys(names))
    return found


def fields_of_table(found: Mapping[FieldPath, pa.Array | None], pipeline: Pipeline, rows: int) -> tuple[UInt8s, Found]:
    """The texts of all columns one after the other, and the fields of each row as spans of them."""
    as_text, arrays = _read_as_text(pipeline), _names_in_arrays(pipeline)
    shape = (rows, len(pipeline.fields))
    kinds, starts, ends = np.full(shape, MISSING, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    parts: list[UInt8s] = []
    size = 0
    for index, field in enumerate(pipeline.fields):
        column = found[field]
        if column is None:
            continue
        if (names := arrays.get(field)) is not None:
            kinds[:, index], texts = OTHER, array_texts(column, names)
        else:
            kinds[:, index], texts = _texts(column, timed=field not in as_text)
        if texts is not None:
            data, offsets = spans_of(texts)
            first, last = int(offsets[0]), int(offsets[-1])
            starts[:, index] = offsets[:-1] - first + size
            ends[:, index] = offsets[1:] - first + size
            parts.append(data[first:last])
            size += last - first
        kinds[np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_), index] = MISSING
    return read_only(np.concatenate([*parts, np.zeros(8, np.uint8)])), (kinds, starts, ends)


def _texts(column: pa.Array, *, timed: bool) -> tuple[Any, pa.Array | None]:
    """(what each value is, or all of them; their texts as large_string without nulls)."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = next(_kinds(column.type, timed=timed), OTHER)
    if kind == OTHER:
        return OTHER, None
    texts = pc.fill_null(column.cast(pa.large_string()), "")
    if kind != TRUE:
        return kind, texts
    return np.where(pc.equal(texts, "true").to_numpy(zero_copy_only=False), TRUE, FALSE), texts


def array_texts(column: pa.Array, names: tuple[str, ...]) -> pa.Array | None:
    """The JSON text of each row's array as large_string, with what labels are made of; None for what is no array.

    An element that is no plain text or whole number is `null` there: the scalar decoder reads such a row.
    """
    is_ = pa.types
    if not (is_.is_list(column.type) or is_.is_large_list(column.type) or is_.is_fixed_size_list(column.type)):
        return None
    inner = pc.list_flatten(column)
    if names:
        if not is_.is_struct(inner.type) or any(inner.type.get_all_field_indices(name) == [] for name in names):
            return None
        if any(len(inner.type.get_all_field_indices(name)) > 1 or json.dumps(name)[1:-1] != name for name in names):
            return None
        members = [_joined([f'"{name}":', _label_texts(pc.struct_field(inner, name))]) for name in names]
        commas = [part for member in members for part in (",", member)][1:]
        elements = _joined(["{", *commas, "}"])
    else:
        elements = _label_texts(inner)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, elements.cast(pa.string()))
    return _joined(["[", pc.binary_join(lists, ",").cast(pa.large_string()), "]"])


def _joined(parts: list[Any]) -> pa.Array:
    texts = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*texts, pa.scalar("", pa.large_string()))


def _label_texts(column: pa.Array) -> pa.Array:
    """Texts and whole numbers as JSON has them; null for all else, and for texts that JSON escapes."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    is_text = any(is_(column.type) for is_ in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
    if not is_text and not pa.types.is_integer(column.type):
        return pa.array(["null"] * len(column), pa.large_string())
    texts = pc.fill_null(column.cast(pa.large_string()), "")
    if is_text:
        plain = pc.invert(pc.match_substring_regex(texts, r'[\x00-\x1f"\\]'))
        texts = pc.if_else(plain, _joined(['"', texts, '"']), "null")
    return pc.if_else(column.is_valid(), texts, "null").cast(pa.large_string())


def _kinds(type_: pa.DataType, *, timed: bool) -> Iterator[int]:
    is_ = pa.types
    texts = (is_.is_string, is_.is_large_string, is_.is_string_view, is_.is_date32)
    if any(is_text(type_) for is_text in texts) or (timed and is_.is_timestamp(type_) and type_.tz in {None, "UTC"}):
        yield STRING
    elif (
        is_.is_integer(type_)
        or is_.is_float64(type_)
        or (is_.is_decimal(type_) and 0 <= type_.scale <= type_.precision)
    ):
        yield NUMBER
    elif is_.is_boolean(type_):
        yield TRUE
