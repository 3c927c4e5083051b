"""Which commit a question is about."""

from oncefold.core.errors import QueryError
from oncefold.core.timestamps import format_timestamp
from oncefold.store.answers import Moment
from oncefold.store.connection import Connection
from oncefold.store.rows import read_head
from oncefold.store.schema import read_meta


def last(connection: Connection) -> Moment:
    """The last commit."""
    head = read_head(connection)
    return Moment(head.seq, head.at)


def moment(connection: Connection, seq: int) -> Moment:
    """A commit whose row is kept."""
    row = connection.execute("SELECT at FROM commits WHERE seq = ?", (seq,)).fetchone()
    return Moment(seq, row[0] if row else 0)


def oldest(connection: Connection) -> Moment:
    """The oldest commit whose totals can be asked; 0 is the empty store."""
    return moment(connection, int(read_meta(connection)["deltas_from"]))


def resolve(connection: Connection, commit: int | None, time: int | None) -> Moment:
    """The commit meant: this one, the last one at or before this time, or the last of all. Raises QueryError."""
    if commit is None and time is None:
        return last(connection)
    if commit is not None and time is not None:
        raise QueryError("a past state is named by a commit or by a time, not by both")
    return _of_time(connection, time) if commit is None and time is not None else _of_number(connection, commit or 0)


def _of_number(connection: Connection, commit: int) -> Moment:
    newest, first = last(connection), oldest(connection)
    if not 0 <= commit <= newest.seq:
        raise QueryError(f"there is no commit {commit}; the last is {newest.seq}, {_shown(newest)}")
    if commit < first.seq:
        raise QueryError(f"commit {commit} is {_beyond(first)}")
    return moment(connection, commit)


def _of_time(connection: Connection, time: int) -> Moment:
    row = connection.execute("SELECT seq, at FROM commits WHERE at <= ? ORDER BY seq DESC LIMIT 1", (time,)).fetchone()
    found, first = Moment(*row) if row else Moment(0, 0), oldest(connection)
    if found.seq < first.seq:
        raise QueryError(f"{format_timestamp(time)} is {_beyond(first)}")
    return found


def _beyond(first: Moment) -> str:
    return f"beyond the retention; the oldest commit that can be asked is {first.seq}, {_shown(first)}"


def _shown(moment: Moment) -> str:
    return f"made at {format_timestamp(moment.at)}" if moment.seq else "the empty store"
