"""A store, a server and a stack as sources of looks, each through its reader of queries."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError, StoreError
from oncefold.queries.http_client import Client, UnreachableError
from oncefold.queries.http_reader import HttpReader
from oncefold.queries.model import Totals
from oncefold.queries.protocol import Reader
from oncefold.queries.status_model import StoreStatus
from oncefold.queries.store_reader import StoreReader
from oncefold.store.reader import connect_reader
from oncefold.store.schema import is_fresh
from oncefold.watch.watching import Look, NotYetError, Watched, fitting

AnyReader = TypeVar("AnyReader", bound=Reader)

_FIRST_LEVEL = 1
_TRIES = 2
"""A file that is replaced at this very moment can be read at the second try."""


class ReaderSource(Generic[AnyReader]):
    """Looks through a reader, which is opened at the first look, and again after one that failed."""

    paged = True
    """Whether the reader can read a part of a node's children."""

    def __init__(self, open_reader: Callable[[], AnyReader], watched: Watched) -> None:
        self._open = open_reader
        self._watched = watched
        self._reader: AnyReader | None = None
        self._last: tuple[Look, Totals, int | None] | None = None
        self._depth = _FIRST_LEVEL
        """How many levels there was room for at the last look."""
        self._sizes: dict[int, int] = {}
        """How many nodes the levels up to one had when they were last read."""

    def look(self, room: int | None) -> Look:
        """Look now; see `oncefold.watch.watching.Source`."""
        try:
            if self._reader is None:
                self._reader = self._open()
            return self._look(self._reader, room)
        except UnreachableError as error:
            self.close()
            raise NotYetError(str(error)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the reader; the next look opens it again."""
        if self._reader is not None:
            self._reader.close()
        self._reader = self._last = None
        self._depth = _FIRST_LEVEL

    def _look(self, reader: AnyReader, room: int | None) -> Look:
        deepest = self._watched.levels_below(self._watched.rollup_in(reader.shape))
        totals, depth = self._read(reader, deepest, room)
        if self._last is not None and self._last[1] is totals and self._last[2] == room:
            return self._last[0]
        rows, cut = fitting(totals.rows, room)
        bottom = totals.node.depth + depth
        below = depth < deepest and any(row.children != 0 for row in totals if row.depth == bottom)
        look = Look(
            where=reader.name,
            totals=replace(totals, rows=rows),
            cut=cut or totals.more or below,
            events=self._events(reader),
        )
        self._last = look, totals, room
        return look

    def _events(self, reader: AnyReader) -> int | None:
        status = reader.status()
        return status.events if isinstance(status, StoreStatus) else None

    def _read(self, reader: AnyReader, deepest: int, room: int | None) -> tuple[Totals, int]:
        """The totals of as many levels as there is room for, level by level; and how many levels those are."""
        if room is None:
            return self._query(reader, deepest, None), deepest
        depth = min(deepest, self._depth)
        while depth < deepest and self._sizes.get(depth + 1, room + 1) <= room:
            depth += 1
        totals = self._query(reader, depth, room)
        while depth > _FIRST_LEVEL and len(totals) > room:
            depth -= 1
            totals = self._query(reader, depth, room)
        while depth < deepest and not totals.more and self._next_fits(totals, depth, room):
            depth += 1
            totals = self._query(reader, depth, room)
        self._depth = max(depth if len(totals) <= room else depth - 1, _FIRST_LEVEL)
        return totals, depth

    def _next_fits(self, totals: Totals, depth: int, room: int) -> bool:
        """Whether there is room for one level more, as far as that is known."""
        bottom = totals.node.depth + depth
        children = [row.children for row in totals if row.depth == bottom]
        if None in children:
            return len(totals) <= room and self._sizes.get(depth + 1, 0) <= room
        return len(totals) + sum(filter(None, children)) <= room

    def _query(self, reader: AnyReader, depth: int, room: int | None) -> Totals:
        limit = max(room, 1) if room is not None and depth == _FIRST_LEVEL and self.paged else None
        try:
            totals = reader.query(self._watched.node, rollup=self._watched.rollup, depth=depth, limit=limit)
        except InvalidQueryError:
            raise
        except QueryError as error:
            raise NotYetError(str(error)) from None
        self._sizes[depth] = len(totals)
        return totals


class StoreSource(ReaderSource[StoreReader]):
    """Looks at one store, which may not exist yet, and may be replaced by another.

    Each look is of one commit, and costs next to nothing while there is no new one.
    """

    def __init__(self, path: Path, watched: Watched) -> None:
        super().__init__(self._open_store, watched)
        self._path = path
        self._file: tuple[int, int] | None = None

    def look(self, room: int | None) -> Look:
        """Look at the last commit; see `oncefold.watch.watching.Source`."""
        for _ in range(_TRIES - 1):
            with suppress(StoreError):
                return self._look_at_file(room)
        return self._look_at_file(room)

    def _look_at_file(self, room: int | None) -> Look:
        file = _identity(self._path)
        if file is None or file != self._file:
            self.close()
        self._file = file
        return super().look(room)

    def _look(self, reader: StoreReader, room: int | None) -> Look:
        with reader.file.at_one_commit():
            if self._last is not None and self._last[2] == room:
                look, totals, _ = self._last
                if totals.commit.number == reader.file.head().seq:
                    return look
            return super()._look(reader, room)

    def _events(self, reader: StoreReader) -> int:
        return reader.events()

    def _open_store(self) -> StoreReader:
        try:
            return StoreReader.open(self._path)
        except StoreError as error:
            if self._path.parent.is_dir() and (not self._path.exists() or _is_being_made(self._path)):
                raise NotYetError(str(error)) from None
            raise


class ServerSource(ReaderSource[HttpReader]):
    """Looks at one server, which may not answer yet, and may be started again.

    Each look is of one commit, and costs one small request while there is no new one.
    """

    def __init__(self, client: Client, watched: Watched) -> None:
        super().__init__(lambda: HttpReader(client), watched)


class StackSource(ReaderSource[Reader]):
    """Looks at a stack. Every look reads, and is paid for: nothing there says that nothing changed."""

    paged = False

    def look(self, room: int | None) -> Look:
        """Look at the totals as they are now; see `oncefold.watch.watching.Source`."""
        try:
            return super().look(room)
        except OncefoldError:
            self.close()
            raise

    def _events(self, reader: Reader) -> None:  # noqa: ARG002 - nothing counts them
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Tells a file from another of the same name."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_being_made(path: Path) -> bool:
    """Whether a file holds nothing at all yet."""
    try:
        with closing(connect_reader(path)) as connection:
            return is_fresh(connection)
    except sqlite3.Error:
        return False
