"""One writer per store: an operating system lock on a file beside it, which falls with its process."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import filelock

from oncefold.core.errors import StoreError, StoreLockedError


class WriterLock:
    """Held from `acquire` until `release`, in any threads; the lock file holds the process id, for the message."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._file = store.with_name(store.name + "-lock")
        self._lock = filelock.FileLock(self._file, timeout=0, thread_local=False)

    def acquire(self) -> None:
        """Take the lock. Raises StoreLockedError naming its holder, or StoreError if it cannot be taken at all."""
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise StoreLockedError(
                f"{self._store}: {self._holder()} is writing this store, and one at a time may; stop it first, "
                "or wait. Reading (query, status, verify ...) works meanwhile."
            ) from None
        except OSError as error:
            raise StoreError(f"{self._store}: {_meaning(self._store, error)}") from error
        with suppress(OSError):  # the number only helps a message
            self._file.write_text(f"{os.getpid()}\n", encoding="ascii")

    def release(self) -> None:
        """Give the lock up; without effect if it is not held."""
        self._lock.release()

    def _holder(self) -> str:
        try:
            pid = int(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return "another process"
        return "this very process" if pid == os.getpid() else f"process {pid}"


def _meaning(store: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "its file system is read-only; a store that is written needs another place"
    if isinstance(error, PermissionError):
        return f"no permission to write in the folder {store.parent}; change it, or name another place"
    return f"cannot lock it: {error.strerror or error}"
