"""The store for its one writer: open, load, commit, close."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Error as SqliteError
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from oncefold.commit import CommitContent
from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError, StoreMissingError
from oncefold.store import blobs, rows
from oncefold.store.compaction import DEFAULT_LEVELS, Expiry, Levels, Tables
from oncefold.store.conflicts import ConflictList, rewrite_versions
from oncefold.store.connection import Connection, connect_writer, transaction
from oncefold.store.definitions import set_aside
from oncefold.store.errors import check_writable, require_sqlite, translate_errors
from oncefold.store.events import EncodedEvents, KeptEvents, encode_events
from oncefold.store.load import KeyedRows, Loaded, load
from oncefold.store.opening import WriterLock, prepare
from oncefold.store.retention import Retention, apply_retention
from oncefold.store.schema import add_discarded, create_for, write_definition, write_meta
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.wal import Files, SystemFiles, WalGuard, empty_wal, recover_wal

if TYPE_CHECKING:
    from oncefold.store.replacement import Replacement


@dataclass(frozen=True, slots=True)
class Tuning:
    """Limits that trade speed for size; the defaults were measured."""

    levels: Levels = DEFAULT_LEVELS
    wal_bytes: int = 64 * 2**20
    """Write-ahead log after which SQLite copies it into the file."""
    wal_limit_bytes: int = 256 * 2**20
    """Write-ahead log after which a commit waits, shortly, for readers so that it can be emptied."""


DEFAULT_TUNING = Tuning()
SYSTEM_FILES = SystemFiles()


_SIDE_BY_SIDE_BYTES = 2**22
"""Of all blobs of a commit before they are compressed; threads for less would cost more than they save."""


@dataclass(frozen=True, slots=True)
class _Blobs:
    """The encoded blobs of a commit, made before its transaction begins."""

    keys: tuple[pa.RecordBatch, tuple[int, pa.Buffer]]
    changes: tuple[pa.RecordBatch, tuple[int, pa.Buffer]]
    deltas: tuple[pa.RecordBatch, tuple[int, pa.Buffer]]
    pages: list[tuple[int, pa.Buffer]]
    texts: tuple[pa.RecordBatch, tuple[int, pa.Buffer]] | None
    events: list[EncodedEvents]


def encode_commit(commit: CommitContent, before: rows.Ends) -> _Blobs:
    """The blobs of a commit to a store with these ends."""
    batches = [
        blobs.keys_batch(commit.new_keys),
        blobs.changes_batch(commit.changes),
        blobs.deltas_batch(commit.deltas),
        *(blobs.states_batch(page.states) for page in commit.pages),
    ]
    keys, changes, deltas, *pages = zip(batches, _encoded(batches), strict=True)
    events = encode_events(commit.events, before.rows + len(commit.new_keys), _side_by_side)
    texts = None if commit.new_texts is None else blobs.keys_batch(commit.new_texts)
    encoded_texts = None if texts is None else (texts, blobs.encode(texts))
    return _Blobs(keys, changes, deltas, [page for _, page in pages], encoded_texts, events)


def _side_by_side(function: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
    if len(values) < 2:
        return map(function, values)
    with ThreadPoolExecutor(2, "oncefold-blobs") as pool:
        return list(pool.map(function, values))


def _encoded(batches: Sequence[pa.RecordBatch]) -> list[tuple[int, pa.Buffer]]:
    """The blobs of batches; large ones are compressed side by side, which keeps the last commit of a run short."""
    if sum(batch.nbytes for batch in batches) < _SIDE_BY_SIDE_BYTES:
        return [blobs.encode(batch) for batch in batches]
    return list(_side_by_side(blobs.encode, batches))


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file this is; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Store:
    """One store file, open for writing: `load` once, then `commit` any number of times.

    Any thread may call it, one at a time. After an error it refuses everything except `close`; open it again to
    continue from the last commit.
    """

    def __init__(self, path: Path, pipeline: Pipeline, connection: Connection, release: Callable[[], None]) -> None:
        """Use `Store.open`."""
        self.path, self.pipeline = path, pipeline
        self._connection: Connection | None = connection
        self._release = release
        self._failed = False
        self._schedule: SnapshotSchedule | None = None
        self._redefined = False
        self._options: dict[str, Any] = {}

    @classmethod
    def open(
        cls,
        path: str | Path,
        pipeline: Pipeline,
        *,
        retention: Retention | None = None,
        clock: Callable[[], int] = time.time_ns,
        connect: Callable[[Path], Connection] = connect_writer,
        files: Files = SYSTEM_FILES,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> Self:
        """Open the store at its last commit, or create it.

        `retention` stays in force until another is given (30 days at first). Raises StoreLockedError while another
        process writes it, DefinitionError if its totals were made by a definition with another meaning, and StoreError
        for every other failure; each says what to do.
        """
        path = Path(path)
        require_sqlite()
        check_writable(path)
        lock = WriterLock(path)
        lock.acquire()
        try:
            with translate_errors(path, "opening the store"):
                recover_wal(path, connect, files)
                connection = connect(path)
                store = cls(path, pipeline, connection, lock.release)
                store._options = {"clock": clock, "connect": connect, "files": files, "tuning": tuning}
                try:
                    store._set_up(connection, retention, clock, tuning)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            lock.release()
            raise
        return store

    def _set_up(
        self, connection: Connection, retention: Retention | None, clock: Callable[[], int], tuning: Tuning
    ) -> None:
        prepare(connection, self.path, self.pipeline, clock(), tuning.wal_bytes)
        kept = apply_retention(connection, retention)
        self._clock, self._identity = clock, _identity(self.path)
        self._head, self._ends = rows.read_head(connection), rows.read_ends(connection)
        self._tables = Tables(connection, self.pipeline, tuning.levels)
        self._conflicts = ConflictList(connection, wide=self.pipeline.has_wide_versions)
        self._events = KeptEvents(connection, self._ends.rows) if self.pipeline.keep_events else None
        self._expiry = Expiry(connection, self._tables, kept)
        self._wal_guard = WalGuard(connection, self.path, tuning.wal_limit_bytes)

    def load(self, into: KeyedRows | None = None) -> Loaded:
        """The contents after the last commit; another thread puts the keys `into` what takes them.

        Raises StoreError if anything is damaged.
        """
        connection = self._usable()
        with translate_errors(self.path, "reading the store"):
            loaded = load(connection, self.pipeline, self._tables, self._head, self._ends, into)
        self._schedule = loaded.schedule.copy()
        return replace(loaded, keys=self._explained(loaded.keys), texts=self._explained(loaded.texts))

    def _explained(self, keys: Iterator[pa.LargeBinaryArray]) -> Iterator[pa.LargeBinaryArray]:
        with translate_errors(self.path, "reading the keys"):
            yield from keys

    def commit(self, commit: CommitContent, on_durable: Callable[[int], None] = lambda _: None) -> int:
        """Make one micro-batch durable, whole or not at all, and return the number of the commit.

        One transaction, in this order: the leaves, nodes, keys, changes, deltas, totals, rejects, conflicts, source
        positions, whole events, pages, and last the commit's own row with the counters. When this returns, all of it
        has been synced to the disk. Raises StoreError if not; the last commit is intact then.

        `on_durable` is called with the number as soon as the commit is durable, before compaction. If compaction fails,
        StoreError is raised too, and the store has to be opened again; it holds the commit.
        """
        connection, schedule = self._usable(), self._schedule
        if schedule is None:
            raise StoreError(f"{self.path}: a store is loaded before the first commit")
        head, ends = self._head.after(commit), self._ends.after(commit)
        rows.require_fit(commit, self._ends, ends)
        self._failed = True
        encoded = encode_commit(commit, self._ends)
        with translate_errors(self.path, f"commit {head.seq}"):
            schedule.add(head.seq, commit.changes)
            schedule.snapshotted(page.number for page in commit.pages)
            with transaction(connection):
                self._write_content(connection, head.seq, commit, encoded)
                if self._events is not None:
                    self._events.write(encoded.events, ends.rows)
                self._write_pages(connection, head.seq, commit, encoded, schedule)
                rows.write_head(connection, head, commit)
                self._require_in_place()
            self._head, self._ends = head, ends
            on_durable(head.seq)
            self._compact(schedule, head.seq + 1)
        self._failed = False
        return head.seq

    def _require_in_place(self) -> None:
        """Raises StoreMissingError if what is written is not the file at the path any more."""
        if self._identity is not None and _identity(self.path) != self._identity:
            raise StoreMissingError(
                f"{self.path}: the file was removed or replaced while it was being written, so nothing more is "
                "committed. Put it back, or begin with a new store and send all events again."
            )

    def _write_content(self, connection: Connection, seq: int, commit: CommitContent, encoded: _Blobs) -> None:
        rows.write_leaves(connection, self._ends.leaves, commit.new_leaves)
        rows.write_nodes(connection, self.pipeline, commit.new_nodes)
        first = self._ends.rows
        self._tables.keys.append(first, first + len(commit.new_keys) - 1, *encoded.keys)
        if encoded.texts is not None and self._tables.texts is not None:
            code = self._tables.texts.following
            self._tables.texts.append(code, code + encoded.texts[0].num_rows - 1, *encoded.texts)
        self._tables.changes.append(seq, seq, *encoded.changes)
        self._tables.deltas.append(seq, seq, *encoded.deltas)
        rows.write_totals(connection, self.pipeline, commit.totals)
        rows.write_rejects(connection, seq, commit.rejects, [*commit.redriven, *commit.discarded])
        if commit.discarded:
            add_discarded(connection, len(commit.discarded))
        if commit.conflicts:
            self._conflicts.add(seq, commit.conflicts)
        rows.write_positions(connection, seq, commit.positions)

    def redefine(self, replacement: "Replacement") -> int:
        """Replace the definition and all that was made under it by another's, in one transaction; its commit's number.

        Positions, counters, rejects and conflicts stay. Readers see the store before it, or after it. The new totals
        are recomputed from the new states before the transaction ends. The store refuses everything after this: open
        it again, with the new definition. Raises StoreError if it fails; nothing has changed then.
        """
        from oncefold.store.replacement import encode_keys, require_verified  # noqa: PLC0415 - few runs redefine

        connection = self._usable()
        if self._events is None:
            raise StoreError(f"{self.path}: it keeps no whole events, from which new totals could be made")
        new_keys = replacement.content.new_keys
        content = replace(replacement.content, new_keys=new_keys[:0])
        head = self._head.after(content)
        self._failed = True
        encoded, keys = encode_commit(content, rows.Ends()), encode_keys(new_keys)
        with translate_errors(self.path, "redefining the store"), transaction(connection):
            set_aside(connection, self.pipeline, self._head.seq)
            create_for(connection, replacement.pipeline)
            if self.pipeline.has_wide_versions != replacement.pipeline.has_wide_versions:
                rewrite_versions(connection, wide=replacement.pipeline.has_wide_versions)
            write_definition(connection, replacement.pipeline)
            write_meta(connection, **dict.fromkeys(("changes_from", "deltas_from", "state_from"), str(head.seq)))
            self.pipeline, self._ends = replacement.pipeline, rows.Ends()
            self._tables = Tables(connection, self.pipeline, DEFAULT_LEVELS)
            self._write_content(connection, head.seq, content, encoded)
            for first, batch, blob in keys:
                self._tables.keys.append(first, first + batch.num_rows - 1, batch, blob)
            rows.write_pages(connection, head.seq, content.pages, encoded.pages)
            if self.pipeline.keep_events:
                for number, row in replacement.event_rows(self._events.tables):
                    self._events.tables.renumber(number, row)
            else:
                self._events.clear()
            rows.write_head(connection, head, content)
            require_verified(connection, self.pipeline)
            self._require_in_place()
        self._redefined = True
        return head.seq

    def pause_event_compaction(self, *, paused: bool) -> None:
        """Drop and merge no kept events, or begin again: a redefinition reads them meanwhile."""
        if self._events is not None:
            self._events.paused = paused

    def _write_pages(
        self, connection: Connection, seq: int, commit: CommitContent, encoded: _Blobs, schedule: SnapshotSchedule
    ) -> None:
        if commit.pages:
            rows.write_pages(connection, seq, commit.pages, encoded.pages)
            write_meta(connection, state_from=str(schedule.needed_from(seq + 1) - 1))

    def _compact(self, schedule: SnapshotSchedule, following: int) -> None:
        """Compact after a commit; `following` is the number of the next.

        One merge at most: those of several tables are due at once, and the next commit waits for them. Of the kept
        events about as many are rewritten as were added.
        """
        any(table.merge() for table in self._tables.all())
        if self._events is not None:
            self._events.compact()
        self._expiry.step(self._clock(), schedule.needed_from(following))
        self._wal_guard.step()

    def close(self) -> None:
        """Copy the log into the file, close it and release the lock; no effect when closed."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            with suppress(SqliteError):  # every commit is durable in the log already
                if not self._failed or self._redefined:
                    empty_wal(connection)
            with suppress(SqliteError):
                connection.close()
        finally:
            self._release()

    def reopened(self, pipeline: Pipeline) -> Self:
        """Close it, and open it in the same way with this definition. Raises as `open` does."""
        self.close()
        return type(self).open(self.path, pipeline, **self._options)

    @property
    def last_commit(self) -> int:
        """The number of the last commit, 0 before the first."""
        return self._head.seq

    def _usable(self) -> Connection:
        if self._connection is None:
            raise StoreError(f"{self.path}: the store is closed; open it again")
        if self._redefined:
            raise StoreError(f"{self.path}: its definition was replaced; open it again with the new one")
        if self._failed:
            raise StoreError(f"{self.path}: an earlier commit failed; open the store again to continue")
        return self._connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
