"""`history`: what arrived for one key, and what stands."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.store import keyquestions, moments, rows
from oncefold.store.answers import Arrival, KeyHistory, KeyState
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError
from oncefold.store.schema import read_meta


def of_row(connection: Connection, key: str, row: int, pipeline: Pipeline, *, every: bool) -> KeyHistory:
    """The history of the key in this row. Raises DamagedError if its state is nowhere."""
    leaves, measures = rows.read_leaves(connection, len(pipeline.levels)), len(pipeline.measures)
    forgotten = int(read_meta(connection)["changes_from"])
    paged, state = keyquestions.page_state(connection, row, key, leaves, measures)
    stored = list(keyquestions.arrivals(connection, row, leaves, measures))
    for arrival in stored:
        if arrival.outcome.taken and arrival.version is not None and arrival.commit.seq > paged:
            state = KeyState(key, arrival.version, arrival.labels, arrival.measures)
    if state is None:
        raise DamagedError(f"the state of the key {key!r} is missing")
    shown = (arrival for arrival in _completed(stored, state) if every or arrival.outcome.taken)
    dated = [replace(arrival, commit=moments.moment(connection, arrival.commit.seq)) for arrival in shown]
    return KeyHistory(key, state, dated, moments.moment(connection, forgotten) if forgotten else None)


def _completed(arrivals: Sequence[Arrival], state: KeyState) -> Iterator[Arrival]:
    """Duplicates with what they repeated: the taken event before them, or the state if none was taken since."""
    content: tuple[int | None, tuple[str, ...] | None, tuple[int, ...]] = (None, None, ())
    if not any(arrival.outcome.taken for arrival in arrivals):
        content = (state.version, state.labels, state.measures)
    for arrival in arrivals:
        if arrival.outcome.taken:
            content = (arrival.version, arrival.labels, arrival.measures)
        if arrival.outcome is Outcome.DUPLICATE:
            yield Arrival(arrival.commit, arrival.outcome, *content)
        else:
            yield arrival
