"""What one commit writes to each table, and the same read back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.arrow import bytearray_list, spans_of
from oncefold.commit import CommitContent, NewNode, NodeColumns, Page, Reject, RejectColumns, Rejects, SourcePosition
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError
from oncefold.core.fold import Outcome
from oncefold.core.measures import quotient
from oncefold.core.nodepath import join, split
from oncefold.store.amounts import from_texts, to_ints, to_texts
from oncefold.store.connection import Connection, insert, scalar
from oncefold.store.errors import DamagedError


def write_leaves(connection: Connection, first: int, leaves: Sequence[tuple[str, ...]]) -> None:
    """Labels of new leaves, with ids that go on from `first`."""
    if leaves:
        insert(connection, "place", (range(first, first + len(leaves)), _json_arrays(leaves)))


def _json_arrays(leaves: Sequence[tuple[str, ...]]) -> list[str]:
    """A JSON array of the labels of each leaf, from one call of the encoder.

    The separator of the items has a line end, which no JSON string holds: so the text is split there.
    """
    text = json.JSONEncoder(ensure_ascii=False, separators=(",\n", ":")).encode(leaves)
    return text[1:-1].replace('",\n"', '","').split(",\n")


def read_leaves(connection: Connection, levels: int) -> list[tuple[str, ...]]:
    """The labels of all leaves in order of their ids. Raises DamagedError unless each has `levels` labels."""
    rows = connection.execute("SELECT labels FROM place ORDER BY id").fetchall()
    try:
        leaves = list(map(tuple, json.loads(f"[{','.join([labels for (labels,) in rows])}]")))
    except ValueError as error:
        raise DamagedError(f"the labels of a leaf were altered, or are damaged: {error}") from None
    for id_, labels in enumerate(leaves):
        if len(labels) != levels:
            raise DamagedError(f"leaf {id_} has {len(labels)} labels instead of {levels}")
    return leaves


def write_nodes(connection: Connection, pipeline: Pipeline, nodes: Sequence[NewNode]) -> None:
    """New nodes."""
    if nodes:
        columns = (
            [node.id for node in nodes],
            [pipeline.rollups[node.rollup].name for node in nodes],
            [None if node.parent < 0 else node.parent for node in nodes],
            [len(node.labels) for node in nodes],
            [node.labels[-1] if node.labels else "" for node in nodes],
            _paths(nodes),
        )
        insert(connection, "node", columns)


def _paths(nodes: Sequence[NewNode]) -> list[str]:
    """The path of each node, most of them from the parent's just before it."""
    paths: dict[int, str] = {}
    for id_, _, parent, labels in nodes:
        above = paths.get(parent)
        # A label of letters and digits alone needs no escape.
        paths[id_] = f"{above}/{labels[-1]}" if above and labels[-1].isalnum() else join(labels)
    return list(paths.values())


def read_nodes(connection: Connection, pipeline: Pipeline) -> Iterator[NewNode]:
    """All nodes in order of their ids."""
    index = {rollup.name: i for i, rollup in enumerate(pipeline.rollups)}
    rows = connection.execute("SELECT id, rollup, ifnull(parent, -1), path FROM node ORDER BY id")
    for id_, rollup, parent, path in rows:
        yield NewNode(id_, index[rollup], parent, labels_of(path))


def labels_of(path: str) -> tuple[str, ...]:
    """The labels of a node's path; fast when no label is escaped."""
    return split(path) if "\\" in path or not path else tuple(path.split("/"))


def write_totals(connection: Connection, pipeline: Pipeline, totals: NodeColumns) -> None:
    """The new amounts of these nodes."""
    if not len(totals.node):
        return
    if (totals.node[1:] < totals.node[:-1]).any():
        totals = _sorted(totals)  # rows that are neighbours in the table are written together
    names = [f'"sum_{amount.name}"' for amount in pipeline.amounts]
    texts = [
        to_texts(high, low, amount.scale)
        for amount, high, low in zip(pipeline.amounts, totals.high, totals.low, strict=True)
    ]
    averages = list(_averages(pipeline, totals))
    names += [f'"avg_{name}"' for name, _ in averages]
    sets = ", ".join(f"{name} = excluded.{name}" for name in ["count", *names])
    columns = (totals.node.tolist(), totals.count.tolist(), *texts, *(shown for _, shown in averages))
    into = f"total(node, count{''.join(f', {name}' for name in names)})"
    insert(connection, into, columns, f"ON CONFLICT(node) DO UPDATE SET {sets}")


def _averages(pipeline: Pipeline, totals: NodeColumns) -> Iterator[tuple[str, list[str | None]]]:
    """The name of each average, and its texts: SQL has no exact division to make them in a view."""
    for measure, place in zip(pipeline.measures, pipeline.layout.places, strict=True):
        if measure.kind == "avg":
            dividends, divisors = (to_ints(totals.high[at], totals.low[at]) for at in (place.amount, place.amount + 1))
            pairs = zip(dividends, divisors, strict=True)
            yield measure.name, [average_text(dividend, divisor, measure.scale) for dividend, divisor in pairs]


def average_text(dividend: int, divisor: int, scale: int) -> str | None:
    """An average as decimal text; None of nothing."""
    return format_decimal(quotient(dividend, divisor), scale) if divisor else None


def _sorted(totals: NodeColumns) -> NodeColumns:
    order = np.argsort(totals.node, kind="stable")
    return NodeColumns(totals.node[order], totals.count[order], totals.high[:, order], totals.low[:, order])


def read_totals(connection: Connection, pipeline: Pipeline) -> NodeColumns:
    """The totals of all nodes in order of their ids. Raises DamagedError for a sum that is no decimal."""
    names = "".join(f', "sum_{amount.name}"' for amount in pipeline.amounts)
    rows = connection.execute(f"SELECT node, count{names} FROM total ORDER BY node").fetchall()  # noqa: S608
    columns = list(zip(*rows, strict=True)) if rows else [()] * (2 + len(pipeline.amounts))
    shape = (len(pipeline.amounts), len(rows))
    high, low = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for i, (amount, texts) in enumerate(zip(pipeline.amounts, columns[2:], strict=True)):
        high[i], low[i] = from_texts(texts, amount.scale)
    return NodeColumns(np.array(columns[0], np.int32), np.array(columns[1], np.int64), high, low)


def write_rejects(connection: Connection, commit: int, rejects: Sequence[Reject], gone: Sequence[int]) -> None:
    """Add to the reject list, and take off it what was read again or discarded."""
    for part in rejects.parts if isinstance(rejects, Rejects) else [rejects]:
        if isinstance(part, RejectColumns):
            into = 'rejects("commit", source, format, context, position, reason, raw, size)'
            insert(connection, into, _reject_columns(part), same=[commit, part.source, part.format, part.context])
        elif part:
            into = 'rejects("commit", source, position, reason, raw, format, context, size)'
            insert(connection, into, list(zip(*map(_reject_row, part), strict=True)), same=[commit])
    if gone:
        sql = "DELETE FROM rejects WHERE id IN (SELECT value FROM json_each(?))"
        connection.execute(sql, (json.dumps([int(id_) for id_ in gone]),))


def _reject_columns(rejects: RejectColumns) -> Sequence[Sequence[Any]]:
    return (
        rejects.position.tolist(),
        [rejects.reasons[at] for at in rejects.reason.tolist()],
        bytearray_list(rejects.raw),
        np.diff(spans_of(rejects.raw)[1]).tolist(),
    )


def _reject_row(reject: Reject) -> Sequence[Any]:
    return reject.source, reject.position, reject.reason, reject.raw, reject.format, reject.context, reject.size


def absent_rejects(connection: Connection, ids: Iterable[int]) -> list[int]:
    """Which of these are not on the reject list, in order."""
    sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM rejects) ORDER BY value"
    return [id_ for (id_,) in connection.execute(sql, (json.dumps([int(id_) for id_ in ids]),))]


def write_positions(connection: Connection, commit: int, positions: Sequence[SourcePosition]) -> None:
    """Write the positions of these sources; the last one of several for a source counts."""
    latest = {position.source: position.state for position in positions}
    if latest:
        columns = (list(latest), list(latest.values()), [commit] * len(latest))
        then = 'ON CONFLICT(source) DO UPDATE SET state = excluded.state, "commit" = excluded."commit"'
        insert(connection, "positions", columns, then)


def read_positions(connection: Connection) -> list[SourcePosition]:
    """The position of every source."""
    return [SourcePosition(*row) for row in connection.execute("SELECT source, state FROM positions ORDER BY source")]


def write_pages(
    connection: Connection, commit: int, pages: Sequence[Page], encoded: Sequence[tuple[int, pa.Buffer]]
) -> None:
    """Snapshot pages; each replaces the one of its number."""
    for page, (crc32, blob) in zip(pages, encoded, strict=True):
        sql = "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?)"
        connection.execute(sql, (page.number, commit, len(page.states.version), crc32, blob))


def read_counts(connection: Connection) -> dict[Outcome, int]:
    """Events ever, by outcome."""
    rows = connection.execute("SELECT outcome, events FROM counters")
    return {Outcome[outcome.upper()]: events for outcome, events in rows}


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The last commit: its number, its time, and the greatest event time so far; all of an empty store's are 0."""

    seq: int = 0
    at: int = 0
    newest_time: int | None = None

    def after(self, commit: CommitContent) -> "LastCommit":
        """The last commit after this one; its time is never before the previous one, whatever the clock does."""
        times = [time for time in (self.newest_time, commit.newest_time) if time is not None]
        return LastCommit(self.seq + 1, max(self.at, commit.at), max(times, default=None))


def read_head(connection: Connection) -> LastCommit:
    """The last commit."""
    row = connection.execute("SELECT seq, at, newest_time FROM commits ORDER BY seq DESC LIMIT 1").fetchone()
    return LastCommit() if row is None else LastCommit(*row)


def write_head(connection: Connection, head: LastCommit, commit: CommitContent) -> None:
    """The row of this commit, and the counters with its events."""
    counts = [int(commit.counts.get(outcome, 0)) for outcome in Outcome]
    insert(connection, "commits", [[value] for value in (head.seq, head.at, head.newest_time, *counts)])
    some = [(outcome.name.lower(), count) for outcome, count in zip(Outcome, counts, strict=True) if count]
    if some:
        then = "ON CONFLICT(outcome) DO UPDATE SET events = events + excluded.events"
        insert(connection, "counters", list(zip(*some, strict=True)), then)


@dataclass(frozen=True, slots=True)
class Ends:
    """How many rows, leaves and nodes there are: the next commit's go on from here."""

    rows: int = 0
    leaves: int = 0
    nodes: int = 0

    def after(self, commit: CommitContent) -> "Ends":
        """The ends after this commit."""
        return Ends(
            self.rows + len(commit.new_keys),
            self.leaves + len(commit.new_leaves),
            self.nodes + len(commit.new_nodes),
        )


def read_ends(connection: Connection) -> Ends:
    """The ends of the last commit."""
    return Ends(
        scalar(connection, "SELECT ifnull(max(last_row), -1) + 1 FROM keys"),
        scalar(connection, "SELECT ifnull(max(id), -1) + 1 FROM place"),
        node_count(connection),
    )


def node_count(connection: Connection) -> int:
    """How many nodes there are, of all rollups."""
    return int(scalar(connection, "SELECT ifnull(max(id), -1) + 1 FROM node"))


def require_fit(commit: CommitContent, before: Ends, after: Ends) -> None:
    """Raises StoreError for a commit whose rows and ids do not continue the store's: a fault of the engine."""
    ids = [node.id for node in commit.new_nodes]
    named = {
        "row": (commit.changes.row, after.rows),
        "leaf": (commit.changes.states.leaf, max(after.leaves, 1)),
        "node": (commit.deltas.node, after.nodes),
        "total": (commit.totals.node, after.nodes),
    }
    wrong = [name for name, (column, end) in named.items() if len(column) and int(column.max()) >= end]
    if ids and (ids[0], ids[-1]) != (before.nodes, after.nodes - 1):
        wrong.append("new node")
    if wrong:
        raise StoreError(f"a commit does not fit the store ({', '.join(wrong)}): a fault of Oncefold, report it")
