"""Queries for keys: where a key is, its history, the keys behind a node, and keys by the beginning of their text."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.arrow import index_of, texts_at
from oncefold.commit import NO_LEAF, PAGE_ROWS, Int64s, States, taken, whole_version
from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError
from oncefold.core.fold import Outcome
from oncefold.deferred import Deferred
from oncefold.store import blobs, commits, rows
from oncefold.store.answers import CommitTime, KeyHistory, KeyState, StoredArrival
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError
from oncefold.store.schema import read_meta
from oncefold.store.segments import changes_table, keys_table
from oncefold.store.texts import TextReader

pc: Any = Deferred("pyarrow.compute")

Leaves = Sequence[tuple[str, ...]]
Content = tuple[int, tuple[str, ...] | None, tuple[int, ...], tuple[str | None, ...]]
"""A version, labels, numbers and texts."""


def find_row(connection: Connection, key: str) -> int:
    """The row of a key, searched from the newest keys back. Raises QueryError if it never arrived."""
    table = keys_table(connection)
    for segment in reversed(table.stored()):
        index = index_of(table.read(segment).column(0), key.encode())
        if index >= 0:
            return int(segment.first + index)
    raise QueryError(f"no event with the key {key!r} has arrived")


def key_texts(connection: Connection, wanted: Int64s) -> list[str]:
    """The keys of these rows, which are in ascending order."""
    table = keys_table(connection)
    texts: list[str] = []
    for segment in table.stored():
        here = wanted[(wanted >= segment.first) & (wanted <= segment.last)] - segment.first
        if len(here):
            texts.extend(key.decode() for key in texts_at(table.read(segment).column(0), here))
    return texts


@dataclass(frozen=True, slots=True)
class StateForm:
    """How the states of a pipeline's keys are read from their columns."""

    leaves: Leaves
    pipeline: Pipeline
    texts: TextReader

    @classmethod
    def of(cls, connection: Connection, pipeline: Pipeline) -> "StateForm":
        """That of a store. Raises DamagedError for leaves that cannot be read."""
        return cls(rows.read_leaves(connection, len(pipeline.levels)), pipeline, TextReader(connection))

    @property
    def values(self) -> int:
        """See `Pipeline.value_columns`."""
        return self.pipeline.value_columns

    def content(self, version: int, leaf: int, values: Iterable[int]) -> Content:
        """The version, labels, numbers and texts of a state; None and nothing for a delete."""
        words, layout = tuple(map(int, values)), self.pipeline.layout
        columns = len(layout.columns)
        whole = whole_version(version, words, columns)
        if leaf < 0:
            return whole, None, (), ()
        texts = tuple(self.texts.text(code) for code in words[layout.numbers : columns])
        return whole, self.leaves[leaf], words[: layout.numbers], texts


def all_states(connection: Connection, pipeline: Pipeline, states: States) -> Iterator[KeyState]:
    """The state of every key in the order of its row."""
    form = StateForm.of(connection, pipeline)
    table = keys_table(connection)
    for segment in table.stored():
        rows_here = slice(segment.first, segment.last + 1)
        columns = (states.version[rows_here].tolist(), states.leaf[rows_here].tolist(), states.measures[:, rows_here].T)
        for key, version, leaf, values in zip(table.read(segment).column(0), *columns, strict=True):
            yield KeyState(key.as_py().decode(), *form.content(version, leaf, values))


def page_state(connection: Connection, row: int, key: str, form: StateForm) -> tuple[int, KeyState | None]:
    """The commit of the snapshot page that holds a row, and the row's state there; 0 and None without."""
    commit, columns = _page_row(connection, form.values, row)
    if columns is None:
        return 0, None
    version, leaf, *values = columns
    return commit, KeyState(key, *form.content(int(version), int(leaf), values))


def _page_row(connection: Connection, values: int, row: int) -> tuple[int, list[Any] | None]:
    """The commit of the snapshot page that holds a row, and the row's columns there; 0 and None without."""
    number, index = divmod(row, PAGE_ROWS)
    sql = 'SELECT "commit", n, crc32, blob FROM pages WHERE number = ?'
    found = connection.execute(sql, (number,)).fetchone()
    if found is None or index >= found[1]:
        return 0, None
    commit, n, crc32, blob = found
    batch = blobs.decode(blobs.state_schema(values), n, crc32, blob, f"page {number}")
    return commit, [column[index] for column in blobs.columns(batch)]


def arrivals(connection: Connection, row: int, form: StateForm) -> Iterator[StoredArrival]:
    """Every event of a row that is kept, oldest first; a duplicate without content; the times of commits are 0."""
    table = changes_table(connection, form.values)
    for segment in table.stored():
        commit, changed, outcome, version, leaf, *values = blobs.columns(table.read(segment))
        for i in np.flatnonzero(changed == row).tolist():
            commit_time, became = CommitTime(segment.first + int(commit[i]), 0), Outcome(int(outcome[i]))
            if became is Outcome.DUPLICATE:
                yield StoredArrival(commit_time, became, None, None, ())
            else:
                content = form.content(int(version[i]), int(leaf[i]), (column[i] for column in values))
                yield StoredArrival(commit_time, became, *content)


def rows_of_leaves(leaf: npt.NDArray[np.int32], counted: npt.NDArray[np.bool_]) -> Int64s:
    """The rows whose leaf is counted, in order."""
    live = np.flatnonzero(leaf >= 0)
    return live[counted[leaf[live]]]


def history_of_row(
    connection: Connection, key: str, row: int, pipeline: Pipeline, *, every: bool, up_to: int | None = None
) -> KeyHistory:
    """The history of the key in this row, `up_to` a commit.

    Raises DamagedError if its state is missing, QueryError if the key had no event then, or it is not kept which.
    """
    form = StateForm.of(connection, pipeline)
    forgotten = int(read_meta(connection)["changes_from"])
    paged, state = page_state(connection, row, key, form)
    stored = list(arrivals(connection, row, form))
    if up_to is not None:
        stored = [arrival for arrival in stored if arrival.commit.seq <= up_to]
        if paged > up_to:
            paged, state = 0, None
    for arrival in stored:
        if arrival.outcome.taken and arrival.version is not None and arrival.commit.seq > paged:
            state = KeyState(key, arrival.version, arrival.labels, arrival.measures, arrival.texts)
    if state is None and up_to is not None:
        lost = "it is not kept any more what had" if forgotten else "nothing had"
        raise QueryError(f"{lost} arrived for the key {key!r} by commit {up_to}")
    if state is None:
        raise DamagedError(f"the state of the key {key!r} is missing")
    shown = (arrival for arrival in _completed(stored, state) if every or arrival.outcome.taken)
    dated = [replace(arrival, commit=commits.find(connection, arrival.commit.seq)) for arrival in shown]
    return KeyHistory(key, state, dated, commits.find(connection, forgotten) if forgotten else None)


def _completed(arrivals: Sequence[StoredArrival], state: KeyState) -> Iterator[StoredArrival]:
    """The arrivals, each duplicate with the content it repeated: that of the last taken event, or else the state's."""
    content: tuple[int | None, tuple[str, ...] | None, tuple[int, ...], tuple[str | None, ...]] = (None, None, (), ())
    if not any(arrival.outcome.taken for arrival in arrivals):
        content = (state.version, state.labels, state.measures, state.texts)
    for arrival in arrivals:
        if arrival.outcome.taken:
            content = (arrival.version, arrival.labels, arrival.measures, arrival.texts)
        if arrival.outcome is Outcome.DUPLICATE:
            yield StoredArrival(arrival.commit, arrival.outcome, *content)
        else:
            yield arrival


def find_keys(connection: Connection, pipeline: Pipeline, text: str, limit: int, newest_rows: int) -> list[KeyState]:
    """The key that is the text, then keys among the newest rows that begin with it, at most `limit`, newest first."""
    found_rows = _rows_of_keys(connection, text.encode(), limit, newest_rows)
    if not found_rows:
        return []
    form = StateForm.of(connection, pipeline)
    states = _states(connection, form.values, [row for row, _ in found_rows])
    found = [
        KeyState(key.decode(), *form.content(int(version), int(leaf), values))
        for (_, key), (version, leaf, *values) in zip(found_rows, states, strict=True)
    ]
    return sorted(found, key=lambda item: item.key != text)


def _rows_of_keys(connection: Connection, text: bytes, limit: int, newest_rows: int) -> list[tuple[int, bytes]]:
    table = keys_table(connection)
    exact: list[tuple[int, bytes]] = []
    found: list[tuple[int, bytes]] = []
    seen = 0
    for segment in reversed(table.stored()):
        looking = seen < newest_rows and len(found) < limit
        if exact and not looking:
            break
        seen += segment.rows
        keys = table.read(segment).column(0)
        index = -1 if exact else index_of(keys, text)
        if index >= 0:
            exact = [(segment.first + index, text)]
        if looking:
            begin = np.flatnonzero(pc.starts_with(keys, text).to_numpy(zero_copy_only=False))[::-1][: limit + 1]
            found += [(segment.first + int(i), keys[int(i)].as_py()) for i in begin]
    return [*exact, *(item for item in found if item[1] != text)][:limit]


def _states(connection: Connection, values: int, key_rows: Sequence[int]) -> list[Sequence[Any]]:
    """The version, leaf and values of the keys of these rows: from their pages, then every later change of them."""
    page_commits = np.zeros(len(key_rows), np.int64)
    states: list[Sequence[Any]] = []
    for i, row in enumerate(key_rows):
        page_commits[i], columns = _page_row(connection, values, row)
        states.append(columns or [0, NO_LEAF, *[0] * values])
    order = np.argsort(key_rows)
    sorted_rows = np.array(key_rows, np.int64)[order]
    table = changes_table(connection, values)
    for segment in table.stored():
        if segment.last <= page_commits.min():
            continue
        commit, changed, outcome, *columns = blobs.columns(table.read(segment))
        for i in np.flatnonzero(np.isin(changed, sorted_rows) & taken(outcome)).tolist():
            at = order[np.searchsorted(sorted_rows, changed[i])]
            if segment.first + int(commit[i]) > page_commits[at]:
                states[at] = [column[i] for column in columns]
    return states
