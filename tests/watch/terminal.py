"""A command on a terminal of its own: what its screen shows, its keys, its size."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_START = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from oncefold.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LEFT_OUT = frozenset({"COLUMNS", "LINES", "NO_COLOR", "ONCEFOLD_STORE", "ONCEFOLD_STACK", "ONCEFOLD_URL"})
"""Of the environment."""
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
HOME = "\x1b[H"


class Terminal:
    """`oncefold` on a pseudo terminal; whatever is left of it is killed at the end of a `with` block."""

    def __init__(self, *arguments: object, lines: int = 20, columns: int = 90) -> None:
        self._own, its = pty.openpty()
        self.resize(lines, columns)
        self.attributes = termios.tcgetattr(its)
        environment = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, arguments)],
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            env={**environment, "TERM": "xterm-256color"},
        )
        self._its = its
        self.written = ""

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    @property
    def frames(self) -> list[str]:
        """All pictures drawn so far, with their escape sequences; the last may be unfinished."""
        return self.written.partition(ENTER)[2].partition(LEAVE)[0].split(HOME)[1:]

    @property
    def screen(self) -> list[str]:
        """The lines of the last picture."""
        return [line.rstrip() for line in plain(self.frames[-1]).splitlines()] if self.frames else []

    def until(self, fact: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        """Take what it writes until this is so."""
        deadline = time.monotonic() + seconds
        while not fact():
            assert time.monotonic() < deadline, f"still waiting for {what}; written last: {self.written[-2_000:]!r}"
            self._take(0.05)

    def shows(self, *texts: str) -> None:
        """Wait until its screen shows these texts."""
        self.until(lambda: all(text in "\n".join(self.screen) for text in texts), f"the screen to show {texts}")

    def end(self) -> int:
        """Wait for its end, take the rest of what it wrote; the exit status."""
        self.until(lambda: self.process.poll() is not None, "the command to end")
        while self._take(0.05):
            pass
        return self.process.returncode

    @property
    def left_in_order(self) -> bool:
        """Whether the terminal is as it was found: its own screen, its cursor, and its ways with keys."""
        order = [(LEAVE, ENTER), (SHOW_CURSOR, HIDE_CURSOR)]
        return termios.tcgetattr(self._its) == self.attributes and all(
            self.written.rfind(last) >= self.written.rfind(first) for last, first in order
        )

    def _take(self, seconds: float) -> bool:
        if not select.select([self._own], [], [], seconds)[0]:
            return False
        self.written += os.read(self._own, 65_536).decode(errors="replace")
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)
        os.close(self._its)


def plain(text: str) -> str:
    """Without what steers the terminal."""
    return _ESCAPE.sub("", text).replace("\r", "")
