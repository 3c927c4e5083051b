"""Blocks of very many, very short records, cut further: decoded, a record takes as much however short it is."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from oncefold.columnar.arrays import read_only
from oncefold.columnar.csv_scan import record_ends
from oncefold.columnar.primitives import count_newlines
from oncefold.sources.blocks import TextBlock

MOST_ROWS: Final = 2**16
"""Records that are decoded at once, about."""


def is_dense(body: bytes) -> bool:
    """Whether a body has so many lines for its size that it is better cut."""
    return body.count(b"\n") > MOST_ROWS // 16


def thinned(block: TextBlock) -> Iterator[TextBlock]:
    """The same records in blocks of MOST_ROWS each; the block itself, if it has no more."""
    data = read_only(np.frombuffer(block.data, np.uint8))
    if len(data) <= MOST_ROWS or count_newlines(data) <= MOST_ROWS:
        yield block
        return
    if block.format == "csv":
        ends = record_ends(data, ord(block.delimiter or ","))
    else:
        ends = np.flatnonzero(data == ord("\n")) + 1
    edges = [0, *ends[MOST_ROWS - 1 : -1 : MOST_ROWS].tolist(), len(data)]
    for start, end in pairwise(edges):
        part = replace(block, data=block.data[start:end], offset=block.offset + start)
        yield part if start == 0 else replace(part, oversize=())
