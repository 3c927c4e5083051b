"""Events as JSON Lines, CSV and Arrow tables, formatted a column at a time.

A block of text rows is a byte matrix whose fields are as wide as their widest text; shorter texts are padded with
NUL, which no text holds, and one pass over the matrix drops the padding.

In tables Value is decimal128(18, 2), Version int64, and Timestamp decimal128(18, 4): the seconds since 1970 of the text
forms, digit for digit, so that one pipeline definition reads every format alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oncefold.generate.planner import Events
from oncefold.generate.randomness import CENTS_LIMIT, Ints, uuids
from oncefold.generate.workload import LEVELS, Workload, leaves

Texts = NDArray[np.bytes_]

COLUMNS = ("TradeID", "Value", "Version", "Timestamp", "Hierarchy.RiskType", "Hierarchy.Region", "Hierarchy.TradeDesk")
"""The flat names of CSV and Parquet; `Deleted` follows when the workload has deletes."""
DELETED = "Deleted"

_ROWS_AT_A_TIME = 8_192
_TABLE_LIMIT = 100_000

assert set(COLUMNS[4:]) == {f"Hierarchy.{level}" for level in LEVELS}


def columns(workload: Workload) -> tuple[str, ...]:
    """Return the flat column names of the workload."""
    return (*COLUMNS, DELETED) if workload.deletes else COLUMNS


def json_lines(workload: Workload, events: Events) -> bytes:
    """Return the events as JSON Lines, in the form of the workshop's messages."""
    leaf_texts = _json_leaves(workload.leaves)
    ends = np.array([b"}\n", b', "Deleted": true}\n'])
    return b"".join(_json_rows(workload.seed, part, leaf_texts, ends) for part in events.parts(_ROWS_AT_A_TIME))


def csv_header(workload: Workload) -> bytes:
    """Return the first line of the CSV form."""
    return (",".join(columns(workload)) + "\n").encode()


def csv_lines(workload: Workload, events: Events) -> bytes:
    """Return the events as CSV lines, without the header."""
    leaf_texts = _csv_leaves(workload.leaves)
    ends = np.array([b",false\n", b",true\n"] if workload.deletes else [b"\n"])
    return b"".join(_csv_rows(workload.seed, part, leaf_texts, ends) for part in events.parts(_ROWS_AT_A_TIME))


def _json_rows(seed: int, events: Events, leaf_texts: Texts, ends: Texts) -> bytes:
    return _join(
        len(events),
        [
            b'{"TradeID": "',
            *uuid_fields(seed, events.key),
            b'", "Value": ',
            *_value_fields(events.cents),
            b', "Version": ',
            _whole(events.version),
            b', "Timestamp": ',
            *_time_fields(events.ticks),
            leaf_texts[events.leaf],
            ends[events.deleted.view(np.int8)],
        ],
    )


def _csv_rows(seed: int, events: Events, leaf_texts: Texts, ends: Texts) -> bytes:
    return _join(
        len(events),
        [
            *uuid_fields(seed, events.key),
            b",",
            *_value_fields(events.cents),
            b",",
            _whole(events.version),
            b",",
            *_time_fields(events.ticks),
            leaf_texts[events.leaf],
            ends[events.deleted.view(np.int8)],
        ],
    )


def matrix(rows: int, parts: Sequence[bytes | NDArray[Any]]) -> NDArray[np.void]:
    """Lay constants and columns side by side, one record for each row."""
    kinds: list[tuple[Any, ...]] = []
    for i, part in enumerate(parts):
        if isinstance(part, bytes):
            kinds.append((f"f{i}", f"S{len(part)}"))
        else:
            kinds.append((f"f{i}", part.dtype, part.shape[1:]))
    result = np.empty(rows, dtype=kinds)
    for i, part in enumerate(parts):
        result[f"f{i}"] = part
    return result


def _join(rows: int, parts: Sequence[bytes | NDArray[Any]]) -> bytes:
    """Write constants and columns side by side, row after row."""
    return matrix(rows, parts).tobytes().translate(None, b"\0")


def uuid_fields(seed: int, key: Ints) -> list[bytes | NDArray[Any]]:
    """Return the parts of the keys' UUIDs, 36 bytes in each row."""
    digits = _hex_table()[uuids(seed, key)]
    return [digits[:, 0:2], b"-", digits[:, 2], b"-", digits[:, 3], b"-", digits[:, 4], b"-", digits[:, 5:8]]


def _value_fields(value: Ints) -> tuple[Texts, Texts]:
    units, hundredths = np.divmod(value, 100)
    return _units_table()[units], _padded_table(2, b".")[hundredths]


def _time_fields(ticks: Ints) -> tuple[Texts, Texts, Texts]:
    """Return the seconds, in two parts, and the four decimals."""
    seconds, decimals = np.divmod(ticks, 10_000)
    high, low = np.divmod(seconds, 10_000)
    lowest = int(high.min())
    highest = int(high.max())
    highs = np.arange(lowest, highest + 1).astype(f"S{len(str(highest))}")
    return highs[high - lowest], _padded_table(4, b"")[low], _padded_table(4, b".")[decimals]


def _whole(number: Ints) -> Texts:
    greatest = int(number.max())
    if greatest >= _TABLE_LIMIT:
        return number.astype("S")
    return _whole_table(len(str(greatest)))[number]


@lru_cache
def _whole_table(digits: int) -> Texts:
    """Return the texts of all whole numbers of up to `digits` digits."""
    return np.arange(10**digits).astype(f"S{digits}")


@lru_cache
def _units_table() -> Texts:
    return np.arange(CENTS_LIMIT // 100 + 1).astype("S6")


@lru_cache
def _padded_table(digits: int, prefix: bytes) -> Texts:
    return np.array([prefix + b"%0*d" % (digits, i) for i in range(10**digits)])


@lru_cache
def _hex_table() -> NDArray[np.uint32]:
    """Return four hexadecimal digits, as the bytes of one word, for every 16-bit number."""
    return np.array([b"%04x" % i for i in range(1 << 16)]).view(np.uint32)


@lru_cache(maxsize=2)
def _json_leaves(count: int) -> Texts:
    form = ', "Hierarchy": {{"RiskType": "{}", "Region": "{}", "TradeDesk": "{}"}}'
    return np.array([form.format(*leaf).encode() for leaf in leaves(count)])


@lru_cache(maxsize=2)
def _csv_leaves(count: int) -> Texts:
    return np.array([f",{','.join(leaf)}".encode() for leaf in leaves(count)])


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
    leaf = pa.array(events.leaf)
    labels = [column.take(leaf) for column in _labels(workload.leaves)]
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
