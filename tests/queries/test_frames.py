"""What Python users see of an answer: data frames with exact sums, one line, and a table in a notebook."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import oncefold
from oncefold.core.errors import InvalidQueryError

PIPELINE = {
    "name": "shop",
    "event": {"key": "order", "version": {"field": "at", "type": "timestamp"}, "time": "at", "delete": "gone"},
    "rollups": {"place": ["country", "city"]},
    "measures": {"amount": {"sum": "amount", "scale": 2}, "mean": {"avg": "rating", "scale": 1}},
}


def order(number: int, city: str, amount: str, **other: Any) -> dict[str, Any]:
    return {
        "order": f"A-{number}",
        "at": "2026-03-02T09:00:00Z",
        "country": "FR",
        "city": city,
        "amount": amount,
        **other,
    }


@pytest.fixture
def store(tmp_path: Path) -> Iterator[oncefold.Session]:
    with oncefold.open(tmp_path / "shop.db", PIPELINE) as opened:
        opened.ingest(
            [
                order(1, "Paris", "0.10", rating=4),
                order(2, "Paris", "0.20"),
                order(3, "<b>Lyon</b>", "1234567890123.34"),
                order(3, "<b>Lyon</b>", "1.00"),
                {"order": "A-4", "at": "soon"},
            ]
        )
        yield opened


def answers(store: oncefold.Session) -> list[oncefold.Answer[Any]]:
    return [
        store.query(depth=None),
        store.series(),
        store.explain("FR/Paris"),
        store.history("A-1"),
        store.rejects(),
        store.conflicts(),
        store.verify(),
        store.status(),
    ]


def test_every_answer_is_a_frame_with_the_same_values(store: oncefold.Session) -> None:
    for answer in answers(store):
        expected = answer.to_arrow()
        mine, its = answer.to_pandas(), answer.to_polars()
        assert list(mine.columns) == its.columns == expected.column_names
        assert len(mine) == len(its) == len(answer)
        for name in expected.column_names:
            values = [None if value is pd.NA or value is pd.NaT else value for value in mine[name].tolist()]
            assert values == expected[name].to_pylist() or name in {"time", "version"}
            assert its[name].to_list() == expected[name].to_pylist() or name in {"time", "version"}


def test_frames_keep_sums_exact_and_null_apart_from_zero(store: oncefold.Session) -> None:
    totals = store.query(depth=None)
    frame = totals.to_pandas().set_index("path")
    assert frame.loc["FR/Paris", "measure_amount"] == Decimal("0.30")
    cities = frame[frame["depth"] == 2]
    assert cities["measure_amount"].sum() == totals.node.sums["amount"]
    assert cities["measure_mean"].isna().tolist() == [row.sums["mean"] is None for row in totals if row.depth == 2]
    polars = totals.to_polars()
    assert polars.filter(pl.col("depth") == 2)["measure_amount"].sum() == totals.node.sums["amount"]
    assert polars.schema["measure_amount"] == pl.Decimal(38, 2)


def test_a_number_too_long_for_polars_is_refused_by_name(store: oncefold.Session) -> None:
    answer, long = store.query(depth=0), Decimal("9" * 40 + ".25")
    answer = replace(answer, rows=(replace(answer.node, sums={"amount": long, "mean": None}),))
    assert answer.to_pandas()["measure_amount"][0] == long
    with pytest.raises(InvalidQueryError, match=r"measure_amount: .* use to_arrow"):
        answer.to_polars()


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named_with_its_extra(
    name: str, store: oncefold.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = store.query()
    real = importlib.import_module

    def missing(module: str) -> Any:
        if module == name:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(module)

    monkeypatch.setattr("oncefold.queries.render.frames.import_module", missing)
    with pytest.raises(ImportError, match=rf"pip install 'oncefold\[{name}\]'"):
        getattr(answer, f"to_{name}")()


def test_an_answer_is_one_line(store: oncefold.Session) -> None:
    assert [repr(answer) for answer in answers(store)] == [
        "<Totals place (root), 4 nodes, commit 1>",
        "<Series place (root), 2 points, commit 1>",
        "<Explanation place FR/Paris, 2 keys, commit 1>",
        "<History A-1, 1 arrival, commit 1>",
        "<Rejects 1 reject, commit 1>",
        "<Conflicts 1 conflict, commit 1>",
        "<Verification exact, 4 nodes, 3 keys, commit 1>",
        "<StoreStatus shop, 5 events, 3 live of 3 keys, commit 1>",
    ]
    assert repr(store.search("Par")) == "<SearchResult 1 node, 0 keys, commit 1>"
    assert repr(store.explain("", limit=1)) == "<Explanation place (root), 1 of 3 keys, commit 1>"
    assert repr(store) == f"<Session {store.path}, shop, commit 1>"
    assert repr(store.reader) == f"<StoreReader {store.path}, shop>"
    assert repr(store.ingest(order(9, "Nice", "1"))) == "<Ingested commit 2, 1 inserted>"


def test_a_notebook_shows_a_short_table_without_markup_of_the_data(store: oncefold.Session) -> None:
    shown = store.query(depth=None)._repr_html_()
    assert "Totals place (root), 4 nodes, commit 1" in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;Lyon" in shown
    assert '<th>path</th><th style="text-align: right">count</th>' in shown
    assert '<td style="text-align: right">0.30</td>' in shown
    for answer in answers(store):
        assert answer._repr_html_().startswith("<div>")
    store.ingest(order(number, f"City {number:02}", "1") for number in range(100, 130))
    assert "and 13 more rows" in store.query("FR")._repr_html_()
    assert store.query("FR")._repr_html_().count("<tr>") == 21
