"""The two sides of the demonstration: a sender that appends to a file, and the real `oncefold run` that follows it."""

import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PIECES = 160
"""The stream is written in so many pieces, cut anywhere: a reader often finds half a line at the end."""

PIECE_SECONDS = 0.025
"""Between two pieces; all of it takes some four seconds."""

LOOK_SECONDS = 0.02
"""Between two looks at a fact that is waited for."""

STOP_SECONDS = 30.0
"""How long a process may take to end after it was asked to."""


class DemoError(Exception):
    """The demonstration cannot go on."""


def wait_for(fact: Callable[[], bool], words: str, seconds: float) -> None:
    """Return when the fact is there. Raises DemoError if the time is over before."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise DemoError(f"waited {seconds:.0f} s in vain for {words}")
        time.sleep(LOOK_SECONDS)


class Sender:
    """Appends a stream to a file, piece by piece, in a thread of its own, whether or not anyone reads."""

    def __init__(self, path: Path, header: bytes, body: bytes) -> None:
        """Write the header at once, so that the file can be followed."""
        self._path, self._body = path, body
        self._limit, self._allowed = 0, threading.Condition()
        self._closed = False
        self.sent = 0
        """Bytes of the body that are in the file."""
        path.write_bytes(header)
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._thread.start()

    def allow(self, share: float) -> None:
        """Let so much of the stream be sent, as a share of 1, if not more."""
        with self._allowed:
            self._limit = max(self._limit, round(len(self._body) * share))
            self._allowed.notify()

    def has_sent(self, share: float) -> bool:
        """Whether so much of the stream is in the file. Raises DemoError if the rest will never be."""
        if not self._thread.is_alive() and self.sent < len(self._body):
            raise DemoError(f"the sender stopped; is there space left for {self._path}?")
        return self.sent >= round(len(self._body) * share)

    def _send(self) -> None:
        step = len(self._body) // PIECES + 1
        with self._path.open("ab", buffering=0) as file:
            while self.sent < len(self._body):
                with self._allowed:
                    self._allowed.wait_for(lambda: self._closed or self._limit > self.sent)
                    end = min(self.sent + step, self._limit)
                if self._closed:
                    return
                file.write(self._body[self.sent : end])
                self.sent = end
                time.sleep(PIECE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._allowed:
            self._closed = True
            self._allowed.notify()
        self._thread.join()


class Command:
    """`oncefold` with some arguments, as it is typed and as it is started."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __str__(self) -> str:
        return shlex.join(["oncefold", *self._arguments])

    @property
    def process(self) -> Sequence[str]:
        """With this Python, wherever the command is installed."""
        return [sys.executable, "-m", "oncefold", *self._arguments]

    def output(self, folder: Path) -> str:
        """Run it to its end; what it prints. Raises DemoError if it fails."""
        done = subprocess.run(self.process, cwd=folder, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise DemoError(f"`{self}` ended with status {done.returncode}: {done.stdout}{done.stderr}".rstrip())
        return done.stdout


class Running:
    """A process of `oncefold run`, killed at the latest when its `with` block ends."""

    def __init__(self, command: Command, folder: Path, say: Callable[[str], None]) -> None:
        """Start it; `say` is told each line that it prints."""
        self._command, self._say = command, say
        self._process = subprocess.Popen(
            command.process, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        self._listener = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._say(line.rstrip())

    def is_alive(self) -> bool:
        """Always true. Raises DemoError if it ended by itself."""
        if self._process.poll() is not None:
            raise DemoError(f"`{self._command}` ended by itself, with status {self._process.returncode}")
        return True

    def wait_for(self, fact: Callable[[], bool], words: str, seconds: float) -> None:
        """Return when the fact is there. Raises DemoError if the process ends or the time is over before."""
        wait_for(lambda: fact() or not self.is_alive(), words, seconds)

    def kill(self) -> None:
        """End it without a warning: SIGKILL, which no program can catch or put off."""
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """Ask it to stop, as Ctrl-C does. Raises DemoError if it does not, or not well."""
        self._process.send_signal(signal.SIGINT)
        self._end()
        if self._process.returncode:
            raise DemoError(f"`{self._command}` ended with status {self._process.returncode} when asked to stop")

    def _end(self) -> None:
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"`{self._command}` did not end within {STOP_SECONDS:.0f} s") from None
        self._listener.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._listener.join()
