"""Opens a named pipe, which may take until someone opens it for writing, without being held up by that."""

import os
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from oncefold.sources.waiting import Waiting

PROMPT_SECONDS: Final = 0.2
"""A writer that comes within this is not worth a word."""


class Opening:
    """The opening of a path for reading, as a context manager; what was opened is closed at the end.

    It goes on in a thread of its own, because no system lets one wait for a writer and for a stop at once, and not
    all tell a pipe without a writer from one whose writer has gone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._descriptor: int | None = None
        self._error: OSError | None = None
        self._abandoned = False
        self._done, self._tell = os.pipe()

    def wait(self, waiting: Waiting, seconds: float) -> int | None:
        """The descriptor, or None if it is not open yet. Raises OSError if it cannot be opened."""
        waiting.readable(self._done, seconds)
        with self._guard:
            if self._error is not None:
                raise self._error
            return self._descriptor

    def _open(self) -> None:
        descriptor, failed = None, None
        try:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | os.O_CLOEXEC)
        except OSError as error:
            failed = error
        with self._guard:
            self._descriptor, self._error = descriptor, failed
            if self._abandoned and descriptor is not None:
                os.close(descriptor)
            if not self._abandoned:
                os.write(self._tell, b".")

    def __enter__(self) -> Self:
        threading.Thread(target=self._open, name=f"opening {self._path}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            self._abandoned = True
            waits = self._descriptor is None and self._error is None
            if self._descriptor is not None:
                os.close(self._descriptor)
            os.close(self._done)
            os.close(self._tell)
        if waits:
            with suppress(OSError):  # a writer that comes and goes lets the thread end
                os.close(os.open(self._path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))
