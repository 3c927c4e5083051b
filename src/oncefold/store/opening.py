"""Opening a store to write: the writer's lock, the connection's settings, and the check of the definition."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.definition_text import to_toml
from oncefold.core.errors import DefinitionError, StoreError, StoreLockedError
from oncefold.store.connection import BUSY_MS, CACHE_KIB, Connection, scalar, transaction
from oncefold.store.events import clear_events
from oncefold.store.retention import DEFAULT_RETENTION, to_text
from oncefold.store.schema import (
    PAGE_SIZE,
    create,
    is_current,
    is_fresh,
    read_definition,
    refuse_others,
    upgrade,
    write_definition,
)
from oncefold.store.wal import empty_wal


def prepare(connection: Connection, path: Path, pipeline: Pipeline, created: int, wal_bytes: int) -> None:
    """Configure the connection, and create or check the store.

    Raises StoreError if the file is not a store, and DefinitionError if its totals have another meaning.
    """
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    fresh = is_fresh(connection)
    if fresh:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    else:
        refuse_others(connection, path)
    if scalar(connection, "PRAGMA journal_mode = WAL") != "wal":
        raise StoreError(f"{path}: its file system cannot hold a write-ahead log; put the store on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS does not wait for the disk otherwise
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {wal_bytes // PAGE_SIZE}")
    connection.execute(f"PRAGMA journal_size_limit = {2 * wal_bytes}")
    if fresh:
        with transaction(connection):
            create(connection, pipeline, created, to_text(DEFAULT_RETENTION))
    else:
        empty_wal(connection)  # otherwise every opening would write an earlier run's log again
        _refuse_another_meaning(connection, path, pipeline)
        if not is_current(connection):
            with transaction(connection):
                upgrade(connection)
        _match_kept_events(connection, path, pipeline)
        if to_toml(read_definition(connection, path)) != to_toml(pipeline):
            with transaction(connection):
                write_definition(connection, pipeline)


def _refuse_another_meaning(connection: Connection, path: Path, pipeline: Pipeline) -> None:
    stored = read_definition(connection, path)
    changes = changes_of_meaning(stored, pipeline) if stored.fingerprint != pipeline.fingerprint else []
    if changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise DefinitionError(
            f"{path}: its totals were made by a definition with another meaning:{listed}\n"
            f"Restore that definition; or {_ways_on(path, stored)}"
        )


def _ways_on(path: Path, stored: Pipeline) -> str:
    again = (
        "name a new store file and run the sources into it again, from their beginning: every event counts once there "
        "too."
    )
    if not stored.keep_events:
        return f"{again} With keep_events = true in it, `oncefold redefine` replaces a definition without that."
    return (
        "let Oncefold make the totals anew from the whole events that the store keeps: "
        f"oncefold redefine PIPELINE --store {path}; or {again}"
    )


def _match_kept_events(connection: Connection, path: Path, pipeline: Pipeline) -> None:
    """Drop the kept events where the definition says so. Raises DefinitionError where it does not speak of them."""
    if pipeline.keep_events or not scalar(connection, "SELECT count(*) FROM (SELECT 1 FROM events LIMIT 1)"):
        return
    if pipeline.keep_events is None:
        raise DefinitionError(
            f"{path}: it keeps the newest whole event of each key, and the definition does not say whether it goes on "
            "so: write keep_events = true at its top; or keep_events = false, which drops them"
        )
    with transaction(connection):
        clear_events(connection)


class WriterLock:
    """The one writer's lock: an operating system lock on a file beside the store, which ends with its process.

    It is held from `acquire` to `release`, by any thread. The lock file holds the process id for the message.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._file = store.with_name(store.name + "-lock")
        self._unlock: Callable[[], object] = _held_by_nobody

    def acquire(self) -> None:
        """Take the lock. Raises StoreLockedError naming its holder, or StoreError if it cannot be taken at all."""
        try:
            self._unlock = lock_file(self._file)
        except BlockingIOError:
            if not self._file.exists():  # nobody holds what cannot be made
                raise StoreError(f"{self._store}: {_takes_no_files(self._store)}") from None
            raise StoreLockedError(
                f"{self._store}: {self._holder()} is writing this store; only one process may: stop it first, "
                "or wait. Reading (query, status, verify ...) works meanwhile."
            ) from None
        except OSError as error:
            raise StoreError(f"{self._store}: {_lock_failure(self._store, error)}") from error
        with suppress(OSError):  # the number only helps a message
            self._file.write_text(f"{os.getpid()}\n", encoding="ascii")

    def release(self) -> None:
        """Release the lock; no effect if it is not held."""
        unlock, self._unlock = self._unlock, _held_by_nobody
        unlock()

    def _holder(self) -> str:
        try:
            pid = int(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return "another process"
        return "this very process" if pid == os.getpid() else f"process {pid}"


def _held_by_nobody() -> None:
    """What releases a lock that is not held."""


def lock_file(path: Path) -> Callable[[], object]:
    """Lock a file, which is made if there is none, and stays; what is returned releases it.

    Where the system has `flock`, that is called as filelock calls it, whose import takes longer than opening a store.
    Raises BlockingIOError if it is locked, OSError if it cannot be.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return _lock_otherwise(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.fstat(descriptor).st_nlink:
            raise BlockingIOError(errno.EAGAIN, "the lock file was removed meanwhile")
    except OSError as error:
        os.close(descriptor)
        if error.errno == errno.EACCES:  # so some file systems say that it is locked
            raise BlockingIOError(error.errno, error.strerror) from error
        if error.errno == errno.ENOSYS:
            return _lock_otherwise(path)
        raise
    return partial(os.close, descriptor)


def _lock_otherwise(path: Path) -> Callable[[], object]:
    import filelock  # noqa: PLC0415 - see `lock_file`

    lock = filelock.FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BlockingIOError(errno.EAGAIN, "it is locked") from error
    return lock.release


def _takes_no_files(store: Path) -> str:
    return f"the folder {store.parent} takes no new files; name a store in another folder"


def _lock_failure(store: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "its file system is read-only; a store that is written needs another place"
    if isinstance(error, PermissionError):
        return f"no permission to write in the folder {store.parent}; change it, or name another place"
    if error.errno == errno.ENOENT and store.parent.is_dir():
        return _takes_no_files(store)
    return f"cannot lock it: {error.strerror or error}"
