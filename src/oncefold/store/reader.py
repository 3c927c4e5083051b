"""The store for readers: queries, each answered from one commit, while a writer may go on."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from oncefold.commit import Conflict, Reject, States
from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError
from oncefold.core.nodepath import join
from oncefold.core.versions import from_sortable
from oncefold.store import commits, keys, nodes, rows
from oncefold.store.answers import (
    CommitTime,
    Explained,
    KeyHistory,
    KeyState,
    ListedConflict,
    ListedReject,
    ReasonCount,
    StoredStatus,
    StoredTotals,
    Verified,
)
from oncefold.store.commits import read_status
from oncefold.store.connection import BUSY_MS, Connection, scalar, transaction, wal_of
from oncefold.store.contributors import EVERY_KEY, Contributors, amounts_of_rows, contributing_rows
from oncefold.store.definitions import connected_to, definition_at, earlier_definitions
from oncefold.store.errors import check_readable, require_sqlite, translate_errors
from oncefold.store.keys import StateForm
from oncefold.store.load import new_states, read_states
from oncefold.store.rows import LastCommit
from oncefold.store.schema import read_definition, read_meta, refuse_others
from oncefold.store.segments import changes_table
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.verify import differences, leaves_below

_BEYOND_IDS = 2**63 - 1
"""Greater than any id of a reject."""

WHOLE_RAW = 2**31 - 1
"""More bytes than any blob of SQLite has."""


def connect_reader(path: Path) -> Connection:
    """A connection that only reads; it may be used from any thread, by one at a time.

    Where the files beside the store cannot be created (a read-only folder or medium) and do not exist, so that there
    is no writer, the file is read as one that does not change.
    """
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or wal_of(path).exists():
            raise
        return _connect(path, "mode=ro&immutable=1")
    return connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)


class StoreFile:
    """A store, open for queries, each answered from one commit.

    Queries raise QueryError if they name something that does not exist, and StoreError if the file cannot be read.
    """

    def __init__(self, path: Path, connect: Callable[[Path], Connection]) -> None:
        """Use `StoreFile.open`."""
        self.path = path
        self._connect = connect
        self._connection: Connection | None = None
        self._within: Connection | None = None
        self._head: LastCommit | None = None
        self._closed = False
        self._schema: int | None = None
        """The version of the tables' schema, which changes with the definition; None before the first query."""
        self._earlier: dict[int, StoreFile] = {}
        try:
            with self.at_one_commit():
                pass
        except BaseException:
            self.close()
            raise

    def _follow(self, connection: Connection) -> None:
        """Read the definition, if it may have been replaced."""
        schema = scalar(connection, "PRAGMA schema_version")
        if schema != self._schema:
            refuse_others(connection, self.path)
            self.pipeline = read_definition(connection, self.path)
            """The definition in force, as of the last query."""
            self._values = self.pipeline.value_columns
            self._schema = schema

    def refresh(self) -> None:
        """Take the definition that is in force now; each query does so, too."""
        if not self._closed:
            with self.at_one_commit():
                pass

    def earlier(self, commit: int | None, time: int | None) -> "StoreFile | None":
        """The store as it was up to the last commit of an earlier definition, if that was in force at this commit.

        Or at this time, in nanoseconds since the epoch. None where the present one was.
        """
        with self.at_one_commit() as connection:
            if commit is None and time is not None:
                sql = "SELECT seq FROM commits WHERE at <= ? ORDER BY seq DESC LIMIT 1"
                commit = scalar(connection, sql, (time,)) or 0
            found = None if commit is None else definition_at(connection, commit)
        if found is None:
            return None
        if found.number not in self._earlier:
            self._earlier[found.number] = StoreFile(self.path, connected_to(found, self._connect))
        return self._earlier[found.number]

    @classmethod
    def open(cls, path: str | Path, *, connect: Callable[[Path], Connection] = connect_reader) -> Self:
        """Open a store, whether or not it is being written; the definition comes from the store itself.

        Raises StoreError if there is no store or it cannot be read.
        """
        require_sqlite()
        check_readable(Path(path))
        return cls(Path(path), connect)

    def earlier_pipelines(self) -> list[tuple[int, Pipeline]]:
        """Each definition that was replaced, after its last commit; the oldest first."""
        with self.at_one_commit() as connection:
            known = earlier_definitions(connection, also_expired=True)
        return [(one.last_commit, one.pipeline(self.path)) for one in known]

    @contextmanager
    def at_one_commit(self) -> Iterator[Connection]:
        """The connection, within one read transaction: everything that is read in the block is of one commit.

        Within the block every method answers from that commit, and a nested block shares it.
        """
        if self._within is not None:
            yield self._within
            return
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed; open it again")
        with translate_errors(self.path, "reading the store"):
            connection, unchanging = self._connected()
            with transaction(connection, "BEGIN"):
                self._within, self._head = connection, None
                try:
                    self._follow(connection)
                    yield connection
                finally:
                    self._within = None
        if unchanging and wal_of(self.path).exists():
            raise StoreError(f"{self.path}: a writer opened the store during this query; query again")

    def head(self) -> LastCommit:
        """The last commit: that of the block of `at_one_commit` inside one."""
        with self.at_one_commit() as connection:
            if self._head is None:
                self._head = rows.read_head(connection)
            return self._head

    def newest_event(self, commit: int) -> int | None:
        """The greatest event time up to a commit, in nanoseconds since the epoch."""
        with self.at_one_commit() as connection:
            if commit == self.head().seq:
                return self.head().newest_time
            found: int | None = scalar(connection, "SELECT newest_time FROM commits WHERE seq = ?", (commit,))
            return found

    def node_count(self) -> int:
        """How many nodes the store has, of all rollups."""
        with self.at_one_commit() as connection:
            return rows.node_count(connection)

    def size_of(self, table: Literal["rejects", "conflicts"]) -> int:
        """How many rows a list has."""
        with self.at_one_commit() as connection:
            return int(scalar(connection, f"SELECT count(*) FROM {table}"))  # noqa: S608 - names only

    def _connected(self) -> tuple[Connection, bool]:
        """The connection, and whether it takes the file for one that does not change: then it is a new one."""
        if self._connection is not None and wal_of(self.path).exists():
            return self._connection, False
        if self._connection is not None:
            self._connection.close()
        self._connection = self._connect(self.path)
        scalar(self._connection, "SELECT count(*) FROM sqlite_master")
        return self._connection, not wal_of(self.path).exists()

    def status(self) -> StoredStatus:
        """The store as a whole."""
        with self.at_one_commit() as connection:
            return read_status(connection, self.path, self.pipeline)

    def totals(
        self,
        rollup: str | None = None,
        labels: tuple[str, ...] = (),
        *,
        depth: int | None = None,
        commit: int | None = None,
        time: int | None = None,
    ) -> StoredTotals:
        """A node and what lies at most `depth` levels below it (None: all).

        As of now, of a commit, or of a time in nanoseconds since the epoch.
        """
        with self.at_one_commit() as connection:
            index = self.pipeline.find_rollup(rollup)
            as_of = commits.resolve(connection, commit, time)
            past = None if commit is None and time is None else as_of.seq
            found = nodes.subtree(connection, self.pipeline, index, labels, depth, past)
            return StoredTotals(as_of, self.pipeline.rollups[index].name, found)

    def verify(self) -> Verified:
        """Recompute every total from the key states and compare."""
        with self.at_one_commit() as connection:
            as_of, states = commits.last(connection), self._states(connection)
            number, found = differences(connection, self.pipeline, states)
        return Verified(as_of, number, len(states.version), found)

    def explain(
        self,
        rollup: str | None = None,
        labels: tuple[str, ...] = (),
        *,
        limit: int = 20,
        after: int = 0,
        contributors: Contributors = EVERY_KEY,
    ) -> Explained:
        """The keys that count in a node: how many, and the states of the first `limit` but for `after` of them.

        `contributors` asks for those that make one measure.
        """
        with self.at_one_commit() as connection:
            pipeline, index = self.pipeline, self.pipeline.find_rollup(rollup)
            nodes.find_node(connection, pipeline.rollups[index].name, labels)
            as_of, states, form = commits.last(connection), self._states(connection), StateForm.of(connection, pipeline)
            counted = keys.rows_of_leaves(states.leaf, leaves_below(pipeline, form.leaves, index, labels))
            amounts = amounts_of_rows(connection, pipeline, states, counted)
            chosen = contributing_rows(connection, pipeline, states, counted, amounts, contributors)
            shown = chosen[after : after + limit]
            found = [
                KeyState(key, *form.content(version, leaf, values))
                for key, version, leaf, values in zip(
                    keys.key_texts(connection, shown),
                    states.version[shown].tolist(),
                    states.leaf[shown].tolist(),
                    states.measures[:, shown].T.tolist(),
                    strict=True,
                )
            ]
            return Explained(as_of, pipeline.rollups[index].name, join(labels), len(chosen), amounts, found)

    def history(self, key: str, *, every: bool = False, up_to: int | None = None) -> KeyHistory:
        """What arrived for a key, `up_to` a commit: the events that became its state, or `every` one."""
        with self.at_one_commit() as connection:
            row = keys.find_row(connection, key)
            return keys.history_of_row(connection, key, row, self.pipeline, every=every, up_to=up_to)

    def rejects(
        self,
        *,
        limit: int | None = None,
        after: int = 0,
        most_bytes: int = WHOLE_RAW,
        newest_first: bool = False,
        reasons: Sequence[str] | None = None,
    ) -> list[ListedReject]:
        """The reject list by rising ids or falling ones, from beyond the id `after` in that order; 0 is its beginning.

        Of each event the first so many bytes; None of `reasons` is every one.
        """
        beyond, order, start = ("<", "DESC", after or _BEYOND_IDS) if newest_first else (">", "ASC", after)
        sql = f"""
            SELECT r.id, r."commit", ifnull(c.at, 0), source, position, reason, substr(raw, 1, ?), format, context, size
            FROM rejects AS r LEFT JOIN commits AS c ON c.seq = r."commit"
            WHERE r.id {beyond} ? AND (? IS NULL OR reason IN (SELECT value FROM json_each(?)))
            ORDER BY r.id {order} LIMIT ?"""  # noqa: S608 - two operators and two keywords
        wanted = None if reasons is None else json.dumps(list(reasons))
        with self.at_one_commit() as connection:
            parameters = (most_bytes, start, wanted, wanted, -1 if limit is None else limit)
            found = connection.execute(sql, parameters).fetchall()
        return [ListedReject(id_, CommitTime(seq, at), Reject(*rest)) for id_, seq, at, *rest in found]

    def reject_reasons(self) -> list[ReasonCount]:
        """Each reason on the reject list, with how many events have it, the newest of them and its commit."""
        sql = 'SELECT reason, count(*), max(id), max("commit") FROM rejects GROUP BY reason'
        with self.at_one_commit() as connection:
            return [ReasonCount(*row) for row in connection.execute(sql)]

    def reject_ids(self, reasons: Sequence[str], up_to: int) -> list[int]:
        """The ids on the reject list with one of these reasons, up to an id."""
        sql = "SELECT id FROM rejects WHERE id <= ? AND reason IN (SELECT value FROM json_each(?)) ORDER BY id"
        with self.at_one_commit() as connection:
            return [id_ for (id_,) in connection.execute(sql, (up_to, json.dumps(list(reasons))))]

    def conflicts(self, *, limit: int | None = None, after: int = 0) -> list[ListedConflict]:
        """The conflicts, newest first, from beyond the id `after` in that order; 0 is its beginning."""
        sql = """
            SELECT f.id, f."commit", ifnull(c.at, 0), key, version, kept, dropped
            FROM conflicts AS f LEFT JOIN commits AS c ON c.seq = f."commit"
            WHERE f.id < ? ORDER BY f.id DESC LIMIT ?"""
        with self.at_one_commit() as connection:
            found = connection.execute(sql, (after or _BEYOND_IDS, -1 if limit is None else limit)).fetchall()
        return [ListedConflict(id_, CommitTime(seq, at), _conflict(*rest)) for id_, seq, at, *rest in found]

    def key_states(self) -> Iterator[KeyState]:
        """The state of every key, of deleted ones too, in order of first appearance, as of one commit."""
        with self.at_one_commit() as connection:
            states = self._states(connection)
            yield from keys.all_states(connection, self.pipeline, states)

    def _states(self, connection: Connection) -> States:
        states = new_states(rows.read_ends(connection).rows, self._values)
        state_from = int(read_meta(connection)["state_from"])
        read_states(connection, changes_table(connection, self._values), states, state_from, SnapshotSchedule())
        return states

    def close(self) -> None:
        """Close the connection; without effect when closed."""
        self._closed = True
        for file in self._earlier.values():
            file.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _conflict(key: str, version: int | str, kept: str, dropped: str) -> Conflict:
    return Conflict(key, from_sortable(version) if isinstance(version, str) else version, kept, dropped)
