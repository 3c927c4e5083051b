"""The command line as real processes: started, signalled and killed by their id, their words kept in files."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

COMMAND = (sys.executable, "-m", "oncefold")

_STANDBY = """
import sys
from oncefold.cli.main import main
from oncefold.engine.session import Session
from oncefold.engine.warmup import warm_up
from oncefold.sources.sources import Sources
warm_up(lambda _: None)
print("ready", flush=True)
if sys.stdin.readline():
    sys.exit(main(sys.argv[1:]))
"""


class Command:
    """A process of `oncefold`; whatever is left of it is killed at the end of a `with` block."""

    def __init__(self, folder: Path, *arguments: object, command: Sequence[str] = COMMAND, **options: Any) -> None:
        number = len(list(folder.glob("words-*")))
        self.words_file = folder / f"words-{number}"
        with self.words_file.open("wb") as words:
            settings = {"stdin": subprocess.DEVNULL, "stdout": words, "stderr": words, **options}
            self.process = subprocess.Popen([*command, *map(str, arguments)], **settings)

    @property
    def words(self) -> str:
        """All that it has said, on both streams if not told otherwise."""
        return self.words_file.read_text()

    @property
    def lines(self) -> list[str]:
        return self.words.splitlines()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Without effect if it has ended."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """The exit status."""
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Standby(Command):
    """A process that has started up, and runs its command when told to `go`: many can start while another works."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        super().__init__(
            folder,
            *arguments,
            command=(sys.executable, "-c", _STANDBY),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def go(self) -> None:
        """Begin the command, once the process is ready."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.words
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
