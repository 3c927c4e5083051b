"""Finds where CSV records end, over raw bytes.

The rule is RFC 4180 as csv.reader reads it: a quote opens a quoted field only as the first byte of a field; inside, a
doubled quote is a quote and everything else, newlines too, is text; after the closing quote whatever comes before the
next delimiter is text. A record ends at a line feed outside quotes; a carriage return ends nothing by itself.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from oncefold.kernels.declare import kernel

OUTSIDE: Final = 0
INSIDE: Final = 1
CLOSING: Final = 2
"""After a quote inside quotes: the next byte says whether it was doubled or closed the field."""

_QUOTE: Final = 0x22
_LINE_FEED: Final = 0x0A


@kernel("const u8[], i64, i64, i64, i64, i64, i64", returns="(i64, i64)")
def scan(
    data: npt.NDArray[np.uint8], record: int, low: int, high: int, state: int, delimiter: int, first: int
) -> tuple[int, int]:
    """Read data[low:high] on from `state`; `record` is where some record begins, at or before `low`.

    Returns the index after the last record end found, or after the first if `first` is not 0 (-1 if none), and the
    state after the bytes read.
    """
    end = -1
    at = low
    while at < high:
        if state == INSIDE:
            while at < high and data[at] != _QUOTE:
                at += 1
            if at < high:
                state = CLOSING
                at += 1
            continue
        if state == CLOSING:
            if data[at] == _QUOTE:
                state = INSIDE
                at += 1
                continue
            state = OUTSIDE
        while at < high:
            byte = data[at]
            at += 1
            if byte == _LINE_FEED:
                end = at
                if first:
                    return end, OUTSIDE
            elif byte == _QUOTE and (at - 1 == record or data[at - 2] == _LINE_FEED or data[at - 2] == delimiter):
                state = INSIDE
                break
    return end, state
