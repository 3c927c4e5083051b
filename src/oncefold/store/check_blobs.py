"""Checks of the blobs, and of each commit's counts against its changes, rejects and conflicts."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.commit import NO_LEAF, PAGE_ROWS, Int64s
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.core.versions import join_words
from oncefold.store import blobs, rows
from oncefold.store.conflicts import stored_version
from oncefold.store.connection import Connection, has_table, scalar
from oncefold.store.errors import DamagedError
from oncefold.store.events import EventIndex, EventTables
from oncefold.store.keys import key_texts
from oncefold.store.rows import Ends
from oncefold.store.schema import OUTCOMES, read_discarded, read_meta, stored_outcomes
from oncefold.store.segments import Segment, SegmentTable, changes_table, deltas_table, keys_table, texts_table

Columns = list[npt.NDArray[Any]]


def blob_findings(connection: Connection, pipeline: Pipeline) -> Iterator[str]:
    """What is wrong with the blobs."""
    amounts, values = len(pipeline.amounts), pipeline.value_columns
    ends, meta = rows.read_ends(connection), read_meta(connection)
    yield from _key_findings(keys_table(connection))
    if pipeline.layout.texts:
        yield from _key_findings(texts_table(connection))
        yield from _text_findings(connection, pipeline)
    last = rows.read_head(connection).seq
    for table, after in (
        (changes_table(connection, values), int(meta["changes_from"])),
        (deltas_table(connection, amounts), int(meta["deltas_from"])),
    ):
        yield from _commit_findings(table, after, last, ends)
    yield from _page_findings(connection, values, ends)
    if has_table(connection, "events"):
        yield from _event_findings(connection, ends, kept=bool(pipeline.keep_events))


def _key_findings(table: SegmentTable) -> Iterator[str]:
    following = 0
    for segment in table.stored():
        if segment.first != following or segment.rows != segment.last - segment.first + 1:
            yield f"{table.name}: rows {segment.first} to {segment.last} do not follow on row {following - 1}"
        following = segment.last + 1
        try:
            table.read(segment)
        except DamagedError as error:
            yield str(error)


def _text_findings(connection: Connection, pipeline: Pipeline) -> Iterator[str]:
    """Codes that no text has."""
    end = 1 + max((segment.last for segment in texts_table(connection).stored()), default=-1)
    columns = slice(pipeline.layout.numbers, len(pipeline.columns))
    table = changes_table(connection, pipeline.value_columns)
    for segment in table.stored():
        with suppress(DamagedError):  # reported by its own check
            _, _, outcome, _, leaf, *values = blobs.columns(table.read(segment))
            counts = (outcome != Outcome.DUPLICATE) & (leaf >= 0)
            if any((codes[counts] >= end).any() for codes in values[columns]):
                yield f"changes {segment.first} to {segment.last}: a text that does not exist"


def _commit_findings(table: SegmentTable, after: int, last: int, ends: Ends) -> Iterator[str]:
    for segment in table.stored():
        name = f"{table.name} {segment.first} to {segment.last}"
        if not after < segment.first <= segment.last <= last:
            yield f"{name}: out of order after commit {after}, or after the last commit {last}"
        after = segment.last
        try:
            columns = blobs.columns(table.read(segment))
        except DamagedError as error:
            yield str(error)
        else:
            check = _changes if table.name == "changes" else _deltas
            yield from (f"{name}: {wrong}" for wrong in (*_commits(segment, columns[0]), *check(columns, ends)))


def _event_findings(connection: Connection, ends: Ends, *, kept: bool) -> Iterator[str]:
    """What is wrong with the kept events."""
    tables = EventTables(connection)
    for number, form, _, _ in tables.segments():
        try:
            tables.form(form)
            tables.records(number)
        except DamagedError as error:
            yield str(error)
    try:
        EventIndex.read(tables, ends.rows)
    except DamagedError as error:
        yield str(error)
    if not kept and tables.segments():
        yield "events: there are some, and the definition keeps none"


def _commits(segment: Segment, commit: npt.NDArray[Any]) -> Iterator[str]:
    if not len(commit) or commit[0] != 0 or commit[-1] != segment.last - segment.first:
        yield "its commits do not span from the first to the last"
    elif (np.diff(commit.astype(np.int64)) < 0).any():
        yield "its commits are out of order"


def _changes(columns: Columns, ends: Ends) -> Iterator[str]:
    _, row, outcome, _, leaf, *_ = columns
    if (row >= ends.rows).any():
        yield f"a row beyond the last key, {ends.rows - 1}"
    if (((leaf < NO_LEAF) | (leaf >= ends.leaves)) & (outcome != Outcome.DUPLICATE)).any():
        yield "a leaf that does not exist"
    if (~np.isin(outcome, _RECORDED)).any():
        yield "an outcome that changes cannot have"


def _deltas(columns: Columns, ends: Ends) -> Iterator[str]:
    _, node, *_ = columns
    if ((node < 0) | (node >= ends.nodes)).any():
        yield "a node that does not exist"


def _page_findings(connection: Connection, values: int, ends: Ends) -> Iterator[str]:
    schema = blobs.state_schema(values)
    for number, n, crc32, blob in connection.execute("SELECT number, n, crc32, blob FROM pages ORDER BY number"):
        if not 0 < n <= min(PAGE_ROWS, ends.rows - number * PAGE_ROWS):
            yield f"page {number}: holds rows beyond its end or the last key"
        try:
            _, leaf, *_ = blobs.columns(blobs.decode(schema, n, crc32, blob, f"page {number}"))
        except DamagedError as error:
            yield str(error)
        else:
            if ((leaf < NO_LEAF) | (leaf >= ends.leaves)).any():
                yield f"page {number}: a leaf that does not exist"


_RECORDED = tuple(outcome for outcome in Outcome if outcome not in {Outcome.REJECTED, Outcome.IGNORED})
"""What changes record; a reject and an ignored record have no key."""

_CLASHES = (Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST)


def count_findings(connection: Connection, pipeline: Pipeline) -> Iterator[str]:
    """Counts that differ from what is stored; every blob must be sound and the rows of `commits` consecutive."""
    table = changes_table(connection, pipeline.value_columns)
    forgotten, last = int(read_meta(connection)["changes_from"]), rows.read_head(connection).seq
    yield from _outcome_findings(connection, table, forgotten, last)
    yield from _reject_findings(connection)
    yield from _conflict_findings(connection, table, pipeline)


def _outcome_findings(connection: Connection, table: SegmentTable, forgotten: int, last: int) -> Iterator[str]:
    """Compare the counts of every commit after `forgotten`, the last one whose changes were dropped."""
    found = np.zeros((last - forgotten, len(OUTCOMES)), np.int64)
    for segment in table.stored():
        commit, _, outcome, *_ = blobs.columns(table.read(segment))
        np.add.at(found, (commit.astype(np.int64) + segment.first - forgotten - 1, outcome), 1)
    stored = stored_outcomes(connection)
    recorded = [outcome for outcome in _RECORDED if OUTCOMES[outcome] in stored]
    names = [OUTCOMES[outcome] for outcome in recorded]
    sql = f"SELECT {', '.join(names)} FROM commits WHERE seq > ? ORDER BY seq"  # noqa: S608 - names only
    counted = np.array(connection.execute(sql, (forgotten,)).fetchall(), np.int64).reshape(-1, len(names))
    if len(counted) != len(found):
        return  # reported already: rows of commits are missing
    found = found[:, recorded]
    wrong = np.flatnonzero((counted != found).any(axis=1))
    for at in wrong[:1].tolist():
        for name, count, kept in zip(names, counted[at].tolist(), found[at].tolist(), strict=True):
            if count != kept:
                yield f"commit {forgotten + 1 + at} counts {count} {name}, but its changes hold {kept}"
    if len(wrong) > 1:
        yield f"commits: {len(wrong) - 1} more after that count what their changes do not hold"


def _reject_findings(connection: Connection) -> Iterator[str]:
    """Ids count up in the order of commits, one per rejected event, so that each commit has a range of ids."""
    counted = scalar(connection, "SELECT events FROM counters WHERE outcome = 'rejected'") or 0
    given = scalar(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'rejects'") or 0
    if given != counted:
        yield f"rejects: {given} ids were given, but the counters have {counted} rejected events"
        return
    left = counted - scalar(connection, "SELECT count(*) FROM rejects")
    if (discarded := read_discarded(connection)) > left:
        yield f"rejects: {discarded} were discarded, but of {counted} rejected events only {left} have left the list"
    ranges = """
        WITH range AS (
            SELECT seq, rejected, ? - ifnull(sum(rejected) OVER (
                ORDER BY seq DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS last FROM commits)"""
    outside = f"""{ranges}
        SELECT r.id, r."commit", g.last - g.rejected + 1, g.last, g.rejected FROM rejects AS r
        JOIN range AS g ON g.seq = r."commit" WHERE r.id NOT BETWEEN g.last - g.rejected + 1 AND g.last
        ORDER BY r.id LIMIT 1"""  # noqa: S608 - a text of ours
    for id_, commit, first, last, rejected in connection.execute(outside, (counted,)):
        those = f"{first} to {last}" if rejected else "none"
        yield f"reject {id_} is listed with commit {commit}, which rejected {rejected} events: {those}"


def _conflict_findings(connection: Connection, table: SegmentTable, pipeline: Pipeline) -> Iterator[str]:
    most = """
        SELECT f."commit", count(*) AS listed, c.conflict_won + c.conflict_lost AS counted
        FROM conflicts AS f JOIN commits AS c ON c.seq = f."commit"
        GROUP BY f."commit" HAVING listed > counted LIMIT 1"""
    for commit, listed, counted in connection.execute(most):
        yield f"conflicts: {listed} are listed with commit {commit}, which counts {counted}"
    commit, row, *words = _clashes(table, len(pipeline.columns), wide=pipeline.has_wide_versions)
    _, first = np.unique(np.stack([row, *words]), axis=1, return_index=True)
    numbers = _joined([word[first].tolist() for word in words])
    version = [stored_version(number, wide=pipeline.has_wide_versions) for number in numbers]
    listed = set(connection.execute("SELECT key, version FROM conflicts").fetchall())
    keys = key_texts(connection, row[first])
    found_in_changes = zip(keys, version, commit[first].tolist(), strict=True)
    missing = [(at, key, number) for key, number, at in found_in_changes if (key, number) not in listed]
    if missing:
        at, key, number = min(missing)
        yield (
            f"conflicts: commit {at} has one of key {key!r} and version {number}, which is not listed; "
            f"{len(missing)} are missing of {len(first)} that the changes hold"
        )


def _joined(words: list[list[int]]) -> list[int]:
    return words[0] if len(words) == 1 else [join_words(high, low) for high, low in zip(*words, strict=True)]


def _clashes(table: SegmentTable, measures: int, *, wide: bool) -> list[Int64s]:
    """Commit, row and version, of one word or two, of every conflict that the changes hold, in order."""
    found = [np.zeros((3 + wide, 0), np.int64)]
    for segment in table.stored():
        commit, row, outcome, version, _, *values = blobs.columns(table.read(segment))
        these = np.isin(outcome, _CLASHES)
        found.append(
            np.stack([column[these].astype(np.int64) for column in (commit, row, version, *values[measures:])])
        )
        found[-1][0] += segment.first
    return list(np.concatenate(found, axis=1))
