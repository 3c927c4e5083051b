"""Events as Arrow tables, with the flat column names and exact types.

Value is decimal128(18, 2), Version int64, and Timestamp decimal128(18, 4): the seconds since 1970 of the text
forms, digit for digit, so that one pipeline definition reads every format alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from oncefold.generate.leaves import leaves
from oncefold.generate.text import columns, matrix, uuid_fields

if TYPE_CHECKING:
    from oncefold.generate.events import Events
    from oncefold.generate.mixing import Ints
    from oncefold.generate.workload import Workload

VALUE_TYPE = pa.decimal128(18, 2)
TIME_TYPE = pa.decimal128(18, 4)
_UUID_LENGTH = 36


def schema(workload: Workload) -> pa.Schema:
    """Return the schema of the workload's tables; no column holds nulls."""
    text = pa.string()
    types = [text, VALUE_TYPE, pa.int64(), TIME_TYPE, text, text, text, pa.bool_()]
    names = columns(workload)
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in zip(names, types, strict=False)])


def arrow_table(workload: Workload, events: Events) -> pa.Table:
    """Return the events as a table, the same numbers as in the text forms."""
    place = pa.array(events.leaf)
    labels = [column.take(place) for column in _labels(workload.leaves)]
    arrays = [
        _keys(workload.seed, events.key),
        _decimals(events.cents, VALUE_TYPE),
        pa.array(events.version),
        _decimals(events.ticks, TIME_TYPE),
        *labels,
    ]
    if workload.deletes:
        arrays.append(pa.array(events.deleted))
    return pa.Table.from_arrays(arrays, schema=schema(workload))


@lru_cache(maxsize=2)
def _labels(count: int) -> list[Any]:
    """Return the labels of every leaf, a column for each level."""
    return [pa.array(column) for column in zip(*leaves(count), strict=True)]


def _keys(seed: int, key: Ints) -> Any:
    text = matrix(len(key), uuid_fields(seed, key)).tobytes()
    ends = np.arange(0, len(text) + 1, _UUID_LENGTH, dtype=np.int32)
    return pa.StringArray.from_buffers(len(key), pa.py_buffer(ends), pa.py_buffer(text))


def _decimals(number: Ints, kind: Any) -> Any:
    """Return numbers from 0 up as decimals whose digits they are."""
    halves = np.zeros((len(number), 2), dtype="<i8")
    halves[:, 0] = number
    return pa.Array.from_buffers(kind, len(number), [None, pa.py_buffer(halves)])
