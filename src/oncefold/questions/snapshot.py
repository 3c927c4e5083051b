"""Several questions as of one commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from oncefold.core.errors import StoreError
from oncefold.questions.answers import Commit
from oncefold.questions.values import to_datetime
from oncefold.core.timestamps import format_timestamp
from oncefold.store import moments
from oncefold.store.answers import Moment
from oncefold.store.connection import Connection, scalar
from oncefold.store.reader import Reader


class Snapshot(Reader):
    """A reader inside the read transaction of another: all that it answers is of one commit."""

    @contextmanager
    def at_one_commit(self) -> Iterator[Connection]:
        """The connection, within the transaction that is under way."""
        if self._connection is None:
            raise StoreError(f"{self.path}: the store is closed; open it again")
        yield self._connection
