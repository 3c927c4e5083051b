"""Several questions as of one commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from oncefold.core.timestamps import format_timestamp
from oncefold.queries.answers import Commit
from oncefold.queries.values import to_datetime
from oncefold.store.answers import Moment
from oncefold.store.connection import Connection, scalar
from oncefold.store.reader import Reader
from oncefold.store.rows import LastCommit, node_count, read_head


class Snapshot(Reader):
    """A reader inside a read transaction of another: all that it answers is of one commit.

    It is of use only within the `with` block that made it.
    """

    def __init__(self, reader: Reader, connection: Connection) -> None:
        """Use `snapshot_of`."""
        vars(self).update(vars(reader))
        self._within = connection
        self._head: LastCommit | None = None

    @contextmanager
    def at_one_commit(self) -> Iterator[Connection]:
        """The connection, within the transaction that is under way."""
        yield self._within

    def last(self) -> Commit:
        """The commit that everything is answered at."""
        head = self.head()
        return commit_of(Moment(head.seq, head.at))

    def head(self) -> LastCommit:
        """The same as the store has it."""
        if self._head is None:
            self._head = read_head(self._within)
        return self._head

    def newest_event(self, commit: int) -> int | None:
        """The greatest event time up to a commit, in nanoseconds since the epoch."""
        if commit == self.head().seq:
            return self.head().newest_time
        found: int | None = scalar(self._within, "SELECT newest_time FROM commits WHERE seq = ?", (commit,))
        return found

    def nodes(self) -> int:
        """How many nodes the store has, of all rollups."""
        return node_count(self._within)

    def size_of(self, table: Literal["rejects", "conflicts"]) -> int:
        """How many rows a list has."""
        return int(scalar(self._within, f"SELECT count(*) FROM {table}"))  # noqa: S608 - names only

    def close(self) -> None:
        """Without effect: the connection is another's."""


@contextmanager
def snapshot_of(reader: Reader) -> Iterator[Snapshot]:
    """A reader whose answers are all of one commit: the same one, where it is a snapshot already."""
    if isinstance(reader, Snapshot):
        yield reader
        return
    with reader.at_one_commit() as connection:
        yield Snapshot(reader, connection)


def commit_of(moment: Moment) -> Commit:
    """A moment of the store as a person reads it."""
    if not moment.at:
        return Commit(moment.seq)
    return Commit(moment.seq, to_datetime(moment.at), format_timestamp(moment.at))
