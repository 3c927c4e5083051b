"""Measures: what a definition asks every node for, and the numbers that keys and nodes keep for it.

A key keeps *columns*: whole numbers, and texts behind them. A node keeps *amounts*: whole numbers that change from
commit to commit. The first amounts are sums over the keys of the column of the same number (`Layout.sums`); the others
are computed from the keys' columns by the engine. What a measure shows is computed from its amounts, exactly.

NULL, and a field that is missing, takes no part in any measure but `sum`, which rejects it or takes it for zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oncefold.core.expression import Expression, Source
from oncefold.core.limits import MEASURE_LIMIT

MeasureKind = Literal["sum", "count", "avg", "min", "max", "distinct", "first", "last"]

ADDITIVE = frozenset({"sum", "count", "avg"})
"""Measures whose amounts are sums over keys. The others are the engine's alone."""

UNSCALED = frozenset({"count", "distinct"})
"""Measures that count, and have no decimal places."""

NULLABLE = frozenset({"avg", "min", "max", "first", "last"})
"""Measures of numbers that are NULL where no key has a value: a node keeps two amounts of each."""

NO_VALUE = -(2**63)
"""NULL in a column of a key; every number is greater."""

assert -MEASURE_LIMIT > NO_VALUE


@dataclass(frozen=True, slots=True)
class Measure:
    """A value that every node keeps, exact at `scale` decimal places."""

    name: str
    """Names a column of the answers: a letter, then letters, digits, - or _."""
    field: Source
    """Where the number, the condition or the text is in an event."""
    scale: int = 0
    """Decimal places, from 0 to 18. A number with more is rejected."""
    round: Literal["half-even"] | None = None
    """How a number with more decimal places is rounded instead of rejected."""
    missing: Literal["reject", "zero"] = "reject"
    """Of a sum: what an event without the field means."""
    kind: MeasureKind = "sum"
    """What is made of the values of the live keys below a node."""

    @property
    def is_condition(self) -> bool:
        """Whether it is of something that is true or false of an event."""
        return isinstance(self.field, Expression) and self.field.tree.kind == "boolean"


ColumnForm = Literal["number", "present", "true", "time", "text"]


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A number or text that every key keeps."""

    form: ColumnForm
    """The field's number; 1 where the field is not NULL, else 0; 1 where it is true, else 0; the event's time; or
    the field's text."""
    field: Source | None = None
    """None for the event's time."""
    scale: int = 0
    round: Literal["half-even"] | None = None
    missing: Literal["reject", "zero", "null"] = "reject"
    """Of a number: what an event without the field means."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number that every node keeps."""

    name: str
    """The measure's name, and what of it this is, if there are several: no name of a measure holds a point."""
    scale: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a measure's columns and amounts begin."""

    column: int
    amount: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of keys and amounts of nodes that some measures need."""

    measures: tuple[Measure, ...]
    columns: tuple[KeyColumn, ...]
    """Summed ones, numbers that may be NULL, the event's time, texts."""
    amounts: tuple[Amount, ...]
    sums: int
    """The first so many columns are added up; their sums are the amounts of the same numbers."""
    places: tuple[Place, ...]
    """Of each measure."""
    direct: bool
    """Whether each measure shows its one amount, in order."""

    @property
    def texts(self) -> int:
        """How many columns are texts; they are the last."""
        return sum(column.form == "text" for column in self.columns)

    @property
    def time(self) -> int:
        """The column of the event's time; -1 if there is none."""
        return next((index for index, column in enumerate(self.columns) if column.form == "time"), -1)

    @property
    def numbers(self) -> int:
        """How many columns are numbers; they are the first."""
        return len(self.columns) - self.texts

    def values(self, amounts: Sequence[int]) -> tuple[int | None, ...]:
        """What a node with these amounts shows of each measure, at the measure's scale; None for NULL."""
        if self.direct:
            return tuple(amounts)
        pairs = zip(self.measures, self.places, strict=True)
        return tuple(_value(measure.kind, amounts, place.amount) for measure, place in pairs)

    def amounts_of(self, measure: int) -> range:
        """The numbers of the amounts that a measure's value is computed from."""
        at = self.places[measure].amount
        return range(at, at + _amount_count(self.measures[measure].kind))

    def value(self, measure: int, amounts: Sequence[int]) -> int | None:
        """What a node shows of one measure, at its scale, from the amounts of `amounts_of`; None for NULL."""
        return _value(self.measures[measure].kind, amounts, 0)

    def values_of_key(self, numbers: Sequence[int], texts: Sequence[str | None]) -> tuple[int | str | None, ...]:
        """What a key with these columns adds to each measure, at the measure's scale; None for NULL."""
        pairs = zip(self.measures, self.places, strict=True)
        return tuple(_key_value(measure.kind, place.column, numbers, texts) for measure, place in pairs)


def layout_of(measures: tuple[Measure, ...]) -> Layout:
    """The columns and amounts of these measures; equal values of keys are kept once, but for sums."""
    summed: list[KeyColumn] = []
    shared = _shared_columns(measures)
    amounts: list[Amount] = []
    behind: list[Amount] = []
    sums = sum(_SUMMED.get(measure.kind, 0) for measure in measures)
    places = []
    for measure in measures:
        if measure.kind in ADDITIVE:
            places.append(Place(len(summed), len(amounts)))
            summed += _summed_columns(measure)
            amounts += _amounts_of(measure)
        else:
            places.append(Place(sums + shared.index(column_of(measure)), sums + len(behind)))
            behind += _amounts_of(measure)
    all_amounts = (*amounts, *behind)
    direct = [amount.name for amount in all_amounts] == [measure.name for measure in measures]
    return Layout(measures, (*summed, *shared), all_amounts, sums, tuple(places), direct)


_SUMMED = {"sum": 1, "count": 1, "avg": 2}


def _shared_columns(measures: tuple[Measure, ...]) -> list[KeyColumn]:
    engine_only = [measure for measure in measures if measure.kind not in ADDITIVE]
    columns = [column_of(measure) for measure in engine_only]
    if any(measure.kind in {"first", "last"} for measure in engine_only):
        columns.append(KeyColumn("time"))
    order = ("number", "time", "text")
    return sorted(dict.fromkeys(columns), key=lambda column: order.index(column.form))


def column_of(measure: Measure) -> KeyColumn:
    """The column that holds a key's value of a measure that is no sum."""
    if measure.kind == "distinct":
        return KeyColumn("text", measure.field, missing="null")
    return KeyColumn("number", measure.field, measure.scale, measure.round, "null")


def _summed_columns(measure: Measure) -> list[KeyColumn]:
    if measure.kind == "sum":
        return [KeyColumn("number", measure.field, measure.scale, measure.round, measure.missing)]
    if measure.kind == "count":
        return [KeyColumn("true" if measure.is_condition else "present", measure.field)]
    number = KeyColumn("number", measure.field, measure.scale, measure.round, "zero")
    return [number, KeyColumn("present", measure.field)]


def _amount_count(kind: MeasureKind) -> int:
    return 2 if kind in NULLABLE else 1


def _amounts_of(measure: Measure) -> list[Amount]:
    if measure.kind not in NULLABLE:
        return [Amount(measure.name, measure.scale)]
    if measure.kind == "avg":
        return [Amount(f"{measure.name}.sum", measure.scale), Amount(f"{measure.name}.count", 0)]
    return [Amount(f"{measure.name}.value", measure.scale), Amount(f"{measure.name}.exists", 0)]


def _value(kind: MeasureKind, amounts: Sequence[int], at: int) -> int | None:
    if kind not in NULLABLE:
        return amounts[at]
    if not amounts[at + 1]:
        return None
    return quotient(amounts[at], amounts[at + 1]) if kind == "avg" else amounts[at]


def quotient(dividend: int, divisor: int) -> int:
    """The whole number next to dividend / divisor, of two equally near ones the even; the divisor is positive."""
    whole, rest = divmod(dividend, divisor)
    twice = 2 * rest
    return whole + (twice > divisor or (twice == divisor and whole % 2 == 1))


def _key_value(kind: MeasureKind, at: int, numbers: Sequence[int], texts: Sequence[str | None]) -> int | str | None:
    if kind == "distinct":
        return texts[at - len(numbers)]
    if kind in {"sum", "count"}:
        return numbers[at]
    if kind == "avg":
        return numbers[at] if numbers[at + 1] else None
    return None if numbers[at] == NO_VALUE else numbers[at]
