"""What `oncefold.open` and `ingest` take from Python programs, and what a closed store says."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import oncefold
from oncefold.core.errors import DefinitionError, SourceError, StoreError
from oncefold.core.fold import Outcome
from oncefold.engine import decoding

TEXT = """
name = "shop"
[event]
key = "order"
where = "amount > 0"
[rollups]
place = ["country"]
[measures]
amount = { sum = "amount", scale = 2 }
"""
TABLES = {
    "name": "shop",
    "event": {"key": "order", "where": "amount > 0"},
    "rollups": {"place": ["country"]},
    "measures": {"amount": {"sum": "amount", "scale": 2}},
}


def rows(count: int) -> Iterator[dict[str, Any]]:
    return ({"order": f"A-{number}", "country": "FR", "amount": number + 1} for number in range(count))


def test_a_definition_is_a_file_a_text_a_dictionary_or_an_object(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(TEXT)
    forms = [str(tmp_path / "shop.toml"), tmp_path / "shop.toml", TEXT, TABLES, oncefold.parse_pipeline(TEXT)]
    for form in forms:
        with oncefold.open(tmp_path / "shop.db", form) as store:
            store.ingest(rows(3))
            assert store.query().node.count == 3
            assert store.query().node.sums["amount"] == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "shop"}, r"pipeline: .*\[event\]"),
        ({**TABLES, "measures": {"amount": {"total": "amount"}}}, r"pipeline: \[measures\] amount"),
        ({**TABLES, 1: 2}, "pipeline: the name 1 is no text"),
        ({**TABLES, "event": {"key": None}}, "pipeline.event.key: None is no value of a definition"),
        ({**TABLES, "rollups": {"place": [3]}}, r"pipeline: \[rollups\] place"),
        ("name = 3\n", "pipeline: the table .event. is missing"),
        ("shop.tml", "shop.tml: no such file"),
        (3, "int is no definition"),
    ],
)
def test_what_is_no_definition_is_said(tmp_path: Path, given: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        oncefold.open(tmp_path / "shop.db", given)


INPUTS: dict[str, Callable[[], Any]] = {
    "generator": lambda: rows(10),
    "iterator": lambda: iter(list(rows(10))),
    "lazy frame": lambda: pl.DataFrame(list(rows(10))).lazy().filter(pl.col("amount") > 0),
    "frames": lambda: (pd.DataFrame(list(rows(10))[at : at + 3]) for at in range(0, 10, 3)),
    "batches": lambda: iter(pa.Table.from_pylist(list(rows(10))).to_batches(max_chunksize=4)),
    "mixed": lambda: iter([*list(rows(10))[:4], pl.DataFrame(list(rows(10))[4:9]), *list(rows(10))[9:]]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_iterators_and_lazy_frames_are_events(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "ITEMS", 3)
    with oncefold.open(tmp_path / "shop.db", TEXT) as store:
        assert store.ingest(INPUTS[name]()).counts == {Outcome.INSERTED: 10}
        assert store.ingest(INPUTS[name]()).counts == {Outcome.DUPLICATE: 10}
        assert (store.query().node.count, store.query().node.sums["amount"]) == (10, 55)


def test_an_iterator_is_read_as_it_is_folded_and_its_rejects_are_numbered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "ITEMS", 2)
    given = [*rows(3), {"country": "FR"}, "text", *rows(1), 7]
    with oncefold.open(tmp_path / "shop.db", TEXT) as store:
        done = store.ingest(iter(given))
        assert [reject.position for reject in done.rejects] == [3, 4, 6]
        assert done.events == len(given)


def test_what_came_before_an_exception_of_an_iterator_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "ITEMS", 2)

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(5)
        raise ConnectionResetError("the sender left")

    with oncefold.open(tmp_path / "shop.db", TEXT) as store:
        with pytest.raises(ConnectionResetError, match="the sender left"):
            store.ingest(broken())
        assert store.query().node.count == 5
        assert store.ingest(rows(6)).counts == {Outcome.INSERTED: 1, Outcome.DUPLICATE: 5}
        with pytest.raises(SourceError, match="cannot ingest int"):
            store.ingest(3)  # type: ignore[arg-type]


def test_a_closed_store_says_so_and_is_not_opened_again(tmp_path: Path) -> None:
    store = oncefold.open(tmp_path / "shop.db", TEXT)
    store.ingest(rows(1))
    reader = store.reader
    store.close()
    store.close()
    closed: list[Callable[[], object]] = [
        lambda: store.ingest(rows(2)),
        lambda: store.ingest([]),
        store.redrive,
        lambda: store.discard([]),
        lambda: store.redefine(oncefold.parse_pipeline(TEXT), dry_run=True),
        store.query,
        store.totals,
        lambda: store.history("A-1"),
        store.verify,
        store.status,
        lambda: store.reader,
        reader.query,
    ]
    for call in closed:
        with pytest.raises(StoreError, match=r"shop\.db: the store is closed; open it again"):
            call()
    assert repr(store) == f"<Session {tmp_path / 'shop.db'}, shop, closed>"
