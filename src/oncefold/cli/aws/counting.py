"""How far a long reading is: one line that is redrawn on a terminal, a line now and then elsewhere; on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 5.0
_ERASE = "\r\x1b[K"


class Counting:
    """Told what is read and how much so far. What takes no time is not mentioned."""

    def __init__(self, out: TextIO | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = sys.stderr if out is None else out
        self._live = self._out.isatty()
        self._monotonic = monotonic
        self._last = monotonic()
        self._drawn = False

    def __call__(self, what: str, seen: int) -> None:
        """So many of these are read."""
        now = self._monotonic()
        if now - self._last < (_REDRAW_SECONDS if self._live else _LINE_SECONDS):
            return
        self._last = now
        if self._live:
            self._out.write(f"{_ERASE}{seen:,} {what}")
            self._drawn = True
        else:
            self._out.write(f"oncefold: {seen:,} {what} so far\n")
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._out.write(_ERASE)
            self._out.flush()
