"""Typed columns to exact integers and texts: values, and which rows they hold for.

A row that is not good here is not bad: the scalar decoder judges it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.arrow import filled_numbers_of, long_offsets_of, nulls_of, spans_of
from oncefold.columnar.arrays import Int64s, read_only
from oncefold.columnar.label_kernels import window_second
from oncefold.columnar.parse_kernels import parse_scaled, parse_time
from oncefold.columnar.plan import COMMON_FORMAT, NO_ZONE, ZoneTables
from oncefold.columnar.primitives import hash_bytes
from oncefold.columnar.time_kernels import parse_local, shift_to_zone
from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import VERSION_MAX
from oncefold.deferred import Deferred
from oncefold.kernels.declare import kernel

pc: Any = Deferred("pyarrow.compute")

Mask = npt.NDArray[np.bool_]
_EXACT_FLOAT = 10**15
"""Decimals of up to 15 digits survive the way through a binary double (IEEE 754; DBL_DIG)."""

_DECIMAL_BITS = 128
"""Of a decimal in Arrow, unless its type says otherwise."""

UNIT_NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9
_UUID_BYTES, _UUID_TEXT = 16, 36
_UUID_DIGITS = [at for at in range(_UUID_TEXT) if at not in {8, 13, 18, 23}]
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_SAFE_DAYS = 90_000
"""Days around 1970 whose nanoseconds surely fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Integers:
    """A column as int64: `good` rows hold a value, `missing` rows are null; the others need the scalar decoder.

    The arrays are the caller's.
    """

    values: Int64s
    good: Mask
    missing: Mask


@dataclass(frozen=True, slots=True)
class Texts:
    """A column as large_string without nulls: the same two masks."""

    texts: pa.Array
    good: Mask
    missing: Mask


def column_of(table: pa.RecordBatch, field: FieldPath) -> pa.Array | None:
    """The column of a field: of that dotted name, else nested in structs; None if there is neither.

    Where a struct on the way names the next one twice, it is the struct itself, which no field takes for a value.
    Raises SourceError for a table that names the column twice.
    """
    names = table.schema.names
    name = field.column if field.column in names else field.segments[0]
    if names.count(name) > 1:
        raise SourceError(f"the table names the column {name!r} twice; every column that is read needs its own name")
    if field.column in names:
        return table.column(field.column)
    return _nested(table.column(field.segments[0]), field.segments[1:]) if field.segments[0] in names else None


def ambiguous_name(table: pa.RecordBatch, field: FieldPath) -> str | None:
    """The name on the way to a field that is twice in one struct, if one is."""
    if field.column in table.schema.names or field.segments[0] not in table.schema.names:
        return None
    kind = table.schema.field(field.segments[0]).type
    for segment in field.segments[1:]:
        if not pa.types.is_struct(kind):
            return None
        found = kind.get_all_field_indices(segment)
        if len(found) > 1:
            return segment
        if not found:
            return None
        kind = kind.field(found[0]).type
    return None


def _nested(column: pa.Array, segments: tuple[str, ...]) -> pa.Array | None:
    for segment in segments:
        if not pa.types.is_struct(column.type):
            return None
        times = len(column.type.get_all_field_indices(segment))
        if times > 1:
            return column
        if not times:
            return None
        column = pc.struct_field(column, segment)
    return column


def none_of(rows: int) -> Integers:
    """A column that does not exist: all missing."""
    return Integers(np.zeros(rows, np.int64), np.zeros(rows, np.bool_), np.ones(rows, np.bool_))


def texts_of(column: pa.Array | None, rows: int) -> Texts:
    """Text as it is, integers and decimals of scale 0 as their digits, UUIDs as their text."""
    if column is None:
        return Texts(pa.array([""] * rows, pa.large_string()), np.zeros(rows, np.bool_), np.ones(rows, np.bool_))
    missing = nulls_of(column)
    if isinstance(column.type, pa.UuidType):
        return Texts(_uuid_texts(column), ~missing, missing)
    is_whole = pa.types.is_integer(column.type) or (pa.types.is_decimal(column.type) and column.type.scale == 0)
    if _is_text(column.type) or is_whole:
        return Texts(_text_array(column), ~missing, missing)
    return Texts(pa.array([""] * rows, pa.large_string()), np.zeros(rows, np.bool_), missing)


def categories_of(column: pa.Array | None, rows: int) -> tuple[Int64s, pa.Array, Mask, Mask]:
    """Text of which much repeats: (code of each row, texts by code as large_string, good rows, missing rows)."""
    if column is not None and _is_plain_dictionary(column):
        missing = nulls_of(column.indices)
        return filled_numbers_of(column.indices), _text_array(column.dictionary), ~missing, missing
    texts = texts_of(column, rows)
    encoded = texts.texts.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary, texts.good, texts.missing


def scaled(column: pa.Array | None, rows: int, scale: int, *, rounds: bool) -> Integers:
    """Numbers as mantissas at a scale, exact."""
    if column is None:
        return none_of(rows)
    missing = nulls_of(column)
    kind = column.type
    if pa.types.is_integer(kind):
        values, good = _rescaled(*_wide(column), scale)
    elif pa.types.is_decimal(kind) and kind.precision <= 38:
        values, good = _decimals(column, scale)
    elif pa.types.is_floating(kind):
        values, good = _floats(column, scale)
    elif _is_text(kind):
        return _parsed(column, missing, scale, rounds=rounds, timed=False)
    else:
        values, good = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    return Integers(values, good & ~missing, missing)


def nanoseconds(
    column: pa.Array | None, rows: int, places: int, zone: int = NO_ZONE, zones: ZoneTables | None = None
) -> Integers:
    """Times as nanoseconds since the epoch; numbers are epoch numbers with `places` decimals to the nanosecond.

    Those that name no offset are of a zone of the tables.
    """
    if column is None:
        return none_of(rows)
    kind = column.type
    missing = nulls_of(column)
    if pa.types.is_timestamp(kind):
        values, good = _multiplied(filled_numbers_of(column.view(pa.int64())), UNIT_NANOS[kind.unit])
        zone = zone if kind.tz is None else NO_ZONE
    elif pa.types.is_date(kind):
        days = filled_numbers_of(column.cast(pa.date32()).view(pa.int32())).astype(np.int64)
        good = np.abs(days) < _SAFE_DAYS
        values = np.where(good, days, 0) * _DAY
    elif _is_text(kind):
        return _parsed(column, missing, places, rounds=False, timed=True, zone=zone, zones=zones)
    else:
        return scaled(column, rows, places, rounds=False)
    if zone != NO_ZONE and zones is not None:
        shift_to_zone(values, zone, zones)
    return Integers(values, good & ~missing, missing)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_plain_dictionary(column: pa.Array) -> bool:
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type):
        return False
    return len(column.dictionary) > 0 and column.dictionary.null_count == 0


def _text_array(column: pa.Array) -> pa.Array:
    """As large_string whose nulls are empty."""
    if not column.null_count and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return long_offsets_of(column)
    texts = column.cast(pa.large_string())
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    return texts


def _uuid_texts(column: pa.Array) -> pa.Array:
    """The 36 characters of each UUID; anything for a null."""
    storage = column.storage
    if storage.null_count:
        storage = pc.fill_null(storage, bytes(_UUID_BYTES))
    octets = np.frombuffer(storage.buffers()[1], np.uint8)[_UUID_BYTES * storage.offset :][: _UUID_BYTES * len(storage)]
    texts = np.full((len(storage), _UUID_TEXT), ord("-"), np.uint8)
    nibbles = np.stack([octets >> 4, octets & 15], axis=-1).reshape(len(storage), 2 * _UUID_BYTES)
    texts[:, _UUID_DIGITS] = _HEX[nibbles]
    offsets = np.arange(0, _UUID_TEXT * (len(storage) + 1), _UUID_TEXT, dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_string(), len(storage), [None, pa.py_buffer(offsets), pa.py_buffer(texts.reshape(-1))]
    )


def _wide(column: pa.Array) -> tuple[Int64s, Mask]:
    """The values, which may be those of the column itself, and which of them fit."""
    values = filled_numbers_of(column)
    if values.dtype == np.uint64:
        return values.astype(np.int64), values <= np.uint64(VERSION_MAX)
    return values.astype(np.int64, copy=False), np.ones(len(values), np.bool_)


def _rescaled(values: Int64s, good: Mask, shift: int) -> tuple[Int64s, Mask]:
    scaled_up, fits = _multiplied(values, 10**shift)
    return scaled_up, good & fits


def _multiplied(values: Int64s, factor: int) -> tuple[Int64s, Mask]:
    products, good = np.empty(len(values), np.int64), np.empty(len(values), np.bool_)
    multiply(read_only(values), factor, VERSION_MAX // factor, products, good)
    return products, good


def _decimals(column: pa.Array, scale: int) -> tuple[Int64s, Mask]:
    shift = scale - column.type.scale
    if is_narrow(column.type):
        low = _narrow_values(column)
        good = np.ones(len(low), np.bool_)
        if 0 <= shift <= 18:
            return _multiplied(low, 10**shift)
    else:
        halves = _halves(column)
        if 0 <= shift <= 18:
            products, good = np.empty(len(column), np.int64), np.empty(len(column), np.bool_)
            multiply_halves(read_only(halves), 10**shift, VERSION_MAX // 10**shift, products, good)
            return products, good
        low, high = halves[0::2], halves[1::2]
        good = high == low >> 63
    if abs(shift) > 18:
        return np.zeros_like(low), good & (low == 0)
    quotient, rest = np.divmod(low, 10**-shift)
    return quotient, good & (rest == 0)


def is_narrow(kind: pa.DataType) -> bool:
    """Whether a type is of decimals of 32 or 64 bits."""
    return bool(pa.types.is_decimal(kind) and kind.bit_width < _DECIMAL_BITS)


def wide(column: pa.Array) -> pa.Array:
    """The same values; decimals of fewer bits have 128, which all of pyarrow's functions take."""
    if not is_narrow(column.type):
        return column
    low = _narrow_values(column)
    halves = np.empty(2 * len(low), np.int64)
    halves[0::2], halves[1::2] = low, low >> 63
    kind = pa.decimal128(column.type.precision, column.type.scale)
    valid = np.packbits(~nulls_of(column), bitorder="little")
    return pa.Array.from_buffers(kind, len(low), [pa.py_buffer(valid), pa.py_buffer(halves)])


def _narrow_values(column: pa.Array) -> Int64s:
    kind = np.dtype(f"i{column.type.bit_width // 8}")
    values = np.frombuffer(column.buffers()[1] or b"", kind)[column.offset : column.offset + len(column)]
    return values.astype(np.int64, copy=False)


def _halves(column: pa.Array) -> Int64s:
    column = column.cast(pa.decimal128(38, column.type.scale)) if not pa.types.is_decimal128(column.type) else column
    return np.frombuffer(column.buffers()[1], np.int64)[2 * column.offset : 2 * (column.offset + len(column))]


def _floats(column: pa.Array, scale: int) -> tuple[Int64s, Mask]:
    floats = filled_numbers_of(column if pa.types.is_float64(column.type) else column.cast(pa.float64()))
    power = float(10**scale)
    with np.errstate(all="ignore"):
        mantissas = np.rint(floats * power)
        good = np.abs(mantissas) < _EXACT_FLOAT
        good &= mantissas / power == floats
        return np.where(good, mantissas, 0).astype(np.int64), good


def _parsed(
    column: pa.Array,
    missing: Mask,
    places: int,
    *,
    rounds: bool,
    timed: bool,
    zone: int = NO_ZONE,
    zones: ZoneTables | None = None,
) -> Integers:
    texts = _text_array(column)
    data, offsets = spans_of(texts)
    values = np.zeros(len(texts), np.int64)
    good = ~missing
    if zone != NO_ZONE and zones is not None:
        parse_local_spans(read_only(data), offsets, places, zone, zones, values, good)
    else:
        parse_spans(read_only(data), offsets, places, int(rounds), timed, values, good)
    return Integers(values, good, missing)


@kernel("const u8[], const i64[], i64[], i32[], u32[], const u64[]")
def measure_spans(data: Any, offsets: Any, starts: Any, lengths: Any, hashes: Any, seed: Any) -> None:
    """Start, length and hash of every span."""
    for i in range(len(hashes)):
        length = offsets[i + 1] - offsets[i]
        starts[i] = offsets[i]
        lengths[i] = length
        hashes[i] = hash_bytes(data, offsets[i], length, seed)


@kernel("const i64[], i64, i64, i64[], bool[]")
def multiply(values: Any, factor: int, most: int, products: Any, good: Any) -> None:
    """The product of each value by `factor`; 0, and not good, for values beyond `most`."""
    for i in range(len(values)):
        good[i] = -most <= values[i] <= most
        products[i] = values[i] * factor if good[i] else 0


@kernel("const i64[], i64, i64, i64[], bool[]")
def multiply_halves(halves: Any, factor: int, most: int, products: Any, good: Any) -> None:
    """The same for numbers of 128 bits, each as its low and its high half."""
    for i in range(len(products)):
        low = halves[2 * i]
        good[i] = halves[2 * i + 1] == low >> 63 and -most <= low <= most
        products[i] = low * factor if good[i] else 0


@kernel("const i64[], i64, i64[], bool[]")
def keep_below(values: Any, limit: int, kept: Any, good: Any) -> None:
    """Copy what is good; it stays good only within the limit. The others are 0."""
    for i in range(len(values)):
        kept[i] = values[i] if good[i] else 0
        good[i] = good[i] and -limit < values[i] < limit


@kernel("const i32[], i64, i64[]")
def combine(codes: Any, size: int, combined: Any) -> None:
    """Append one more digit, below `size`, to every number."""
    for i in range(len(combined)):
        combined[i] = combined[i] * size + codes[i]


@kernel("const i64[], const bool[], i32[], i64[], i32[]", returns="i64")
def number_by_appearance(values: Any, good: Any, numbers: Any, distinct: Any, out: Any) -> int:
    """Number the values of good rows as they come up; how many there are.

    `numbers` holds -1 for each value that may come up, `out` 0 for each row.
    """
    count = 0
    for i in range(len(values)):
        if good[i]:
            if numbers[values[i]] < 0:
                numbers[values[i]] = count
                distinct[count] = values[i]
                count += 1
            out[i] = numbers[values[i]]
    return count


@kernel("const u8[], const i64[], i64, i64, bool, i64[], bool[]")
def parse_spans(data: Any, offsets: Any, places: int, rounds: int, timed: bool, values: Any, good: Any) -> None:
    """Numbers or times out of text spans; good[i] is cleared where the common forms do not fit."""
    for i in range(len(values)):
        if good[i]:
            if timed:
                good[i], values[i] = parse_time(data, offsets[i], offsets[i + 1], places)
            else:
                good[i], values[i] = parse_scaled(data, offsets[i], offsets[i + 1], places, rounds)


@kernel("const u8[], const i64[], i64, i64", ZoneTables, "i64[], bool[]")
def parse_local_spans(data: Any, offsets: Any, places: int, zone: int, zones: Any, values: Any, good: Any) -> None:
    """Times of a zone out of text spans; good[i] is cleared where the common forms do not fit."""
    for i in range(len(values)):
        if good[i]:
            good[i], values[i] = parse_local(data, offsets[i], offsets[i + 1], places, zone, COMMON_FORMAT, zones)


@kernel("i64[], const i64[,], i64")
def window_seconds(times: Any, levels: Any, v: int) -> None:
    """Replace times in nanoseconds by the starts of their windows at level v of a plan, in seconds."""
    for i in range(len(times)):
        times[i] = window_second(times[i], levels, v)
