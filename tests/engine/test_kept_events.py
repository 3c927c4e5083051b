"""The kept events of a store: of each key the newest whole one, whatever arrived, was merged and was reopened."""

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from oncefold.columnar.primitives import FIXED_SEED
from oncefold.columnar.whole import TableRecords
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.engine.kept_decoding import KeptDecoder
from oncefold.engine.session import Session
from oncefold.pipeline_file import parse_pipeline
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from oncefold.store import events
from oncefold.store.check import check_store
from tests.tools.sizes import sized

PIPELINE = parse_pipeline(
    """
name = "kept"
keep_events = true

[event]
key = "id"
version = "v"
delete = "gone"
where = "kind <> 'x'"

[rollups]
by_place = ["place", "kind"]

[measures]
amount = { sum = "amount", scale = 2 }
"""
)


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    """Segments of a few rows, so that merging happens all the time."""
    with patch.object(events, "SEGMENT_ROWS", 8), patch.object(events, "FAN_OUT", 2):
        yield


def random_event(rng: random.Random) -> dict[str, Any]:
    return {
        "id": str(rng.randint(1, 25)),
        "v": rng.randint(1, 6),
        "gone": rng.random() < 0.1,
        "place": rng.choice(["a", "b/c", 'd"e', ""]),
        "kind": rng.choice("xyz"),
        "amount": f"{rng.randint(-500, 500) / 100:.2f}",
        "note": rng.choice(["one", "two\n", "drei, vier"]),
        "more": rng.randint(0, 9),
    }


def ingest(session: Session, found: list[dict[str, Any]], rng: random.Random, folder: Path) -> None:
    """Pass these events in a form drawn at random."""
    form = rng.choice(["lines", "items", "table", "csv", "gone wrong"])
    if form == "lines":
        session.ingest("".join(json.dumps(event) + "\r\n" for event in found))
    elif form == "items":
        session.ingest(found)
    elif form == "table":
        table = pa.Table.from_pylist(found)
        place = table.schema.get_field_index("place")
        session.ingest(table.set_column(place, "place", table.column("place").dictionary_encode()))
    elif form == "csv":
        path = folder / f"{rng.random()}.csv"
        cells = [['"' + str(value).replace('"', '""') + '"' for value in event.values()] for event in found]
        path.write_text("\n".join([",".join(found[0]), *(",".join(row) for row in cells)]) + "\n")
        session.run(Sources([str(path)], ReadOptions(fields=PIPELINE.fields)).blocks())
    else:
        session.ingest([{**event, "amount": "?"} for event in found[:1]] + found[1:])


def kept(session: Session) -> dict[str, tuple[int, Any, dict[str, Any]]]:
    """(version, leaf and measures, the record) of each key, as its kept event says."""
    store: Any = session._store
    index, tables = store._events.index, store._events.tables
    decoder = KeptDecoder(PIPELINE, FIXED_SEED)
    found: dict[str, tuple[int, Any, dict[str, Any]]] = {}
    for segment in index.segments.values():
        row, records = tables.rows(segment.number), tables.records(segment.number)
        living = index.living(segment.number, row)
        assert segment.live == len(living)
        records = records.take(pa.array(living))
        for part in decoder.decode(tables.form(segment.form), records):
            assert not part.rejects
            batch = part.batch
            for at, record in enumerate(part.record.tolist()):
                start, length = int(batch.key_start[at]), int(batch.key_length[at])
                key = bytes(batch.data[start : start + length]).decode()
                leaf = int(batch.leaf[at])
                ends = batch.leaves.offsets
                labels = None if leaf < 0 else batch.leaves.data[ends[leaf] : ends[leaf + 1]].tobytes()
                content = (labels, tuple(batch.measures[:, at].tolist()) if leaf >= 0 else ())
                assert key not in found
                found[key] = (int(batch.version[at]), content, records.slice(record, 1).to_pylist()[0])
    return found


def states(session: Session) -> dict[str, tuple[int, Any]]:
    engine: Any = session.engine
    state, leaves = engine._state, engine._trees.leaves
    columns = state.states(0, state.count)
    found = {}
    for row in range(state.count):
        leaf = int(columns.leaf[row])
        content = (None, ()) if leaf < 0 else (leaves.text(leaf), tuple(columns.measures[:, row].tolist()))
        found[state.key(row)] = (int(columns.version[row]), content)
    return found


@pytest.mark.parametrize("seed", range(sized(2, 25)))
def test_the_kept_event_of_each_key_is_what_its_state_says(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    session = Session.open(tmp_path / "store.db", PIPELINE)
    for _ in range(sized(12, 30)):
        ingest(session, [random_event(rng) for _ in range(rng.randint(1, 12))], rng, tmp_path)
        if rng.random() < 0.2:
            session.close()
            session = Session.open(tmp_path / "store.db", PIPELINE)
        found = kept(session)
        assert {key: event[:2] for key, event in found.items()} == states(session)
        assert all(_has_note(record) for _, _, record in found.values())
        store: Any = session._store
        segments = store._events.index.segments
        assert sum(s.rows for s in segments.values()) <= 2 * len(found) + 40
    session.close()
    assert check_store(tmp_path / "store.db") == []


def _has_note(record: dict[str, Any]) -> bool:
    """Whether a record holds the field that no definition reads."""
    if "record" not in record:
        return "note" in record
    text = record["record"]
    return (
        "note" in json.loads(text) if text.startswith(b"{") else any(note in text for note in (b"one", b"two", b"drei"))
    )


def test_a_redriven_event_is_kept_too(tmp_path: Path) -> None:
    event = {"id": "1", "v": 1, "kind": "y", "amount": "1.00", "note": "kept"}
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        session.ingest(pa.Table.from_pylist([event]))
        session.ingest([{**event, "id": "2"}])
    level = PIPELINE.rollups[0].levels[0]
    wider = replace(
        PIPELINE,
        rollups=(replace(PIPELINE.rollups[0], levels=(replace(level, missing="?"), *PIPELINE.rollups[0].levels[1:])),),
    )
    with Session.open(tmp_path / "s.db", wider) as session:
        session.redrive()
        store: Any = session._store
        tables = store._events.tables
        raws = [raw for number, *_ in tables.segments() for raw in tables.records(number).column(0).to_pylist()]
        assert [json.loads(raw)["note"] for raw in raws] == ["kept", "kept"]


def test_a_definition_that_does_not_speak_of_kept_events_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, PIPELINE) as session:
        session.ingest([random_event(random.Random(1))])
    with pytest.raises(DefinitionError, match="keep_events = true"):
        Session.open(path, replace(PIPELINE, keep_events=None))
    with Session.open(path, PIPELINE) as session:
        assert session._store._events is not None
        assert session._store._events.index.missing == 0
    Session.open(path, replace(PIPELINE, keep_events=False)).close()
    with Session.open(path, PIPELINE) as session:
        assert session._store._events is not None
        assert session._store._events.index.missing == 1


def test_kept_events_are_no_part_of_the_meaning() -> None:
    assert PIPELINE.fingerprint == replace(PIPELINE, keep_events=None).fingerprint
    for value in (None, True, False):
        assert parse_toml(to_toml(replace(PIPELINE, keep_events=value))).keep_events is value
    with pytest.raises(DefinitionError, match="neither true nor false"):
        parse_toml(to_toml(PIPELINE).replace("keep_events = true", 'keep_events = "yes"'))


def test_a_store_of_format_3_takes_them_from_there_on(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    rng = random.Random(3)
    with Session.open(path, replace(PIPELINE, keep_events=None)) as session:
        session.ingest([{**random_event(rng), "id": "old"}])
    with sqlite3.connect(path) as connection:
        for table in ("events", "event_rows", "forms", "definitions"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    assert check_store(path) == []
    with Session.open(path, PIPELINE) as session:
        session.ingest([{**random_event(rng), "id": "new"}])
        assert session._store._events is not None
        assert session._store._events.index.newest.tolist() == [0, 1]


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, PIPELINE) as session:
        session.ingest([{**random_event(random.Random(5)), "id": str(i)} for i in range(3)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET blob = zeroblob(length(blob))")
    connection.close()
    assert any("events 1" in line for line in check_store(path))


def test_rows_are_counted_whatever_their_numbers() -> None:
    for numbers in ([5, 5, 7], [1, 2**31, 1], []):
        found, counts = events._counted(np.array(numbers, np.uint32))
        assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == {n: numbers.count(n) for n in numbers}


def test_rows_of_polars_tables_are_kept_whole() -> None:
    """Its texts are views, of which pyarrow takes no rows; inside lists, objects and categories too."""
    frame = pl.DataFrame(
        {
            "key": ["k" * 20, "l"],
            "tags": [["t" * 20, None], []],
            "place": [{"city": "u" * 20}, {"city": None}],
            "kind": pl.Series(["web", "shop"], dtype=pl.Categorical),
        }
    )
    (table,) = pa.RecordBatchReader.from_stream(frame)
    _, kept = TableRecords(table, 5).taken(np.array([6, 5, 6]))
    assert kept.to_pylist() == [frame.row(at, named=True) for at in (1, 0, 1)]
    kept.validate(full=True)
