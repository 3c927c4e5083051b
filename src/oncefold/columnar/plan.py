"""A pipeline as flat arrays, the form in which kernels read it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oncefold.columnar.arrays import Int32s, Int64Rows, Int64s, UInt8s
from oncefold.core.definition import Level, Pipeline
from oncefold.core.expression import Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.timestamps import NANOS, UNIT_PLACES

BY_STEP, BY_MONTH, BY_YEAR = 0, 1, 2
AS_DAY, AS_TIME, AS_MONTH, AS_YEAR = 10, 20, 7, 4
"""How a window's label is written, by its length in characters."""

DELETE_NONE, DELETE_TRUE, DELETE_EQUALS = 0, 1, 2


class DecodePlan(NamedTuple):
    """What to make of the fields of a record, which go by numbers."""

    keys: Int32s
    version: Int64s
    """(field or -1, decimal places of its number, 1 if it is a time)."""
    time: Int64s
    """(field or -1, decimal places)."""
    delete: Int64s
    """(field or -1, one of the DELETE forms)."""
    delete_equals: UInt8s
    levels: Int64Rows
    """Per level: field, 1 if a window, decimal places, BY form, length, step and origin in seconds, AS form, 1 with
    a default.
    """
    defaults: UInt8s
    default_ends: Int64s
    """Default of level i: defaults[ends[i] : ends[i + 1]]."""
    measures: Int64Rows
    """Per measure: field, scale, 1 if it rounds, 1 if missing means zero."""
    where: Int64s
    """In one element: the field that must be true of an event that counts, or -1."""


class Trie(NamedTuple):
    """The paths of the fields as a tree of names. Node 0 is the record; node n has edges first[n] to first[n + 1]."""

    first: Int32s
    child: Int32s
    """The node below an edge, or -1."""
    field: Int32s
    """The field that an edge ends in, or -1."""
    name_start: Int32s
    name_length: Int32s
    names: UInt8s
    head: npt.NDArray[np.uint64]
    """The first eight bytes of each name, zeros beyond it."""
    head_mask: npt.NDArray[np.uint64]


def fields_of(pipeline: Pipeline) -> list[FieldPath]:
    """The distinct fields that a pipeline reads, by expressions too."""
    return list(pipeline.fields)


def needed_by(pipeline: Pipeline) -> tuple[FieldPath, ...]:
    """The fields that every event has, deletes too: those of its key and of its version."""
    sources = [*pipeline.key, *([] if pipeline.version is None else [pipeline.version.field])]
    return tuple(field for field in sources if isinstance(field, FieldPath))


def columns_of(pipeline: Pipeline) -> dict[FieldPath, int]:
    """The number of each field where records are flat: fields of one column share a number."""
    numbers: dict[str, int] = {}
    return {field: numbers.setdefault(field.column, len(numbers)) for field in fields_of(pipeline)}


def plan_of(pipeline: Pipeline, fields: Mapping[FieldPath, int] | None = None) -> DecodePlan:
    """Compile the definition; fields are numbered as in `fields_of` unless given otherwise, expressions after them."""
    if fields is None:
        fields = {field: index for index, field in enumerate(fields_of(pipeline))}
    number: dict[Source, int] = dict(fields.items())
    for expression in pipeline.expressions:
        number[expression] = len(number)
    version, time, delete = pipeline.version, pipeline.time, pipeline.delete
    defaults = [(level.missing or "").encode() for level in pipeline.levels]
    return DecodePlan(
        keys=np.array([number[field] for field in pipeline.key], np.int32),
        version=_row(-1, 0, 0) if version is None else _version_row(pipeline, number),
        time=_row(-1, 0) if time is None else _row(number[time.field], UNIT_PLACES[time.unit]),
        delete=_row(-1, DELETE_NONE)
        if delete is None
        else _row(number[delete.field], DELETE_TRUE if delete.equals is None else DELETE_EQUALS),
        delete_equals=_bytes((delete.equals or "").encode() if delete else b""),
        levels=np.array([_level_row(level, number) for level in pipeline.levels], np.int64).reshape(-1, 9),
        defaults=_bytes(b"".join(defaults)),
        default_ends=np.cumsum([0, *map(len, defaults)]).astype(np.int64),
        measures=np.array(
            [(number[m.field], m.scale, int(m.round is not None), int(m.missing == "zero")) for m in pipeline.measures],
            np.int64,
        ).reshape(-1, 4),
        where=_row(-1 if pipeline.where is None else number[pipeline.where]),
    )


def trie_of(pipeline: Pipeline) -> Trie:
    """The tree of names of the pipeline's fields."""
    nodes: list[dict[str, list[int]]] = [{}]
    for index, field in enumerate(fields_of(pipeline)):
        node = 0
        for depth, segment in enumerate(field.segments):
            edge = nodes[node].setdefault(segment, [-1, -1])
            if depth == len(field.segments) - 1:
                edge[1] = index
            else:
                if edge[0] < 0:
                    nodes.append({})
                    edge[0] = len(nodes) - 1
                node = edge[0]
    edges = [(name.encode(), child, field) for node in nodes for name, (child, field) in node.items()]
    lengths = [len(name) for name, _, _ in edges]
    return Trie(
        first=np.cumsum([0, *map(len, nodes)]).astype(np.int32),
        child=np.array([child for _, child, _ in edges], np.int32),
        field=np.array([field for _, _, field in edges], np.int32),
        name_start=np.cumsum([0, *lengths])[:-1].astype(np.int32),
        name_length=np.array(lengths, np.int32),
        names=_bytes(b"".join(name for name, _, _ in edges)),
        head=np.array([int.from_bytes(name[:8], "little") for name, _, _ in edges], np.uint64),
        head_mask=np.array([(1 << 8 * min(8, size)) - 1 for size in lengths], np.uint64),
    )


def _version_row(pipeline: Pipeline, number: Mapping[Source, int]) -> Int64s:
    version = pipeline.version
    assert version is not None
    timed = version.type == "timestamp"
    return _row(number[version.field], UNIT_PLACES[version.unit] if timed else 0, int(timed))


def _level_row(level: Level, number: Mapping[Source, int]) -> list[int]:
    window = level.window
    has_default = int(level.missing is not None)
    if window is None:
        return [number[level.field], 0, 0, 0, 0, 0, 0, 0, has_default]
    by = {"mo": BY_MONTH, "y": BY_YEAR}.get(window.unit, BY_STEP)
    return [
        number[level.field],
        1,
        UNIT_PLACES[level.unit],
        by,
        window.length,
        window.step // NANOS,
        window.origin // NANOS,
        len(window.label(0)),
        has_default,
    ]


def _row(*values: int) -> Int64s:
    return np.array(values, np.int64)


def _bytes(data: bytes) -> UInt8s:
    """As an array that is never empty, so that kernels may take its address."""
    return np.frombuffer(data + bytes(8), np.uint8)
