"""The series as it was published: its events, its own totals, and the plain definition of the totals between them.

Nothing here uses Oncefold; what the engine says is held against this.
"""

import csv
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

FOLDER = Path(__file__).resolve().parent
EVENTS_FILE = FOLDER / "time-series.csv.zst"
COUNTRIES_FILE = FOLDER / "countries-aggregated.csv.zst"
WORLD_FILE = FOLDER / "worldwide-aggregate.csv.zst"

HEADER = ("Date", "Country/Region", "Province/State", "Confirmed", "Recovered", "Deaths")

WORLD = ""
"""How the world is written where countries are: the root of the tree."""

UNREPORTED = "Canada"
"""Its provinces leave Recovered empty, while the publisher's figure for the whole country comes from elsewhere."""

DUPLICATE_SHARE = 0.1
"""So many of the events are sent a second time."""

LATE_DAYS = 30
"""An event arrives up to so many days late, so that the days of a place come in shuffled order."""


class Figures(NamedTuple):
    """What is summed."""

    confirmed: int = 0
    deaths: int = 0
    recovered: int = 0


class Event(NamedTuple):
    """One line of the series: its columns in their order, as text."""

    day: str
    country: str
    province: str
    confirmed: str
    recovered: str
    deaths: str

    @property
    def figures(self) -> Figures:
        """Its numbers; a missing one is zero, as pipeline.toml says."""
        return Figures(int(self.confirmed or 0), int(self.deaths or 0), int(self.recovered or 0))


def read_events() -> list[Event]:
    """All events, place by place and day by day."""
    rows = csv.reader(_text(EVENTS_FILE))
    assert tuple(next(rows)) == HEADER
    return [Event(*row) for row in rows]


def read_published() -> dict[str, dict[str, Figures]]:
    """The publisher's own totals: by day, by country, those of the world under WORLD."""
    published: dict[str, dict[str, Figures]] = {}
    for row in csv.DictReader(_text(COUNTRIES_FILE)):
        published.setdefault(row["Date"], {})[row["Country"]] = _figures(row)
    for row in csv.DictReader(_text(WORLD_FILE)):
        published[row["Date"]][WORLD] = _figures(row)
    return published


def _figures(row: dict[str, str]) -> Figures:
    return Figures(int(row["Confirmed"]), int(row["Deaths"]), int(row["Recovered"]))


def _text(path: Path) -> io.StringIO:
    with pa.input_stream(str(path), compression="zstd") as stream:
        return io.StringIO(stream.read().decode("utf-8"), newline="")


def arrivals(events: Sequence[Event], rng: random.Random, duplicates: float = DUPLICATE_SHARE) -> list[Event]:
    """The events as an unkind network delivers them: each up to LATE_DAYS late, and some again, soon or long after."""
    days = {day: number for number, day in enumerate(sorted({event.day for event in events}))}
    first = [(days[event.day] + rng.uniform(0, LATE_DAYS), event) for event in events]
    end = len(days) + LATE_DAYS
    twice = rng.sample(first, round(len(events) * duplicates))
    again = [(at + (end - at) * rng.random() ** 4, event) for at, event in twice]
    return [event for _, event in sorted(first + again)]


def to_csv(events: Iterable[Event]) -> bytes:
    """The events as lines of CSV, without a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(events)
    return text.getvalue().encode()


class PlainTotals:
    """The definition of the totals in the plainest Python: of each place the event of the latest day counts."""

    def __init__(self) -> None:
        self.latest: dict[tuple[str, str], Event] = {}
        self.outcomes = {"inserted": 0, "corrected": 0, "duplicate": 0, "stale": 0}

    def fold(self, events: Iterable[Event]) -> None:
        """Take events in the order in which they arrive."""
        for event in events:
            place = event.country, event.province
            standing = self.latest.get(place)
            self.outcomes[_outcome(event, standing)] += 1
            if standing is None or event.day > standing.day:
                self.latest[place] = event

    def figures(self) -> dict[str, Figures]:
        """Every country, and the world under WORLD."""
        sums: dict[str, list[int]] = {WORLD: [0, 0, 0]}
        for country, figures in self._contributions():
            for total in (sums[WORLD], sums.setdefault(country, [0, 0, 0])):
                for index, figure in enumerate(figures):
                    total[index] += figure
        return {country: Figures(*total) for country, total in sums.items()}

    def _contributions(self) -> Iterator[tuple[str, Figures]]:
        return ((event.country, event.figures) for event in self.latest.values())


def _outcome(event: Event, standing: Event | None) -> str:
    if standing is None:
        return "inserted"
    if event.day == standing.day:
        return "duplicate"
    return "corrected" if event.day > standing.day else "stale"
