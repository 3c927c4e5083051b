"""Real kills: `oncefold run` is killed fifty times over one input, at moments from a seed, and ends exact.

In the short form it is killed three times over as much less input.

After every kill the store holds a prefix of the input, each event of it counted once: all totals and counters equal the
generator's own account of so many events. A failure prints the seed; ONCEFOLD_KILL_SEED repeats its choices.
"""

import os
import random
import signal
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from oncefold.cli.definition import EXAMPLE
from oncefold.cli.main import main
from oncefold.core.fold import Outcome
from oncefold.generate import Tally, Workload, json_lines, plan
from oncefold.store.check import check_store
from oncefold.store.connection import wal_of
from oncefold.store.reader import StoreFile
from tests.tools.processes import COMMAND, Command, Standby
from tests.tools.sizes import is_full, sized
from tests.tools.waiting import until

KILLS = sized(3, 50)
STATIC_LIVES = sized(1, 20)
"""Processes during which the file does not change; in the others it grows and is followed."""
EVENTS, STATIC_EVENTS = sized((18_000, 6_000), (300_000, 180_000))
CHUNKS = 6
"""Pieces in which the file grows during one life of the process."""
AHEAD = 2
"""Processes that start up while another works; a start takes longer than most lives."""

WORKLOAD = Workload(count=EVENTS, duplicates=0.1, modifications=0.3, out_of_order=0.05, deletes=0.05, seed=11)


class Truth:
    """What is right after the first so many events, asked for ever more of them."""

    def __init__(self) -> None:
        self._blocks = deque(plan(WORKLOAD))
        self.lines = b"".join(json_lines(WORKLOAD, block) for block in self._blocks).splitlines(keepends=True)
        self._tally = Tally(WORKLOAD)

    def assert_holds(self, path: Path, at_least: int) -> int:
        """The store is exact, and holds at least so many events; how many it holds."""
        with StoreFile.open(path) as reader:
            status = reader.status()
            events = sum(status.counts.values())
            assert events >= at_least
            right = self._after(events)
            found = {
                row.path: {"count": row.count, "value": _decimal(row.sums[0])} for row in reader.totals("risk").rows
            }
            assert found == right["nodes"]
            counts = {
                "accepted": sum(status.counts[taken] for taken in Outcome if taken.taken),
                "duplicate": status.counts[Outcome.DUPLICATE],
                "stale": status.counts[Outcome.STALE],
            }
            assert counts == right["outcomes"]
            assert reader.verify().differences == []
        return events

    def _after(self, events: int) -> dict[str, dict[str, dict[str, object]]]:
        while self._tally.events < events:
            block = self._blocks.popleft()
            wanted = events - self._tally.events
            self._tally.add(block.part(0, wanted))
            if wanted < len(block):
                self._blocks.appendleft(block.part(wanted, len(block)))
        return self._tally.truth()


def _decimal(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


@dataclass
class Input:
    """The file that is read, and its growth."""

    path: Path
    lines: list[bytes]
    written: int = 0

    def grow(self, to: int) -> None:
        with self.path.open("ab") as file:
            file.writelines(self.lines[self.written : to])
        self.written = to


class Store:
    """The store as seen from outside while it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wal_bytes(self) -> int:
        try:
            return wal_of(self.path).stat().st_size
        except FileNotFoundError:  # the writer removes it as it closes
            return 0

    def events(self) -> int:
        """Events committed."""
        uri = f"{self.path.as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
                found = connection.execute("SELECT sum(events) FROM counters").fetchone()[0]
        except sqlite3.OperationalError:  # the file or its tables are not made yet
            return 0
        return int(found)


Moment = Callable[[], bool]


class Moments:
    """Chooses when to kill, as a fact to wait for."""

    def __init__(self, rng: random.Random, store: Store) -> None:
        self._rng, self._store = rng, store

    def next(self) -> Moment:
        kind = self._rng.choice(["at once", "writing", "writing", "writing", "committed", "committed"])
        if kind == "at once":
            looks = iter(range(self._rng.randrange(40)))
            return lambda: next(looks, None) is None
        if kind == "writing":
            return self._log_grows(self._rng.randrange(1, 40) * 16_384 // self._rng.choice([1, 1, 10]))
        before, more = self._store.events(), self._rng.randrange(1, 4)
        return self._commits(before, more)

    def _log_grows(self, bytes_more: int) -> Moment:
        before, written = self._store.wal_bytes(), 0

        def reached() -> bool:
            nonlocal before, written
            now = self._store.wal_bytes()
            written, before = written + max(0, now - before), now
            return written >= bytes_more

        return reached

    def _commits(self, before: int, more: int) -> Moment:
        def reached() -> bool:
            nonlocal before, more
            now = self._store.events()
            more, before = more - (now > before), now
            return more <= 0

        return reached


def test_many_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("ONCEFOLD_KILL_SEED") or random.SystemRandom().getrandbits(32))
    print(f"ONCEFOLD_KILL_SEED={seed}")
    truth = Truth()
    growing = Input(tmp_path / "events.jsonl", truth.lines)
    growing.path.touch()
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(EXAMPLE)
    path = tmp_path / "store.db"
    arguments = ("run", pipeline, growing.path, "--store", path, "--quiet")
    store, moments = Store(path), Moments(random.Random(seed), Store(path))
    kills = committed = events = 0
    with ExitStack() as stack:
        waiting = deque[Standby]()
        for life in count():
            while len(waiting) <= AHEAD:
                follow = ("--follow",) if life + len(waiting) >= STATIC_LIVES else ()
                waiting.append(stack.enter_context(Standby(tmp_path, *arguments, *follow)))
            if kills == KILLS:
                break
            process, due, budget = waiting.popleft(), moments.next(), 0
            if life < STATIC_LIVES:
                growing.grow(STATIC_EVENTS * (life + 1) // STATIC_LIVES)
            else:
                budget = growing.written + (EVENTS - growing.written) // (KILLS - kills)
            process.go()
            until(lambda: due() or _over(process, store, growing, budget), f"moment {life}")  # noqa: B023
            process.send(signal.SIGKILL)
            status = process.wait()
            assert status == -signal.SIGKILL or (status == 0 and life < STATIC_LIVES), process.words
            kills += status != 0
            if path.exists() and store.events():
                before, events = events, truth.assert_holds(path, events)
                committed += events > before and status != 0
    growing.grow(EVENTS)
    with Command(tmp_path, *arguments[:-1], command=COMMAND) as last:
        assert last.wait() == 0, last.words
    assert truth.assert_holds(path, events) == EVENTS
    assert check_store(path) == []
    assert main(["verify", "--store", str(path)]) == 0
    print(f"{kills} kills in {life} lives, {committed} of them after a commit")
    assert kills == KILLS
    assert committed > KILLS // 4 or not is_full()


def _over(process: Standby, store: Store, growing: Input, budget: int) -> bool:
    """Let the file grow once all of it is committed; whether this life has seen all that it may see."""
    if not budget:
        return not process.running
    if store.events() < growing.written:
        return False
    if growing.written >= budget:
        return True
    growing.grow(min(budget, growing.written + max(1, budget // CHUNKS // KILLS)))
    return False
