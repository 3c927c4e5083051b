"""What keeps a store small and quick to open, beside its commits: merging, forgetting, emptying the log.

Each step is a transaction of its own after a commit. None changes what the store says, save that `history` and
totals of the past reach back less far, and each is bounded, so that no commit takes long.
"""

from pathlib import Path

from oncefold.store.connection import Connection, scalar, transaction, wal_of
from oncefold.store.opening import empty_wal
from oncefold.store.paging import Paging
from oncefold.store.retention import Retention, horizon
from oncefold.store.schema import read_meta, write_meta
from oncefold.store.segments import Tables

SEGMENTS_PER_STEP = 8
"""At most this many segments of a table are dropped after one commit."""

COMMITS_PER_STEP = 10_000
"""At most this many rows of `commits` are examined, and dropped, after one commit."""

LOOK_NANOSECONDS = 10**9
"""Between two looks at what has expired, as long as nothing has."""

COMMITS_WORTH_A_STEP = 1_000
"""Fewer expired rows of `commits` are left for later."""


class Forgetting:
    """Drops what lies before the retention's horizon and is not needed for the state.

    `changes_from` and `deltas_from` in `meta` say what is left: all of the commits after them.
    """

    def __init__(self, connection: Connection, tables: Tables, retention: Retention) -> None:
        self._connection, self._tables, self._retention = connection, tables, retention
        meta = read_meta(connection)
        self._changes_from, self._deltas_from = int(meta["changes_from"]), int(meta["deltas_from"])
        self._first: int = scalar(connection, "SELECT ifnull(min(seq), 1) FROM commits")
        self._expired: int = self._first - 1
        self._looked: int | None = None
        """When nothing was found to drop; None if there may be more."""

    def step(self, now: int, needed_from: int) -> None:
        """Drop some, if there is enough to drop; changes from the commit `needed_from` on are needed."""
        before = horizon(self._retention, now)
        if before is None or (self._looked is not None and 0 <= now - self._looked < LOOK_NANOSECONDS):
            return
        self._looked = None if self._forget(before, needed_from) else now

    def _forget(self, before: int, needed_from: int) -> bool:
        """Drop some of what is older; whether there was anything."""
        expired = self._expired
        self._advance(before)
        changes, deltas = self._tables.changes, self._tables.deltas
        changes_from = max(self._changes_from, changes.reach(min(self._expired, needed_from - 1), SEGMENTS_PER_STEP))
        deltas_from = max(self._deltas_from, deltas.reach(self._expired, SEGMENTS_PER_STEP))
        first = min(changes_from + 1, deltas_from, self._first + COMMITS_PER_STEP)
        if changes.before(changes_from) or deltas.before(deltas_from) or first - self._first >= COMMITS_WORTH_A_STEP:
            with transaction(self._connection):
                changes.drop(changes_from)
                deltas.drop(deltas_from)
                self._connection.execute("DELETE FROM commits WHERE seq < ?", (first,))
                names = {"changes_from": changes_from, "deltas_from": deltas_from, "state_from": needed_from - 1}
                write_meta(self._connection, **{name: str(value) for name, value in names.items()})
            self._changes_from, self._deltas_from = changes_from, deltas_from
            self._first = max(self._first, first)
            return True
        return self._expired > expired

    def _advance(self, before: int) -> None:
        sql = """
            SELECT max(seq) FROM (SELECT seq, at FROM commits WHERE seq > ? ORDER BY seq LIMIT ?) WHERE at < ?"""
        found = scalar(self._connection, sql, (self._expired, COMMITS_PER_STEP, before))
        self._expired = self._expired if found is None else found


class WalGuard:
    """Empties the write-ahead log when readers kept SQLite from doing so for long."""

    def __init__(self, connection: Connection, path: Path, limit: int) -> None:
        self._connection, self._wal, self._limit, self._alarm = connection, wal_of(path), limit, limit

    def step(self) -> None:
        """Wait, shortly, for readers to finish, once for every growth by a quarter of the limit."""
        size = self._wal.stat().st_size if self._wal.exists() else 0
        if size <= self._limit:
            self._alarm = self._limit
        elif size > self._alarm and not empty_wal(self._connection):
            self._alarm = size + self._limit // 4


class Upkeep:
    """All of it, in order."""

    def __init__(self, tables: Tables, forgetting: Forgetting, guard: WalGuard) -> None:
        self._tables, self._forgetting, self._guard = tables, forgetting, guard

    def step(self, now: int, paging: Paging, following: int) -> None:
        """After a commit; `following` is the number of the next.

        One merge at most: those of several tables are due at once, and the next commit waits for them.
        """
        any(segments.merge() for segments in self._tables.all())
        self._forgetting.step(now, paging.needed_from(following))
        self._guard.step()
