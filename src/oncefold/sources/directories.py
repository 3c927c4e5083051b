"""Columns that the names of directories hold, as Hive and Spark write them: `country=DE/day=2026-03-01/part.csv`."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from oncefold.core.csv_record import csv_record_end
from oncefold.core.fieldpath import FieldPath
from oncefold.sources.blocks import TextBlock

Int64s = npt.NDArray[np.int64]
Columns = tuple[tuple[str, str], ...]
"""Names and values."""

_NAMED: Final = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_OBJECT: Final = re.compile(rb"^([\0 \t\r]*\{)[\0 \t\r]*\"[^\n]*", re.MULTILINE)
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


def columns_of_directories(path: str) -> Columns:
    """The columns that the directories of a file hold; of two of one name the inner one."""
    found: dict[str, str] = {}
    for part in PurePath(path).parent.parts:
        match = _NAMED.fullmatch(part)
        if match is not None:
            found[match[1]] = unquote(match[2])
    return tuple((name, value) for name, value in found.items() if value != _NULL)


def wanted_columns(columns: Columns, fields: Iterable[FieldPath] | None, own: Sequence[str] = ()) -> Columns:
    """Those of them that are read, and that the file does not have itself."""
    read = None if fields is None else {field.column for field in fields}
    return tuple((name, value) for name, value in columns if name not in own and (read is None or name in read))


@dataclass(frozen=True, slots=True, eq=False)
class WithColumns:
    """A block whose records hold the columns of its directories, too."""

    block: TextBlock
    _starts: Int64s
    """Where something was put in, in the new data, rising."""
    _sizes: Int64s
    """Bytes that were put in before each of these places, and in all."""

    def position(self, position: int) -> int:
        """The position in the source of a record at this one."""
        before = np.searchsorted(self._starts, position - self.block.offset)
        return position - int(self._sizes[before])


def with_columns(block: TextBlock) -> WithColumns:
    """The block with the columns in each record: of CSV in front, of JSON those that the object does not name."""
    data = bytes(block.data)
    starts, fronts = _fronts_of_csv(block, data) if block.format == "csv" else _fronts_of_json(block, data)
    pieces = [data[: starts[0]] if starts else data]
    for front, (start, end) in zip(fronts, pairwise([*starts, len(data)]), strict=True):
        pieces += [front, data[start:end]]
    sizes = np.cumsum([0, *map(len, fronts)], dtype=np.int64)
    header = None if block.header is None else (*(name for name, _ in block.columns), *block.header)
    whole = replace(block, data=memoryview(b"".join(pieces)), header=header, columns=())
    return WithColumns(whole, np.array(starts, np.int64) + sizes[:-1], sizes)


def _fronts_of_csv(block: TextBlock, data: bytes) -> tuple[list[int], list[bytes]]:
    """Where something is put in, and what."""
    delimiter = block.delimiter or ","
    cells = (f'"{value.replace(chr(34), 2 * chr(34))}"{delimiter}' for _, value in block.columns)
    starts, at = [], 0
    while at < len(data):
        starts.append(at)
        at = csv_record_end(data, at, delimiter)
    return starts, ["".join(cells).encode("utf-8", "surrogateescape")] * len(starts)


def _fronts_of_json(block: TextBlock, data: bytes) -> tuple[list[int], list[bytes]]:
    members = [(json.dumps(name).encode(), json.dumps(value).encode()) for name, value in block.columns]
    starts, fronts = [], []
    for match in _OBJECT.finditer(data):
        front = b"".join(name + b":" + value + b"," for name, value in members if name not in match[0])
        if front:
            starts.append(match.end(1))
            fronts.append(front)
    return starts, fronts
