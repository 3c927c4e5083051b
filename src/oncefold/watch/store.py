"""A store as a source of looks: each is of one commit, and costs next to nothing while there is no new one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from oncefold.core.errors import QueryError, StoreError
from oncefold.queries.answers import Tree
from oncefold.queries.model import NodeTotal, Totals
from oncefold.queries.store_reader import StoreReader
from oncefold.store import rows
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError
from oncefold.store.nodes import find_node
from oncefold.store.reader import connect_reader
from oncefold.store.schema import is_fresh
from oncefold.watch.looks import Look, NotYetError, StoreMoment, Watched

_CHILDREN = """
SELECT n.id, n.path, n.depth, n.label, t.count{sums} FROM node AS n JOIN total AS t ON t.node = n.id
WHERE n.parent = ? AND t.count > 0 ORDER BY n.label LIMIT ?
"""

_TRIES = 2
"""A file that is replaced at this very moment can be read at the second try."""


class StoreSource:
    """Looks at one store, which may not exist yet, and may be replaced by another."""

    def __init__(self, path: Path, watched: Watched) -> None:
        self._path = path
        self._watched = watched
        self._ask: StoreReader | None = None
        self._file: tuple[int, int] | None = None
        self._last: tuple[Look, int | None] | None = None

    def look(self, room: int | None) -> Look:
        """Look at the last commit; see `oncefold.watch.looks.Source`."""
        for _ in range(_TRIES - 1):
            with suppress(StoreError):
                return self._look(room)
        return self._look(room)

    def _look(self, room: int | None) -> Look:
        try:
            ask = self._opened()
            with ask.file.at_one_commit():
                look = self._seen_already(ask, room) or self._new(ask, room)
        except BaseException:
            self.close()
            raise
        self._last = look, room
        return look

    def close(self) -> None:
        """Let go of the file; the next look opens it again."""
        if self._ask is not None:
            self._ask.close()
        self._ask = self._file = self._last = None

    def _opened(self) -> StoreReader:
        """The questions to the file that bears the name now."""
        file = _identity(self._path)
        if self._ask is None or file is None or file != self._file:
            self.close()
            self._ask, self._file = self._open(), file
        return self._ask

    def _open(self) -> StoreReader:
        try:
            return StoreReader.open(self._path)
        except StoreError as error:
            if self._path.parent.is_dir() and (not self._path.exists() or _is_being_made(self._path)):
                raise NotYetError(str(error)) from None
            raise

    def _seen_already(self, ask: StoreReader, room: int | None) -> Look | None:
        """The last look, if nothing was committed since, and it was made for as much room."""
        if self._last is None:
            return None
        look, its_room = self._last
        assert isinstance(look.moment, StoreMoment)
        return look if room == its_room and ask.file.head().seq == look.moment.commit.number else None

    def _new(self, ask: StoreReader, room: int | None) -> Look:
        node = self._watched.among(ask.pipeline)
        name = ask.pipeline.rollups[node.rollup].name
        try:
            totals = ask.query(node.labels, rollup=name, depth=self._watched.depth if room is None else 0)
        except QueryError as error:
            raise NotYetError(str(error)) from None
        tree, cut = Tree(totals.rows, name, totals.scales), False
        with ask.file.at_one_commit() as connection:
            events = sum(rows.read_counts(connection).values())
            if room is not None:
                top = find_node(connection, name, node.labels)
                levels = _Levels(connection, tree, room)
                found, cut = levels.below(top, self._watched.levels_below(ask.pipeline))
                tree = replace(tree, rows=(tree.node, *found))
        return Look(ask.pipeline.name, tree, cut, self._moment(totals, events))

    def _moment(self, totals: Totals, events: int) -> StoreMoment:
        return StoreMoment(str(self._path), totals.commit, totals.newest_event, totals.newest_event_text, events)


class _Levels:
    """What lies below a node, level by level, as far as there is room: reads little more than it shows."""

    def __init__(self, connection: Connection, tree: Tree, room: int) -> None:
        self._connection = connection
        self._names = list(tree.scales)
        self._room = max(room - 1, 0)
        self._sql = _CHILDREN.format(sums="".join(f', t."sum_{name}"' for name in self._names))

    def below(self, top: int | None, deepest: int) -> tuple[list[NodeTotal], bool]:
        """The nodes of all levels that fit whole, in tree order, and whether more were left out.

        Of a first level that does not fit, the first nodes.
        """
        found: list[NodeTotal] = []
        parents = [] if top is None else [top]
        for depth in range(deepest):
            level = list(self._children(parents, self._room - len(found) + 1))
            whole = len(found) + len(level) <= self._room
            if whole or depth == 0:
                found += [row for _, row in level][: self._room]
            if not whole:
                return sorted(found, key=lambda row: row.labels), True
            parents = [id_ for id_, _ in level]
        return sorted(found, key=lambda row: row.labels), False

    def _children(self, parents: list[int], most: int) -> Iterator[tuple[int, NodeTotal]]:
        for parent in parents:
            for id_, path, depth, label, count, *sums in self._connection.execute(self._sql, (parent, most)):
                amounts = dict(zip(self._names, map(_amount, sums), strict=True))
                yield id_, NodeTotal(path, rows.labels_of(path), depth, label, count, amounts)
                most -= 1
            if most <= 0:
                return


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise DamagedError(f"the total {text!r} is no decimal") from None


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
