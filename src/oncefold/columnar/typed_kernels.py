"""Loops over typed columns that pyarrow has no function for."""

from typing import Any

import numpy as np

from oncefold.columnar.assemble import window_second
from oncefold.columnar.native import hash_bytes, kernel
from oncefold.columnar.text_kernels import parse_scaled, parse_time


@kernel
def hash_spans(data: Any, starts: Any, lengths: Any, hashes: Any) -> None:
    """The hash of every span."""
    for i in range(len(hashes)):
        hashes[i] = hash_bytes(data, starts[i], np.int64(lengths[i]))


@kernel
def parse_spans(data: Any, offsets: Any, places: int, rounds: int, timed: bool, values: Any, good: Any) -> None:
    """Numbers or times out of text spans; good[i] is cleared where the common forms do not fit."""
    for i in range(len(values)):
        if good[i]:
            if timed:
                good[i], values[i] = parse_time(data, offsets[i], offsets[i + 1], places)
            else:
                good[i], values[i] = parse_scaled(data, offsets[i], offsets[i + 1], places, rounds)


@kernel
def window_seconds(times: Any, levels: Any, v: int) -> None:
    """Replace times in nanoseconds by the starts of their windows at level v of a plan, in seconds."""
    for i in range(len(times)):
        times[i] = window_second(times[i], levels, v)
