"""Queries for commits: which commit a query is about, and the store as a whole."""

from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError
from oncefold.core.timestamps import format_timestamp
from oncefold.store import rows
from oncefold.store.answers import CommitTime, Position, StoredStatus
from oncefold.store.connection import Connection, scalar
from oncefold.store.definitions import earlier_definitions
from oncefold.store.retention import from_text
from oncefold.store.schema import read_discarded, read_meta


def last(connection: Connection) -> CommitTime:
    """The last commit."""
    head = rows.read_head(connection)
    return CommitTime(head.seq, head.at)


def find(connection: Connection, seq: int) -> CommitTime:
    """A commit whose row is kept."""
    row = connection.execute("SELECT at FROM commits WHERE seq = ?", (seq,)).fetchone()
    return CommitTime(seq, row[0] if row else 0)


def oldest(connection: Connection) -> CommitTime:
    """The oldest commit whose totals can be queried under the present definition; 0 is the empty store."""
    return find(connection, int(read_meta(connection)["deltas_from"]))


def oldest_of_all(connection: Connection) -> CommitTime:
    """The oldest commit whose totals can be queried, under an earlier definition too."""
    earlier = earlier_definitions(connection)
    return find(connection, earlier[0].deltas_from) if earlier else oldest(connection)


def resolve(connection: Connection, commit: int | None, time: int | None) -> CommitTime:
    """The commit of this number, the last one at or before this time, or the last one. Raises QueryError."""
    if commit is None and time is None:
        return last(connection)
    if commit is not None and time is not None:
        raise QueryError("a past state is named by a commit or by a time, not by both")
    return _of_time(connection, time) if commit is None and time is not None else _of_number(connection, commit or 0)


def _of_number(connection: Connection, commit: int) -> CommitTime:
    newest, first = last(connection), oldest(connection)
    if not 0 <= commit <= newest.seq:
        raise QueryError(f"there is no commit {commit}; the last is {newest.seq}, {_shown(newest)}")
    if commit < first.seq:
        raise QueryError(f"commit {commit} is {_beyond(first)}")
    return find(connection, commit)


def _of_time(connection: Connection, time: int) -> CommitTime:
    row = connection.execute("SELECT seq, at FROM commits WHERE at <= ? ORDER BY seq DESC LIMIT 1", (time,)).fetchone()
    found, first = CommitTime(*row) if row else CommitTime(0, 0), oldest(connection)
    if found.seq < first.seq:
        raise QueryError(f"{format_timestamp(time)} is {_beyond(first)}")
    return found


def _beyond(first: CommitTime) -> str:
    return f"beyond the retention; the oldest commit that can be queried is {first.seq}, {_shown(first)}"


def _shown(commit: CommitTime) -> str:
    return f"made at {format_timestamp(commit.at)}" if commit.seq else "the empty store"


def read_status(connection: Connection, path: Path, pipeline: Pipeline) -> StoredStatus:
    """The store as a whole, after its last commit."""
    meta, head, ends = read_meta(connection), rows.read_head(connection), rows.read_ends(connection)
    root = "SELECT t.count FROM node AS n JOIN total AS t ON t.node = n.id WHERE n.parent IS NULL ORDER BY n.id"
    positions = connection.execute('SELECT source, state, "commit" FROM positions ORDER BY source')
    return StoredStatus(
        pipeline=pipeline,
        format=scalar(connection, "PRAGMA user_version"),
        created=int(meta["created"]),
        last=last(connection),
        newest_time=head.newest_time,
        keys=ends.rows,
        live=scalar(connection, root) or 0,
        nodes=ends.nodes,
        counts=rows.read_counts(connection),
        positions=tuple(Position(*row) for row in positions),
        rejects=scalar(connection, "SELECT count(*) FROM rejects"),
        discarded=read_discarded(connection),
        conflicts=scalar(connection, "SELECT count(*) FROM conflicts"),
        retention=from_text(meta["retention"]),
        oldest=oldest_of_all(connection),
        file_bytes=sum(_size(path.with_name(path.name + end)) for end in ("", "-wal")),
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
