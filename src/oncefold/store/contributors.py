"""Which keys make a measure of a node what it is."""

from dataclasses import dataclass, replace

import numpy as np

from oncefold.commit import Int64s, States
from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError
from oncefold.core.measures import NO_VALUE, Measure, Place
from oncefold.store.amounts import exact_sum
from oncefold.store.connection import Connection
from oncefold.store.keys import key_texts
from oncefold.store.node_amounts import LeafNodes, other_amounts
from oncefold.store.texts import TextReader


@dataclass(frozen=True, slots=True)
class Contributors:
    """Asks for the keys that make a measure; of a `distinct` those with one value, if there is one."""

    measure: str | None = None
    """None for all keys that count."""
    value: str | None = None


EVERY_KEY = Contributors()


def amounts_of_rows(connection: Connection, pipeline: Pipeline, states: States, counted: Int64s) -> tuple[int, ...]:
    """The amounts that these live keys make together."""
    summed = [exact_sum(column[counted]) for column in states.measures[: pipeline.layout.sums]]
    if not pipeline.engine_only:
        return tuple(summed)
    together = replace(states, leaf=np.full(len(states.leaf), -1, np.int32))
    together.leaf[counted] = 0
    node = np.zeros(1, np.int64)
    others = other_amounts(connection, pipeline, together, LeafNodes(node, node, 1, 1))
    return (*summed, *(value for (value,) in others))


def contributing_rows(
    connection: Connection,
    pipeline: Pipeline,
    states: States,
    counted: Int64s,
    amounts: tuple[int, ...],
    contributors: Contributors,
) -> Int64s:
    """Of the rows that count those that make a measure what it is, in order.

    Of a least or greatest value the keys that have it, of a first or last one the key that has it, of the others all
    keys that take part. Raises QueryError for a measure or a value that does not exist.
    """
    if contributors.measure is None:
        if contributors.value is not None:
            raise QueryError("a value is one of a measure's: name the measure, too")
        return counted
    measure, place = _measure(pipeline, contributors)
    column = states.measures[place.column][counted]
    if measure.kind in {"first", "last"}:
        return _by_time(connection, states, counted, column, pipeline.layout.time, last=measure.kind == "last")
    if measure.kind == "distinct":
        makes = column >= 0 if contributors.value is None else column == TextReader(connection).code(contributors.value)
    elif measure.kind in {"min", "max"}:
        makes = (column == amounts[place.amount]) & (column != NO_VALUE)
    elif measure.kind == "sum":
        makes = np.ones(len(counted), np.bool_)
    else:
        makes = states.measures[place.column + (measure.kind == "avg")][counted] != 0
    found: Int64s = counted[makes]
    return found


def _measure(pipeline: Pipeline, contributors: Contributors) -> tuple[Measure, Place]:
    for measure, place in zip(pipeline.measures, pipeline.layout.places, strict=True):
        if measure.name == contributors.measure:
            if contributors.value is not None and measure.kind != "distinct":
                raise QueryError(f"{measure.name} is a {measure.kind}; only of a distinct one value can be asked for")
            return measure, place
    known = ", ".join(measure.name for measure in pipeline.measures) or "none"
    raise QueryError(f"there is no measure {contributors.measure!r}; there is: {known}")


def _by_time(
    connection: Connection, states: States, counted: Int64s, column: Int64s, time_column: int, *, last: bool
) -> Int64s:
    """The row of the first or last key with a value."""
    times = states.measures[time_column][counted]
    known = (column != NO_VALUE) & (times != NO_VALUE)
    if not known.any():
        return np.zeros(0, np.int64)
    best = times[known].max() if last else times[known].min()
    rows = counted[known & (times == best)]
    keys = [key.encode() for key in key_texts(connection, rows)]
    at = keys.index(max(keys) if last else min(keys))
    return np.array([rows[at]], np.int64)
