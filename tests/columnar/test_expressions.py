"""The stack machine computes what the specification does, and seldom leaves a record to it."""

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from oncefold.columnar.table import TableDecoder, plain_value
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event
from oncefold.expression_sql import parse_sql
from oncefold.pipeline_file import parse_pipeline
from tests.columnar.tools import SOURCE, assert_same, counting, csv_by_the_core, json_by_the_core, of_batch, timeless
from tests.tools.random_sql import RandomSql, as_json, rows
from tests.tools.sizes import sized


def read_json(pipeline: Pipeline, block: bytes) -> int:
    """Hold a block of JSON Lines to the core; the records that the kernel left to it."""
    decoder, scalar = counting(pipeline)
    assert_same(json_by_the_core(pipeline, block, 0), of_batch(decoder.json(block, SOURCE, 0)))
    return scalar.calls


def read_csv(pipeline: Pipeline, table: list[dict[str, Any]]) -> int:
    """The same of a CSV."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["id", *table[0]], lineterminator="\n")
    writer.writerows({"id": number, **row} for number, row in enumerate(table))
    block, header = out.getvalue().encode(), list(writer.fieldnames)
    decoder, scalar = counting(pipeline)
    assert_same(csv_by_the_core(pipeline, block, 0, header, ","), of_batch(decoder.csv(block, SOURCE, 0, header)))
    return scalar.calls


def pipeline_of(level: str, measure: str, where: str) -> Pipeline:
    return parse_pipeline(
        f"""
        name = "x"
        event = {{ key = "id", where = {json.dumps(where)} }}
        rollups.t = [{{ field = {json.dumps(level)}, missing = "<null>" }}]
        measures.m = {{ sum = {json.dumps(measure)}, scale = 9, round = "half-even", missing = "zero" }}
        """
    )


@pytest.mark.parametrize("seed", range(sized(6, 60)))
def test_random_expressions_are_computed_as_the_core_computes_them(seed: int) -> None:
    rng = Random(seed)
    draw = RandomSql(rng)
    left = 0
    for _ in range(10):
        depth = rng.choice([1, 2, 3])
        pipeline = pipeline_of(f"({draw.text(depth)})", f"({draw.number(depth)})", draw.truth(depth))
        table = rows(rng, 40)
        left += read_json(pipeline, as_json(table)) + read_csv(pipeline, table)
    assert left < 10 * 2 * 40 / 3, "the kernel takes nearly all but weeks"


FORMS = [
    *[
        "ROUND(n / d, 2)",
        "ROUND(n / d, 0)",
        "CAST(n / d AS DECIMAL(9, 3))",
        "ROUND(n * 3, 1)",
        "CAST(n AS DECIMAL(3, 1))",
    ],
    *["CAST(t AS DECIMAL)", "EXTRACT(EPOCH FROM at)", "CASE WHEN d <> 0 THEN ROUND(n / d, 2) ELSE -1 END"],
    *["n + d / 3 > 1", "ABS(n)", "-n", "n * d * n * d", "COALESCE(n, d)", "NULLIF(n, d + 0)"],
]
TEXT_FORMS = [
    *[
        "CAST(n + 0 AS TEXT)",
        "CAST(CAST(at AS TIMESTAMP) AS TEXT)",
        "t || '-' || CAST(d AS TEXT)",
        "UPPER(t)",
        "LOWER(t)",
    ],
    *["SUBSTR(t, 2, 2)", "SUBSTR(t, -1, 3)", "SPLIT_PART(t, 'é', 2)", "SPLIT_PART(t, '', 1)", "TRIM(BOTH 'é' FROM t)"],
    *["CAST(t LIKE '_é%' AS TEXT)", "CAST(b AS TEXT)", "COALESCE(t, n)", "CASE WHEN b THEN t ELSE n END", "t"],
    *["CAST(CAST(d + 0 AS TIMESTAMP) AS TEXT)", "GREATEST(t, 'é')", "CAST(b IS NULL AS TEXT)", "CAST(x AS TEXT) || ''"],
]
ODD: list[dict[str, Any]] = [
    {"n": "1.25", "d": "0", "t": "xé-é", "at": "2024-02-29T10:00:00.000000001Z", "b": True},
    {"n": 999999999999999999, "d": 3, "t": "é", "at": -1.5, "b": "false"},
    {"n": "0.000000000000000001", "d": "-7", "t": "", "at": "1700-01-01", "b": "1"},
    {"n": "1e2", "d": "0.5", "t": "\u00df\U0001f600", "at": "2262-01-01T00:00:00+01:00", "b": None},
    {"n": "-2.50", "d": "1", "t": 12, "at": "soon", "b": "yes", "x": {"y": 1}},
    {"n": None, "d": 1.50, "t": 1.50, "at": None, "b": 0, "x": [1]},
    {"n": "12345678901234567890", "d": "2", "t": True, "at": 1e9, "b": False},
    {"n": "-0.0", "d": "-0", "t": " 3 ", "at": "2021-03-22T11:00:58.8997Z", "b": "TRUE", "x": "q"},
    {"n": "", "d": " 1", "t": 'a\\"b\n', "at": "", "b": "", "x": 1},
    {"n": ".5", "d": "5.", "t": "x" * 300, "at": "2021-03-22", "b": "0", "x": "\u00e9"},
]


@pytest.mark.parametrize("form", FORMS)
def test_numbers_at_their_limits(form: str) -> None:
    held = parse_sql(form).kind == "boolean"
    measure = "n" if held else form
    pipeline = pipeline_of("t", measure, f"({form}) IS NOT NULL" if held else "TRUE")
    read_json(pipeline, as_json(ODD * 3))


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_texts_of_every_kind(form: str) -> None:
    pipeline = pipeline_of(form if form != "t" else "t || ''", "n", "TRUE")
    read_json(pipeline, as_json(ODD * 3))
    read_csv(pipeline, [{key: row.get(key) for key in ("n", "d", "t", "at", "b", "x")} for row in ODD[:4]])


def test_texts_that_fill_the_memory_behind_the_block_are_left_to_the_core() -> None:
    longer = " || ".join(["t"] * 40)
    pipeline = pipeline_of(f"SUBSTR({longer}, 1, 3)", "n", "TRUE")
    read_json(pipeline, as_json([{"n": 1, "t": "x" * 200}] * 20))


def test_where_is_asked_before_anything_else_is_read() -> None:
    pipeline = pipeline_of("UPPER(t)", "n * 2", "b")
    read_json(pipeline, as_json([{"b": False, "n": "x"}, {"n": []}, {"b": True, "n": 1, "t": "a"}, {"b": "no"}]))


TYPED = pa.schema(
    [
        *[("id", pa.int64()), ("n1", pa.decimal128(9, 2)), ("n2", pa.float64()), ("t1", pa.large_string())],
        *[("t2", pa.dictionary(pa.int32(), pa.string())), ("b1", pa.bool_()), ("ts", pa.timestamp("us"))],
    ]
)
CONVERT = {"n1": Decimal, "n2": float, "ts": datetime.fromisoformat}


def typed(number: int, row: dict[str, Any]) -> dict[str, Any]:
    values = {
        name: CONVERT[name](value) if name in CONVERT and value is not None else value for name, value in row.items()
    }
    return {"id": number, **values}


class FlatScalar(Decoder):
    calls = 0

    def flat(self, record: Any) -> Event:
        self.calls += 1
        return super().flat(record)


def read_table(pipeline: Pipeline, table: pa.RecordBatch) -> int:
    """Hold a table to the core, row by row; the rows that the kernel left to it."""
    decoder, scalar, by_row = TableDecoder(pipeline), FlatScalar(pipeline), Decoder(pipeline)
    decoder._scalar = scalar
    for row, (_, event) in enumerate(of_batch(decoder.decode(table, SOURCE, 0)).records):
        record = {name: plain_value(table.column(name), row) for name in table.schema.names}
        try:
            wanted = timeless(by_row.flat(record))
        except InvalidEvent:
            wanted = None
        assert event == wanted
    return scalar.calls


@pytest.mark.parametrize("seed", range(sized(4, 40)))
def test_tables_are_computed_as_the_core_computes_them(seed: int) -> None:
    rng = Random(seed)
    draw = RandomSql(rng)
    left = 0
    for _ in range(6):
        pipeline = pipeline_of(f"({draw.text(2)})", f"({draw.number(2)})", draw.truth(2))
        found = [typed(number, row) for number, row in enumerate(rows(rng, 40))]
        left += read_table(pipeline, pa.RecordBatch.from_pylist(found, TYPED))
    assert left < 6 * 40 / 5, "the kernel takes nearly all"


def test_a_time_of_a_table_that_is_read_as_text_is_left_to_the_core() -> None:
    table = pa.RecordBatch.from_pylist([{"id": 1, "at": datetime(2024, 2, 29, 10), "n": 1.5}])
    assert read_table(pipeline_of("CAST(at AS TEXT)", "n", "TRUE"), table) == 1
