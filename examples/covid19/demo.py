"""The real COVID-19 series as a stream, out of order and with duplicates, through a run that is killed half-way.

    python examples/covid19/demo.py

Exit status 0 only if every total equals the publisher's own and everything else that is told was found so.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard import SERVE, Dashboard
from processes import Command, DemoError, Running, Sender, wait_for
from series import (
    FOLDER,
    HEADER,
    LATE_DAYS,
    UNREPORTED,
    WORLD,
    Event,
    Figures,
    PlainTotals,
    arrivals,
    read_events,
    read_published,
    to_csv,
)
from show import Show

import oncefold
from oncefold.queries import StoreStatus

START_SECONDS = 300.0
"""For a run to commit its first events; the first start on a machine compiles the kernels."""

FOLLOW_SECONDS = 120.0
"""For anything that takes a moment."""

FIRST = 0.02
"""So much of the stream is sent before the run is known to work, as a share of it."""

AHEAD = 0.05
"""The sender comes at most so far beyond the point of a kill before it happens; at most a quarter of the way on."""

MISSED = 0.1
"""So much of the stream arrives while nothing runs; at most half of the way to the next kill."""

MOST_KILLS = 20
SHOWN_COUNTRIES = 8
SHOWN_DIFFERENCES = 5

RUN = Command("run", "pipeline.toml", "stream.csv", "--follow", "--store", "covid19.db")
TOTALS = Command("query", "--store", "covid19.db", "--format", "json")
PART = Command("query", "Denmark", "--store", "covid19.db")
VERIFY = Command("verify", "--store", "covid19.db")


@dataclass(frozen=True)
class Stream:
    """What is sent, in the order of arrival."""

    events: Sequence[Event]
    duplicates: int

    def plain(self, number: int) -> PlainTotals:
        """The plain totals after the first `number` events."""
        plain = PlainTotals()
        plain.fold(self.events[:number])
        return plain


class Checks:
    """Claims that were held against the facts."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self.failed = 0

    def claim(self, right: bool, words: str) -> None:  # noqa: FBT001 - a claim reads best so
        """Say the words, and whether they are right."""
        (self._show.good if right else self._show.bad)(words)
        self.failed += not right

    def equal(self, found: dict[str, Figures], right: dict[str, Figures], words: str) -> None:
        """Claim that two sets of totals are equal; say where they are not."""
        names = sorted(found.keys() | right.keys())
        differing = [name for name in names if found.get(name) != right.get(name)]
        self.claim(not differing, words)
        for name in differing[:SHOWN_DIFFERENCES]:
            self._show.output(f"{name or '(world)'}: {found.get(name)} instead of {right.get(name)}")


class Demo:
    """The story, in a folder of its own."""

    def __init__(self, folder: Path, stream: Stream, show: Show) -> None:
        self._folder, self._stream, self._show = folder, stream, show
        self._checks = Checks(show)
        self._store = folder / "covid19.db"
        shutil.copy(FOLDER / "pipeline.toml", folder)

    def tell(self, kills: int, *, stay: bool = False) -> int:
        """All of it; how many claims were wrong. `stay`: the dashboard is there until Ctrl-C."""
        self._introduce()
        self._show.chapter("The run")
        with Sender(self._folder / "stream.csv", to_csv([Event(*HEADER)]), to_csv(self._stream.events)) as sender:
            for number in range(kills):
                self._run_until_killed(sender, number, 1 / (kills + 1))
            self._run_to_the_end(sender, kills)
        found = self._totals()
        self._show_tree(found)
        self._show.chapter("What was proved")
        self._prove_exactly_once(kills)
        self._prove_against_publisher(found)
        self._show_dashboard(found, stay=stay)
        return self._checks.failed

    def _introduce(self) -> None:
        events, again = self._stream.events, self._stream.duplicates
        places, countries = {event[1:3] for event in events}, {event.country for event in events}
        self._show.chapter("The stream")
        self._show.line(
            f"{len(events) - again:,} real events: {len(places)} places in {len(countries)} countries report "
            f"{len({event.day for event in events})} days, and each event corrects what its place said before. "
            f"They arrive out of order, up to {LATE_DAYS} days late, and {again:,} of them twice: {len(events):,} "
            "lines, appended to a file that grows."
        )

    def _run_until_killed(self, sender: Sender, before: int, way: float) -> None:
        """`way` is from one kill to the next, as a share of the stream; there were `before` kills already."""
        share = (before + 1) * way
        ahead = share + min(AHEAD, way / 4)
        with self._started(sender, before) as running:
            sender.allow(ahead)
            self._watch(running, round(share * len(self._stream.events)))
            running.kill()
        left = self._overview()
        self._show.bad(f"killed with SIGKILL, after commit {left.commit.number:,} with {left.events:,} events in all")
        plain = self._stream.plain(left.events).figures()
        words = f"the store holds exactly the first {left.events:,} events: all its totals equal a plain dictionary's"
        self._checks.equal(self._totals(), plain, words)
        missed = ahead + min(MISSED, way / 2)
        sender.allow(missed)
        wait_for(lambda: sender.has_sent(missed), "the sender", FOLLOW_SECONDS)
        self._show.line("meanwhile the stream goes on, and nobody reads it")

    def _run_to_the_end(self, sender: Sender, before: int) -> None:
        with self._started(sender, before) as running:
            sender.allow(1.0)
            self._watch(running, len(self._stream.events))
            self._show.line("everything is committed, so it is asked to stop, as by Ctrl-C")
            running.stop()

    def _started(self, sender: Sender, before: int) -> Running:
        """The run, known to work."""
        self._show.command(RUN, "(the same command again)" if before else "")
        met = self._overview().events if before else 0
        running = Running(RUN, self._folder, self._show.output)
        try:
            sender.allow(FIRST)
            running.wait_for(lambda: self._committed() > met, "the first commit", START_SECONDS)
        except BaseException:
            running.kill()
            raise
        if before:
            self._show.line(f"it goes on with event {met + 1:,}, the first that is not in the store")
        return running

    def _watch(self, running: Running, events: int) -> None:
        """Wait until so many events are committed."""
        with self._show.bar(len(self._stream.events)) as update:

            def committed() -> bool:
                number = self._committed()
                update(number)
                return number >= events

            running.wait_for(committed, f"{events:,} committed events", FOLLOW_SECONDS)

    def _committed(self) -> int:
        """Events in the store, as another process sees it; 0 while there is none."""
        try:
            return self._overview().events
        except oncefold.StoreError:
            return 0

    def _overview(self) -> StoreStatus:
        with oncefold.open_reader(self._store) as reader:
            return reader.status()

    def _totals(self) -> dict[str, Figures]:
        """The world and its countries, by the command line."""
        rows: list[dict[str, Any]] = json.loads(TOTALS.output(self._folder))["rows"]
        return {row["label"]: Figures(*(int(row["measures"][name]) for name in Figures._fields)) for row in rows}

    def _show_tree(self, found: dict[str, Figures]) -> None:
        self._show.chapter("The totals")
        self._show.command(TOTALS, f"(its {SHOWN_COUNTRIES} greatest countries)")
        greatest = sorted(found, key=found.__getitem__, reverse=True)[: SHOWN_COUNTRIES + 1]
        rows = [[f"  {name}" if name else "(world)", *(f"{figure:,}" for figure in found[name])] for name in greatest]
        self._show.table(["", *Figures._fields], rows)
        for command in (PART, VERIFY):
            self._show.command(command)
            self._show.output(command.output(self._folder))

    def _prove_exactly_once(self, kills: int) -> None:
        overview, sent = self._overview(), len(self._stream.events)
        times = "once" if kills == 1 else f"{kills} times"
        counted = {outcome: number for outcome, number in overview.counts.items() if number}
        plain = self._stream.plain(sent)
        words = ", ".join(f"{number:,} {outcome}" for outcome, number in counted.items())
        self._checks.claim(
            overview.events == sent,
            f"Nothing lost, nothing read twice: {sent:,} events were sent, {self._stream.duplicates:,} of them "
            f"duplicates, the process was killed {times}, and the store met {overview.events:,} events in "
            f"{overview.commit.number} commits.",
        )
        self._checks.claim(
            counted == {outcome: number for outcome, number in plain.outcomes.items() if number},
            f"Each event had the one outcome that a plain dictionary gives it: {words} (also what came twice, once its "
            "place had moved on).",
        )
        self._checks.equal(self._totals(), plain.figures(), "Every total equals the plain dictionary's.")

    def _prove_against_publisher(self, found: dict[str, Figures]) -> None:
        published = read_published()
        day = max(published)
        theirs = published[day]
        self._checks.equal(
            {name: figures._replace(recovered=0) for name, figures in found.items()},
            {name: figures._replace(recovered=0) for name, figures in theirs.items()},
            f"The publisher's own totals of {day}: {len(theirs) - 1} countries, all there are, and the world are equal "
            "in confirmed and in deaths.",
        )
        self._prove_recovered(found, theirs)

    def _show_dashboard(self, found: dict[str, Figures], *, stay: bool) -> None:
        self._show.chapter("The dashboard")
        self._show.command(SERVE)
        with Dashboard(self._folder) as dashboard:
            served = {
                row["label"]: Figures(*(int(row["measures"][name]) for name in Figures._fields))
                for row in dashboard.rows()
            }
            self._checks.claim(bool(dashboard.title()), f"It is served at {dashboard.address}")
            self._checks.equal(
                served, found, f"It shows the same {len(served):,} totals, read over HTTP as the page does."
            )
            if stay:
                self._show.line("It stays until Ctrl-C.")
                dashboard.stay()
            else:
                self._show.line("To look at it, and it stays until Ctrl-C: make demo-serve")

    def _prove_recovered(self, found: dict[str, Figures], theirs: dict[str, Figures]) -> None:
        empty = {event for event in self._stream.events if not event.recovered}
        from_elsewhere = theirs[UNREPORTED].recovered
        right = {name: figures.recovered for name, figures in theirs.items()}
        right[UNREPORTED] -= from_elsewhere
        right[WORLD] -= from_elsewhere
        self._checks.claim(
            {event.country for event in empty} == {UNREPORTED}
            and {name: figures.recovered for name, figures in found.items()} == right,
            f"In recovered {len(theirs) - 2} countries are equal. {UNREPORTED}'s provinces leave it empty in all their "
            f"{len(empty):,} events, which pipeline.toml counts as zero; the publisher has {from_elsewhere:,} from "
            "elsewhere, and by exactly so many the world differs.",
        )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=2021, help="another order, other duplicates (default: 2021)")
    parser.add_argument("--kills", type=int, default=1, choices=range(MOST_KILLS + 1), metavar="0..20",
                        help="how often the run is killed (default: 1)")  # fmt: skip
    parser.add_argument("--folder", type=Path, help="work in this new folder, and keep it to look around")
    parser.add_argument("--stay", action="store_true", help="keep the dashboard at the end until Ctrl-C")
    return parser.parse_args(arguments)


def in_folder(kept: Path | None, story: Callable[[Path], int], show: Show) -> int:
    """Tell the story in a new folder; one that is not to be kept is removed, unless something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="oncefold-demo-")) if kept is None else kept
    try:
        folder.mkdir(parents=True, exist_ok=kept is None)
    except FileExistsError:
        show.bad(f"{folder} exists; name a new folder")
        return 2
    try:
        failed = story(folder)
    except (DemoError, oncefold.OncefoldError, OSError) as error:
        show.bad(f"FAILED: {error}")
        failed = 1
    except KeyboardInterrupt:
        show.bad("interrupted")
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    if failed or kept is not None:
        show.line(f"the store and the stream are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def interrupt(*_: object) -> None:
    """SIGTERM ends the demonstration as Ctrl-C does: with its processes and its folder."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story; the exit status."""
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    show, began = Show(), time.monotonic()
    events = read_events()
    sent = arrivals(events, random.Random(options.seed))  # noqa: S311 - the same seed, the same stream
    stream = Stream(sent, len(sent) - len(events))
    status = in_folder(
        options.folder, lambda folder: Demo(folder, stream, show).tell(options.kills, stay=options.stay), show
    )
    if not status:
        show.line()
        show.good(f"All of it is so. ({time.monotonic() - began:.0f} s)")
    return status


if __name__ == "__main__":
    sys.exit(main())
