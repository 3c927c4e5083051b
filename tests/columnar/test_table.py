"""Typed tables: a column at a time gives what the scalar decoder gives row by row, whatever the columns' types."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oncefold.columnar import batch as batch_module
from oncefold.columnar.table import TableDecoder, plain_value
from oncefold.columnar.typed import column_of
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline, Rollup
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent
from oncefold.core.fieldpath import FieldPath
from oncefold.core.measures import Measure
from tests.columnar.tools import SOURCE, Read, effort, of_batch, timeless

INTEGER_VERSIONS = """
name = "integers"
[event]
key = "k"
version = "v"
time = "t"
delete = "d"
[rollups]
r = ["a.b", { field = "c", missing = "(none)" }]
by_day = [{ field = "t", window = "1d" }, "a.b"]
[measures]
m = { sum = "m", scale = 2 }
n = { sum = "n", scale = 0, missing = "zero", round = "half-even" }
"""
TIMED_VERSIONS = """
name = "times"
[event]
key = ["k", "c"]
version = { field = "v", type = "timestamp", unit = "ms" }
delete = { field = "d", equals = "1" }
[rollups]
r = [{ field = "t", window = "3mo", missing = "never" }, "c"]
[measures]
m = { sum = "m", scale = 18 }
"""
PIPELINES = [parse_toml(INTEGER_VERSIONS), parse_toml(TIMED_VERSIONS)]

TEXTS = st.sampled_from(
    [
        "",
        "a",
        "b",
        "7",
        "é€",
        "a/b",
        "\\",
        "x\ny",
        "z" * 300,
        "2020-02-29",
        "1.50",
        "1.505",
        "true",
        "0",
        "1e3",
        "-0",
        "NaN",
    ]
)
INTEGERS = st.sampled_from([0, 1, -1, 7, 2**31 - 1, 1_600_000_000]) | st.integers(-(2**31), 2**31 - 1)
LONGS = INTEGERS | st.sampled_from([2**63 - 1, -(2**63), 10**18, -(10**18), 10**18 - 1])
FLOATS = (
    st.sampled_from([0.0, -0.0, 1.5, 0.1, 1.005, 2.675, 1e15, 1e16, 1e300, 5e-324, float("nan"), float("inf")])
    | st.floats()
)
MICROS = st.integers(-(10**16), 10**16)


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**precision - 1
    near = st.sampled_from([0, 1, -1, most, -most, 150, 1_500_000])
    mantissas = near.filter(lambda m: abs(m) <= most) | st.integers(-most, most)
    return mantissas.map(lambda m: Decimal((int(m < 0), tuple(map(int, str(abs(m)))), -scale)))


TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.string_view(), TEXTS),
    (pa.dictionary(pa.int8(), pa.string()), TEXTS),
    (pa.int64(), LONGS),
    (pa.int32(), INTEGERS),
    (pa.uint64(), st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1])),
    (pa.float64(), FLOATS),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.decimal128(18, 2), _decimals(18, 2)),
    (pa.decimal128(38, 20), _decimals(38, 20)),
    (pa.decimal128(20, 0), _decimals(20, 0)),
    (pa.decimal128(5, -2), st.integers(-99, 99).map(lambda m: Decimal(m * 100))),
    (pa.timestamp("us"), MICROS),
    (pa.timestamp("ns", "UTC"), st.integers(-(2**62), 2**62)),
    (pa.timestamp("s"), st.integers(-(10**12), 10**12)),
    (pa.date32(), st.dates(date(1600, 1, 1), date(2400, 1, 1))),
    (pa.null(), st.none()),
    (pa.list_(pa.int64()), st.lists(st.integers(0, 5), max_size=2)),
]
if hasattr(pa, "decimal64"):
    TYPES += [(pa.decimal64(18, 2), _decimals(18, 2)), (pa.decimal32(9, 0), _decimals(9, 0))]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pa.Array:
    """A column of any type, some of its values null; a slice of a longer one, so that offsets matter."""
    kind, values = draw(st.sampled_from(TYPES))
    cells = draw(st.lists(st.none() | values | values | values, min_size=rows + 2, max_size=rows + 2))
    return pa.array(cells, kind).slice(1, rows)


@st.composite
def tables(draw: st.DrawFn) -> pa.RecordBatch:
    """Columns under the names that the pipelines read, `a` nested, some of them absent."""
    rows = draw(st.integers(0, 6))
    found = {}
    for name in ("k", "v", "t", "d", "c", "m", "n"):
        if draw(st.integers(0, 9)):
            found[name] = draw(columns(rows))
    if draw(st.booleans()):
        nulls = pa.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), pa.bool_())
        found["a"] = pa.StructArray.from_arrays([draw(columns(rows))], ["b"], mask=nulls)
    if draw(st.integers(0, 3)):
        found["a.b"] = draw(columns(rows))
    return pa.RecordBatch.from_arrays(list(found.values()), list(found))


def by_rows(pipeline: Pipeline, table: pa.RecordBatch, first_row: int) -> Read:
    """The table as the scalar decoder reads it, one row after the other; rejects as their reasons."""
    found = {field: column_of(table, field) for field in pipeline.fields}
    decoder = Decoder(pipeline)
    records: list[Any] = []
    times, reasons = [], []
    for row in range(table.num_rows):
        record = {f.column: plain_value(column, row) for f, column in found.items() if column is not None}
        try:
            event = decoder.flat(record)
        except InvalidEvent as error:
            records.append((first_row + row, None))
            reasons.append((first_row + row, str(error)))
        else:
            records.append((first_row + row, timeless(event)))
            times += [] if event.time is None else [event.time]
    return Read(records, max(times, default=None), reasons)  # type: ignore[arg-type]


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
@given(table=tables())
@effort(150)
def test_columns_and_rows_agree(pipeline: Pipeline, table: pa.RecordBatch) -> None:
    expected = by_rows(pipeline, table, 100)
    read = of_batch(TableDecoder(pipeline).decode(table, SOURCE, 100))
    assert read.records == expected.records
    assert read.newest_time == expected.newest_time
    reasons = [reject.reason.partition("; the column's type")[0] for reject in read.rejects]
    assert [*zip((reject.position for reject in read.rejects), reasons, strict=True)] == expected.rejects
    assert all(reject.format == "table" and reject.source == SOURCE for reject in read.rejects)


@given(
    value=_decimals(18, 2) | _decimals(38, 20) | FLOATS | LONGS | st.floats(width=32),
    scale=st.integers(0, 18),
    rounds=st.booleans(),
)
@example(0.1, 1, False)
@example(0.1, 18, False)
@example(1e15, 0, False)
@effort(200)
def test_numbers_of_any_type_agree(value: Any, scale: int, rounds: bool) -> None:
    measure = Measure("m", FieldPath(("m",)), scale, "half-even" if rounds else None)
    pipeline = Pipeline("one", (FieldPath(("k",)),), (Rollup("all", ()),), (measure,))
    table = pa.record_batch({"k": ["x"], "m": pa.array([value])})
    assert of_batch(TableDecoder(pipeline).decode(table, SOURCE, 0)).records == by_rows(pipeline, table, 0).records


def _plain_table(rows: int) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "k": [f"key {n}" for n in range(rows)],
            "v": list(range(rows)),
            "t": pa.array([n * 3_600_000_000 for n in range(rows)], pa.timestamp("us")),
            "d": [n % 7 == 0 for n in range(rows)],
            "a.b": pa.array([f"label {n % 11}" for n in range(rows)]).dictionary_encode(),
            "c": [None if n % 5 == 0 else f"é{n % 3}" for n in range(rows)],
            "m": [Decimal(n).scaleb(-2) for n in range(rows)],
            "n": [float(n) if n % 4 else None for n in range(rows)],
        }
    )


def test_plain_columns_need_no_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a plain row went to the scalar decoder")

    monkeypatch.setattr(batch_module.BatchBuilder, "_fill", refuse)
    table = _plain_table(1_000)
    read = of_batch(TableDecoder(PIPELINES[0]).decode(table, SOURCE, 0))
    assert not read.rejects
    assert read.records == by_rows(PIPELINES[0], table, 0).records


@pytest.mark.parametrize("cut", [1, 7, 1_000])
def test_whole_and_in_pieces_agree(cut: int) -> None:
    table = _plain_table(200)
    decoder = TableDecoder(PIPELINES[0])
    pieces = [of_batch(decoder.decode(table.slice(at, cut), SOURCE, at)) for at in range(0, 200, cut)]
    whole = of_batch(decoder.decode(table, SOURCE, 0))
    assert [record for piece in pieces for record in piece.records] == whole.records


def test_a_data_frame_of_polars_agrees() -> None:
    table = pa.Table.from_batches([_plain_table(100)]).drop_columns("a.b")
    table = table.append_column("a.b", pa.array([f"label {n % 11}" for n in range(100)]))
    frame = pl.from_arrow(table)
    batches = list(pa.RecordBatchReader.from_stream(frame))
    decoder = TableDecoder(PIPELINES[0])
    read = [record for batch in batches for record in of_batch(decoder.decode(batch, SOURCE, 0)).records]
    assert [event for _, event in read] == [
        event for _, event in of_batch(decoder.decode(_plain_table(100), SOURCE, 0)).records
    ]


def _leaves(count: int) -> Callable[[], pa.RecordBatch]:
    return lambda: pa.record_batch(
        {
            "k": [str(n) for n in range(count)],
            "v": np.zeros(count, np.int64),
            "t": ["2020-01-01"] * count,
            "a.b": [f"desk {n}" for n in range(count)],
            "m": np.ones(count, np.int64),
        }
    )


def test_every_row_may_be_a_leaf_of_its_own() -> None:
    batch = TableDecoder(PIPELINES[0]).decode(_leaves(5_000)(), SOURCE, 0)
    assert len(batch.leaves) == 5_000
    assert not batch.rejects
