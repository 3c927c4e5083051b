"""The columns of a table as fields of records in text, for definitions whose expressions are computed on those.

A value becomes the text that the scalar decoder reads of it, or one that means the same wherever it is used. What has
no such text (a nested value, bytes, a time that something reads as a text) is left to the scalar decoder.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.arrow import spans_of
from oncefold.columnar.arrays import Int64s, UInt8s, read_only
from oncefold.columnar.field_kinds import FALSE, MISSING, NUMBER, OTHER, STRING, TRUE
from oncefold.core.definition import Pipeline
from oncefold.core.expression import Expression, Field, nodes
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


def fields_of_table(found: Mapping[FieldPath, pa.Array | None], pipeline: Pipeline, rows: int) -> tuple[UInt8s, Found]:
    """The texts of all columns one after the other, and the fields of each row as spans of them."""
    as_text = _read_as_text(pipeline)
    shape = (rows, len(pipeline.fields))
    kinds, starts, ends = np.full(shape, MISSING, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    parts: list[UInt8s] = []
    size = 0
    for index, field in enumerate(pipeline.fields):
        column = found[field]
        if column is None:
            continue
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
