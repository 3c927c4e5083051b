"""Exact sums as they are kept: pairs of 64-bit columns, decimal text, and whole numbers.

value = high x 2**32 + low with 0 <= low < 2**32, so that the sum of 2**31 mantissas cannot overflow either column.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation

import numpy as np
import pyarrow as pa

from oncefold.commit import Int64s
from oncefold.core.decimals import format_decimal
from oncefold.store.errors import DamagedError

LOW_BITS = 32
LOW_MASK = 2**LOW_BITS - 1
DIGITS = 38
_PLAIN_SCALE = 6
"""Up to this scale Arrow never writes a decimal with an exponent."""


FEW = 2_000
"""So many values are converted one by one: Arrow's casts import its compute functions, for a tenth of a second."""
_EXACT = Context(prec=2 * DIGITS, traps=[InvalidOperation, Inexact])


def carried(high: Int64s, low: Int64s) -> tuple[Int64s, Int64s]:
    """The same values with every low brought into its range."""
    return high + (low >> LOW_BITS), low & LOW_MASK


def to_ints(high: Int64s, low: Int64s) -> list[int]:
    """The values as whole numbers."""
    return [(h << LOW_BITS) + lo for h, lo in zip(high.tolist(), low.tolist(), strict=True)]


def from_ints(values: Sequence[int]) -> tuple[Int64s, Int64s]:
    """The values as pairs."""
    high = np.fromiter((value >> LOW_BITS for value in values), np.int64, len(values))
    low = np.fromiter((value & LOW_MASK for value in values), np.int64, len(values))
    return high, low


def to_texts(high: Int64s, low: Int64s, scale: int) -> list[str]:
    """The values as decimal text with exactly `scale` places."""
    if len(high) <= FEW:
        return [format_decimal(value, scale) for value in to_ints(high, low)]
    high, low = carried(high, low)
    halves = np.empty((len(high), 2), np.int64)
    np.bitwise_or(high << LOW_BITS, low, out=halves[:, 0])
    np.right_shift(high, LOW_BITS, out=halves[:, 1])
    decimals = pa.Array.from_buffers(pa.decimal128(DIGITS, scale), len(high), [None, pa.py_buffer(halves)])
    texts: list[str] = decimals.cast(pa.string()).to_pylist()
    if scale <= _PLAIN_SCALE:
        return texts
    ints = to_ints(high, low)
    return [format_decimal(ints[i], scale) if "E" in text else text for i, text in enumerate(texts)]


def exact_sum(values: Int64s) -> int:
    """The sum of up to 2**31 mantissas."""
    return (int((values >> LOW_BITS).sum()) << LOW_BITS) + int((values & LOW_MASK).sum())


def from_texts(texts: Sequence[str], scale: int) -> tuple[Int64s, Int64s]:
    """The pairs behind decimal texts. Raises DamagedError for a text that is no decimal of this scale."""
    try:
        if len(texts) <= FEW:
            return from_ints([_scaled(text, scale) for text in texts])
        decimals = _strings(texts).cast(pa.decimal128(DIGITS, scale))
    except (pa.ArrowInvalid, AttributeError, ArithmeticError, TypeError, ValueError) as error:
        raise DamagedError(f"a total is not a decimal of scale {scale}: {error}") from None
    halves = np.frombuffer(decimals.buffers()[1], np.int64, 2 * len(texts)).reshape(-1, 2)
    return (halves[:, 1] << LOW_BITS) | ((halves[:, 0] >> LOW_BITS) & LOW_MASK), halves[:, 0] & LOW_MASK


def _scaled(text: str, scale: int) -> int:
    value = _EXACT.scaleb(Decimal(text), scale)
    if value != value.to_integral_value() or value.adjusted() >= DIGITS:
        raise ValueError(f"{text!r} has more than {scale} places or {DIGITS} digits")
    return int(value)


def _strings(texts: Sequence[str]) -> pa.Array:
    """A column of texts, from its buffers: `pa.array` would load pandas first, where that is installed."""
    parts = [text.encode() for text in texts]
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(parts))]
    return pa.Array.from_buffers(pa.large_string(), len(parts), buffers)
