"""Answers as columns: one description from which both the rows of Python values and the Arrow table are made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa

from oncefold.core.timestamps import parse_timestamp

DIGITS_128, DIGITS_256 = 38, 76
"""Digits that Arrow's two kinds of decimals hold."""

Kind = Literal["int", "text", "bytes", "time", "decimal"]

_TYPES = {
    "int": pa.int64(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "time": pa.timestamp("ns", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one kind; times are RFC 3339 texts, exact to the nanosecond, and None is null in every kind."""

    name: str
    kind: Kind
    values: Sequence[Any]
    scale: int = 0

    def to_arrow(self) -> pa.Array:
        """The values as an Arrow array."""
        if self.kind == "decimal":
            return pa.array(self.values, _decimal_type(self.values, self.scale))
        values = self.values
        if self.kind == "time":
            values = [None if text is None else parse_timestamp(text) for text in values]
        return pa.array(values, _TYPES[self.kind])


def _decimal_type(values: Sequence[Decimal | None], scale: int) -> pa.DataType:
    digits = max((len(value.as_tuple().digits) for value in values if value is not None), default=0)
    return pa.decimal128(DIGITS_128, scale) if digits <= DIGITS_128 else pa.decimal256(DIGITS_256, scale)


def amount_columns(
    taken: Sequence[str], scales: Mapping[str, int], amounts: Sequence[Mapping[str, Decimal]], prefix: str = ""
) -> Iterator[Column]:
    """A column for each measure. Its name is the measure's, after `sum_` where a column of another kind has that."""
    used = {*taken, *(f"{prefix}{measure}" for measure in scales)}
    for measure, scale in scales.items():
        name = f"{prefix}{measure}"
        if name in taken:
            while name in used:
                name = f"sum_{name}"
            used.add(name)
        yield Column(name, "decimal", [row.get(measure) for row in amounts], scale)


def to_dicts(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The rows, each a dictionary by column."""
    names = [column.name for column in columns]
    rows = zip(*(column.values for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def to_arrow(columns: Sequence[Column], metadata: Mapping[str, str]) -> pa.Table:
    """The columns as an Arrow table; the metadata of its schema is `oncefold.`-prefixed."""
    fields = {f"oncefold.{name}": value for name, value in metadata.items()}
    arrays = [column.to_arrow() for column in columns]
    schema = pa.schema([pa.field(c.name, a.type) for c, a in zip(columns, arrays, strict=True)], fields)
    return pa.Table.from_arrays(arrays, schema=schema)
