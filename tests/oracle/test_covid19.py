"""Real data against its publisher's own totals: the COVID-19 series, through every form of input, day after day."""

import csv
import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples.covid19.series import FOLDER, HEADER, UNREPORTED, WORLD, Event, Figures, read_events, read_published

import oncefold
from oncefold.cli.main import main
from tests.tools.sizes import full_only, sized

DAYS = (
    "2020-01-22",  # the first
    "2020-01-23",
    "2020-02-12",  # the first on which Canada's total has a recovered figure
    "2020-03-11",
    "2020-04-30",
    "2020-07-01",
    "2020-10-15",
    "2020-12-31",
    "2021-02-28",
    "2021-03-16",  # the last
)[: sized(3, None)]
DUPLICATES = 0.1
"""Share of a step's events that come twice in it."""
REPLAYS = 0.05
"""Share of all earlier events that come again in a step."""
FILES = 3
"""A step's events come in so many files, of any sizes."""
UNREPORTED_EVENTS = 6_720

Steps = dict[str, list[Event]]
Published = dict[str, dict[str, Figures]]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return read_events()


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published()


@pytest.fixture(scope="module")
def steps(events: list[Event]) -> Steps:
    """What arrives for each day of DAYS: all that is new since the one before, some twice, and replays, shuffled."""
    rng = random.Random(20210316)
    arriving: Steps = {}
    earlier: list[Event] = []
    for before, day in zip(("", *DAYS), DAYS, strict=False):
        new = [event for event in events if before < event.day <= day]
        stream = [*new, *_some(rng, new, DUPLICATES), *_some(rng, earlier, REPLAYS)]
        rng.shuffle(stream)
        arriving[day] = stream
        earlier += new
    return arriving


def _some(rng: random.Random, events: Sequence[Event], share: float) -> list[Event]:
    return rng.sample(events, round(len(events) * share))


def as_csv(path: Path, events: Sequence[Event]) -> None:
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *events])


def as_json_lines(path: Path, events: Sequence[Event]) -> None:
    """Figures as numbers; those that are not reported are null here, and not there at all in every other line."""
    lines = []
    for number, event in enumerate(events):
        row: dict[str, object] = dict(zip(HEADER, event, strict=True))
        row.update({name: None if row[name] == "" else int(str(row[name])) for name in HEADER[3:]})
        if number % 2:
            row = {name: value for name, value in row.items() if value is not None}
        lines.append(json.dumps(row, ensure_ascii=bool(number % 3)) + "\n")
    path.with_suffix(".jsonl").write_text("".join(lines), encoding="utf-8")


def as_parquet(path: Path, events: Sequence[Event]) -> None:
    """Days as dates, figures as integers, those that are not reported as null."""
    columns = dict(zip(HEADER, zip(*events, strict=True), strict=True))
    arrays: dict[str, pa.Array] = {
        "Date": pa.array(map(date.fromisoformat, columns["Date"]), pa.date32()),
        **{name: pa.array(columns[name], pa.string()) for name in HEADER[1:3]},
        **{name: pa.array([int(cell) if cell else None for cell in columns[name]]) for name in HEADER[3:]},
    }
    pq.write_table(pa.table(arrays), path.with_suffix(".parquet"), row_group_size=1_000)


FORMS: dict[str, Callable[[Path, Sequence[Event]], None]] = {
    "csv": as_csv,
    "jsonl": as_json_lines,
    "parquet": as_parquet,
}


def in_pieces(events: Sequence[Event], pieces: int, rng: random.Random) -> Iterator[Sequence[Event]]:
    cuts = sorted(rng.randrange(1, len(events)) for _ in range(pieces - 1))
    for start, end in zip((0, *cuts), (*cuts, len(events)), strict=True):
        if start < end:
            yield events[start:end]


def run(pipeline: Path, source: Path, store: Path) -> None:
    assert main(["run", str(pipeline), str(source), "--store", str(store), "--quiet"]) == 0


def totals(store: Path, as_of: int | None = None) -> dict[str, Figures]:
    """Every country, and the world under WORLD."""
    with oncefold.open_reader(store) as ask:
        rows = ask.query(depth=1, as_of=as_of).to_dicts()
    return {row["label"]: Figures(*(int(row[f"measure_{name}"]) for name in Figures._fields)) for row in rows}


def without_recovered(figures: dict[str, Figures]) -> dict[str, Figures]:
    return {country: total._replace(recovered=0) for country, total in figures.items()}


def assert_equal_to_publisher(found: dict[str, Figures], theirs: dict[str, Figures]) -> None:
    """All is equal but for what Canada's provinces do not report, by exactly so much the world differs."""
    assert without_recovered(found) == without_recovered(theirs)
    unreported = theirs[UNREPORTED].recovered
    explained = {country: total.recovered for country, total in theirs.items()}
    explained[UNREPORTED] -= unreported
    explained[WORLD] -= unreported
    assert {country: total.recovered for country, total in found.items()} == explained


def test_the_series_is_what_its_readme_says(events: list[Event], published: Published) -> None:
    assert (len(events), len({event.day for event in events})) == (115_080, 420)
    assert len({(event.country, event.province) for event in events}) == 274
    assert len({event.country for event in events}) == 192
    assert published.keys() == {event.day for event in events}
    assert all(len(theirs) == 193 for theirs in published.values())
    empty = [event for event in events if "" in event[3:]]
    assert len(empty) == UNREPORTED_EVENTS
    assert {event.country for event in empty} == {UNREPORTED}
    assert all(event.recovered == "" and event.confirmed and event.deaths for event in empty)
    assert empty == [event for event in events if event.country == UNREPORTED]


@pytest.mark.parametrize("form", FORMS)
def test_every_chosen_day_equals_the_publishers_totals(
    form: str, steps: Steps, published: Published, tmp_path: Path
) -> None:
    """One store, one folder of files; after each day all totals are equal, and later on as of that day's commit too."""
    store, folder, rng = tmp_path / "covid19.db", tmp_path / "arrived", random.Random(form)
    folder.mkdir()
    commits: dict[str, int] = {}
    for day, stream in steps.items():
        for number, piece in enumerate(in_pieces(stream, FILES, rng)):
            FORMS[form](folder / f"{day}-{number}", piece)
        run(FOLDER / "pipeline.toml", folder, store)
        assert_equal_to_publisher(totals(store), published[day])
        with oncefold.open_reader(store) as ask:
            commits[day] = ask.status().commit.number
    for day, commit in commits.items():
        assert_equal_to_publisher(totals(store, as_of=commit), published[day])
    with oncefold.open_reader(store) as ask:
        assert ask.verify().exact
        assert ask.check().sound
        status = ask.status()
    assert status.events == sum(map(len, steps.values()))
    assert (status.keys, status.live, status.rejects, status.conflicts) == (274, 274, 0, 0)


def test_batches_of_any_size_from_python(steps: Steps, published: Published, tmp_path: Path) -> None:
    """The same by `ingest`, in many small batches, with the store closed and opened again between the days."""
    store, rng = tmp_path / "covid19.db", random.Random(7)
    for day, stream in steps.items():
        with oncefold.open(store, FOLDER / "pipeline.toml") as session:
            for piece in in_pieces(stream, 12, rng):
                columns = dict(zip(HEADER, map(pa.array, zip(*piece, strict=True)), strict=True))
                columns["Recovered"] = pa.array([event.recovered or None for event in piece], pa.string())
                session.ingest(pa.table(columns))
        assert_equal_to_publisher(totals(store), published[day])


@pytest.mark.parametrize("form", FORMS)
@full_only("2 s")
def test_a_missing_figure_is_rejected_then_redriven(
    form: str, events: list[Event], published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `missing = "zero"` Canada is rejected, and nothing else is; with it, a redrive brings it in."""
    strict, store = tmp_path / "strict.toml", tmp_path / "covid19.db"
    text = (FOLDER / "pipeline.toml").read_text(encoding="utf-8")
    strict.write_text(text.replace(', missing = "zero"', ""), encoding="utf-8")
    FORMS[form](tmp_path / "events", events)
    run(strict, tmp_path / f"events.{form}", store)

    theirs = published["2021-03-16"]
    missing = dict(theirs)
    canada = missing.pop(UNREPORTED)
    missing[WORLD] = Figures(*(world - its for world, its in zip(missing[WORLD], canada, strict=True)))
    assert totals(store) == missing
    with oncefold.open_reader(store) as ask:
        rejects = ask.rejects()
    assert len(rejects) == UNREPORTED_EVENTS
    assert all("Recovered" in reject.reason and UNREPORTED.encode() in reject.raw for reject in rejects)

    capsys.readouterr()
    assert main(["rejects", "redrive", str(FOLDER / "pipeline.toml"), "--store", str(store)]) == 0
    assert capsys.readouterr().out.startswith("6,720 events read again: 6,720 accepted")
    assert_equal_to_publisher(totals(store), theirs)
    with oncefold.open_reader(store) as ask:
        assert len(ask.rejects()) == 0
        assert ask.verify().exact
