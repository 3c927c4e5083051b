"""Directories of the form `name=value` are columns of the files below them, in every format."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oncefold.core.definition_toml import parse_toml
from oncefold.core.fold import Outcome
from oncefold.engine.session import Session
from oncefold.sources.directories import columns_of_directories
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources

PIPELINE = parse_toml("""
name = "hive"
[event]
key = ["tenant", "id"]
version = "v"
time = "day"
[rollups]
t = ["country", { field = "day", window = "1d" }]
[measures]
a = { sum = "a", scale = 2 }
""")
FIELDS = list(PIPELINE.fields)
ROWS: list[dict[str, Any]] = [
    {"id": "k1", "v": 1, "a": "1.50", "note": 'say "hi",\nthere'},
    {"id": "k2", "v": 1, "a": "1,5", "note": ""},
    {"id": "k3", "v": 1, "a": "2.00", "note": "x"},
]


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FORMS = {
    "jsonl": as_jsonl,
    "csv": as_csv,
    "parquet": as_parquet,
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_name_value_directories_are_columns(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "tenant=acme%20inc" / "country=DE" / "day=2026-03-01"
    folder.mkdir(parents=True)
    (file := folder / f"part.{form}").write_bytes(FORMS[form](ROWS))
    options = ReadOptions(fields=FIELDS)
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        progress = session.run(Sources([str(tmp_path / "tenant=acme%20inc")], options).blocks())
        assert progress.counts == {Outcome.INSERTED: 2, Outcome.REJECTED: 1}
        (reject,) = session.reader.rejects()
        assert session.redrive().counts == {Outcome.REJECTED: 1}
        assert str(session.totals("DE/2026-03-01").node.sums["a"]) == "3.50"
        assert session.reader.history("acme inc/k1").rows
    data = file.read_bytes()
    assert reject.position == (1 if form == "parquet" else data.index(b"k2") - {"jsonl": 8, "csv": 0, "json": 13}[form])


def test_what_the_file_has_itself_is_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "country=DE" / "tenant=acme" / "day=2026-03-01"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(as_jsonl([{**ROWS[0], "country": "FR"}, ROWS[2]]))
    (folder / "b.csv").write_bytes(as_csv([{**ROWS[0], "id": "k4", "country": "FR"}]))
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        session.run(Sources([str(tmp_path / "country=DE")], ReadOptions(fields=FIELDS)).blocks())
        assert (session.totals("FR").node.count, session.totals("DE").node.count) == (2, 1)


def test_names_and_values_of_directories() -> None:
    assert columns_of_directories("/a=1/b/c=x%2Fy=z/a=2/d=__HIVE_DEFAULT_PARTITION__/=q/f=1.csv") == (
        ("a", "2"),
        ("c", "x/y=z"),
    )
