"""Events as JSON Lines and CSV, formatted a column at a time.

A block of rows is a byte matrix whose fields are as wide as their widest text; shorter texts are padded with
NUL, which no text holds, and one pass over the matrix drops the padding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oncefold.generate.leaves import LEVELS, leaves
from oncefold.generate.mixing import CENTS_LIMIT, Ints, uuids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold.generate.events import Events
    from oncefold.generate.workload import Workload

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
    places = _json_leaves(workload.leaves)
    ends = np.array([b"}\n", b', "Deleted": true}\n'])
    return b"".join(_json_rows(workload.seed, part, places, ends) for part in events.parts(_ROWS_AT_A_TIME))


def csv_header(workload: Workload) -> bytes:
    """Return the first line of the CSV form."""
    return (",".join(columns(workload)) + "\n").encode()


def csv_lines(workload: Workload, events: Events) -> bytes:
    """Return the events as CSV lines, without the header."""
    places = _csv_leaves(workload.leaves)
    ends = np.array([b",false\n", b",true\n"] if workload.deletes else [b"\n"])
    return b"".join(_csv_rows(workload.seed, part, places, ends) for part in events.parts(_ROWS_AT_A_TIME))


def _json_rows(seed: int, events: Events, places: Texts, ends: Texts) -> bytes:
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
            places[events.leaf],
            ends[events.deleted.view(np.int8)],
        ],
    )


def _csv_rows(seed: int, events: Events, places: Texts, ends: Texts) -> bytes:
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
            places[events.leaf],
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
