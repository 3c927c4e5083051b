"""What functions print and how their invocations end, in a file for each function, as CloudWatch would have it."""

import sys
from collections.abc import Callable
from io import TextIOBase
from pathlib import Path
from typing import TextIO, cast

from oncefold.core.errors import OncefoldError


class FunctionLog(TextIOBase):
    """The log of one function: lines with the world's time and the invocation's name."""

    def __init__(self, file: TextIO, seconds: Callable[[], float], invocation: Callable[[], str]) -> None:
        self._file = file
        self._seconds = seconds
        self._invocation = invocation
        self._begun = ""

    def write(self, text: str) -> int:
        """Take text; whole lines are written."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._file.write(f"{self._seconds():11.3f} s  {self._invocation()}: {line}\n")
        return len(text)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


class _Nowhere(TextIOBase):
    """Takes text and keeps nothing."""

    def write(self, text: str) -> int:
        """Take text."""
        return len(text)


def open_log(
    folder: Path | None, function: str, seconds: Callable[[], float], invocation: Callable[[], str], *, quiet: bool
) -> TextIO:
    """The log of a function: a file in a folder; without one stderr, or if `quiet` nothing. Raises OncefoldError."""
    if folder is None:
        return cast("TextIO", _Nowhere()) if quiet else sys.stderr
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f"{function}.log").open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise OncefoldError(f"--logs {folder}: cannot be written: {error.strerror}; name another folder") from None
    return cast("TextIO", FunctionLog(file, seconds, invocation))
