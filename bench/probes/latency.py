"""From the write of an event to its totals as another process sees them, while input arrives slowly.

While `oncefold run` runs, this process writes the events at a steady rate and, in another thread, asks the
store with plain SQL how many events are in it. The clock of an event runs from just before it is written to the end
of the first question whose answer holds it.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.definition import TEXT
from bench.totals import digest_of_store

ASK_SECONDS: Final = 0.001
"""From the end of one question to the next."""

PATIENCE_SECONDS: Final = 120.0
"""What is not visible after this long is not coming."""

_EVENTS: Final = "SELECT sum(events) FROM counters"


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer: how many events the store held, and when that was known."""

    events: int
    at: float


def measure(files: list[str], store: str, rate: int, through: str) -> dict[str, Any]:
    """Send the file's events through a `pipe`, or a growing `file`, so many a second."""
    lines = Path(files[0]).read_bytes().splitlines(keepends=True)
    with _engine(Path(store), through) as descriptor, _connected(Path(store)) as connection:
        os.write(descriptor, lines[0])
        _watch(connection, 1)
        written: list[float] = []
        writer = threading.Thread(target=_write, args=(descriptor, lines[1:], rate, written))
        began = time.perf_counter()
        writer.start()
        seen = _watch(connection, len(lines))
        writer.join()
        seconds = seen[-1].at - began
    delays = _delays(written, seen)
    gaps = [after.at - before.at for before, after in pairwise([Seen(1, began), *seen])]
    return {
        "events": len(lines),
        "seconds": seconds,
        "median": median(delays),
        "max": max(delays),
        "commits": len(seen),
        "longest_gap": max(gaps),
        "sha256": digest_of_store(store),
    }


@contextmanager
def _engine(store: Path, through: str) -> Iterator[int]:
    """`oncefold run` in a process of its own, and the descriptor to write events to."""
    definition = store.with_suffix(".toml")
    definition.write_text(TEXT, encoding="utf-8")
    command = [sys.executable, "-m", "oncefold", "run", str(definition), "--store", str(store), "--quiet"]
    if through == "pipe":
        with subprocess.Popen([*command, "-"], stdin=subprocess.PIPE, bufsize=0) as process:
            assert process.stdin is not None
            with _ended(process):
                yield process.stdin.fileno()
                process.stdin.close()
        return
    growing = store.with_suffix(".jsonl")
    descriptor = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with subprocess.Popen([*command, "--follow", str(growing)]) as process, _ended(process):
            yield descriptor
            process.send_signal(signal.SIGINT)
    finally:
        os.close(descriptor)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The process is gone afterwards. Raises RuntimeError if it failed."""
    try:
        yield
        status = process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
    if status:
        raise RuntimeError(f"oncefold run: exit status {status}")


@contextmanager
def _connected(store: Path) -> Iterator[sqlite3.Connection]:
    """A connection for questions, once the engine has made the store."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection = sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            connection.execute(_EVENTS)
            break
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    with closing(connection):
        yield connection


def _write(descriptor: int, lines: Sequence[bytes], rate: int, written: list[float]) -> None:
    """Write the lines on time, one by one, and note when each was written."""
    began = time.perf_counter()
    for number, line in enumerate(lines):
        wait = began + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        written.append(time.perf_counter())
        os.write(descriptor, line)


def _watch(connection: sqlite3.Connection, events: int) -> list[Seen]:
    """Query until the store holds so many events; every answer that was a new one."""
    seen = [Seen(0, time.perf_counter())]
    until = seen[0].at + PATIENCE_SECONDS
    while seen[-1].events < events:
        found = connection.execute(_EVENTS).fetchone()[0]
        now = time.perf_counter()
        if found != seen[-1].events:
            seen.append(Seen(found, now))
            until = now + PATIENCE_SECONDS
        elif now > until:
            raise TimeoutError(f"the store holds {found:,} events of {events:,} and gets no more")
        time.sleep(ASK_SECONDS)
    return seen[1:]


def _delays(written: Sequence[float], seen: Sequence[Seen]) -> list[float]:
    """For each event the time from its write to the first answer that held it; one more was there before them."""
    delays: list[float] = []
    for answer in seen:
        delays += [answer.at - at for at in written[len(delays) : answer.events - 1]]
    return delays
