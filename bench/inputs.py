"""Inputs: generated once, kept in the work folder under a name that says what is in them."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import oncefold.generate
from bench.totals import digest_of_truth
from oncefold.generate import Tally, Workload, open_sink, plan

Maker = Callable[[tuple[Path, ...]], tuple[tuple[int, ...], Tally]]
"""Writes the files; says how many events are in each, and what must come of all of them."""


@dataclass(frozen=True, slots=True)
class Input:
    """Events in one or two files, read one after the other, and what must come of them."""

    files: tuple[Path, ...]
    events: tuple[int, ...]
    """Events in each file."""
    keys: int
    sha256: str
    """Of the totals after all of them."""


class Inputs:
    """The folder of generated inputs."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._say = folder, say
        self._lock = threading.Lock()

    def of(self, workload: Workload, suffix: str) -> Input:
        """The whole workload in one file, in the form that the suffix says."""

        def make(files: tuple[Path, ...]) -> tuple[tuple[int, ...], Tally]:
            tally = Tally(workload)
            with open_sink(workload, files[0]) as sink:
                for events in plan(workload):
                    sink.write(events)
                    tally.add(events)
            return (tally.events,), tally

        return self._made(workload, (suffix,), make)

    def split(self, workload: Workload, last: int) -> Input:
        """The workload in two files: Parquet, then its `last` events as JSON Lines."""
        first = workload.counts.events - last

        def make(files: tuple[Path, ...]) -> tuple[tuple[int, ...], Tally]:
            tally = Tally(workload)
            with ExitStack() as stack:
                fill, rest = (stack.enter_context(open_sink(workload, file)) for file in files)
                for events in plan(workload):
                    before = max(0, first - tally.events)
                    fill.write(events.part(0, before))
                    rest.write(events.part(before, len(events)))
                    tally.add(events)
            return (first, last), tally

        return self._made(workload, ("parquet", "jsonl"), make, last)

    def _made(
        self,
        workload: Workload,
        suffixes: tuple[str, ...],
        make: Maker,
        last: int = 0,
    ) -> Input:
        name = hashlib.sha256(f"{_generator()} {workload!r} {suffixes} {last}".encode()).hexdigest()[:16]
        files = tuple(self._folder / f"{name}.{suffix}" for suffix in suffixes)
        about = self._folder / f"{name}.json"
        with self._lock:
            if not (about.exists() and all(file.exists() for file in files)):
                self._say(f"generating {workload.counts.events:,} events as {', '.join(suffixes)}")
                _make(files, about, make)
        facts = json.loads(about.read_text(encoding="utf-8"))
        return Input(files, tuple(facts["events"]), facts["keys"], facts["sha256"])


def _make(files: tuple[Path, ...], about: Path, make: Maker) -> None:
    """Write the files, and then what is in them."""
    with _placed(*files) as parts:
        events, tally = make(parts)
    truth = tally.truth()
    facts = {"events": events, "keys": truth["totals"]["keys"], "sha256": digest_of_truth(truth)}
    with _placed(about) as (part,):
        part.write_text(json.dumps(facts), encoding="utf-8")


@contextmanager
def _placed(*files: Path) -> Iterator[tuple[Path, ...]]:
    """Files to write to, which take their names when they are whole: another run sees no half file."""
    parts = tuple(file.with_name(f".{os.getpid()}-{file.name}") for file in files)
    try:
        yield parts
        for part, file in zip(parts, files, strict=True):
            part.replace(file)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


@cache
def _generator() -> str:
    """Another generator makes other files."""
    sources = sorted(Path(oncefold.generate.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
