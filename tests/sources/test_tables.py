"""Parquet and Arrow: every row once, resumed at every position, only the wanted columns."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.sources.blocks import Finding, TableBlock
from oncefold.sources.sources import Sources
from tests.sources.tools import positions_of, read, read_until_error, rows_of

ROWS = [{"id": f"k{n}", "n": n, "deep": {"x": n, "y": "z"}, "flat.x": -n, "other": None} for n in range(103)]
TABLE = pa.Table.from_pylist(ROWS)


def parquet(path: Path) -> None:
    pq.write_table(TABLE, path, row_group_size=17)


def ipc_file(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=13)


def ipc_stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        for size in (1, 0, 50, 52):
            start = {1: 0, 0: 1, 50: 1, 52: 51}[size]
            writer.write_table(TABLE.slice(start, size))


def compressed_feather(path: Path) -> None:
    feather.write_feather(TABLE, path, compression="zstd", chunksize=40)


WRITERS: dict[str, Any] = {
    "a.parquet": parquet,
    "a.arrow": ipc_file,
    "b.ipc": ipc_stream,
    "a.feather": compressed_feather,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("rows", [1, 7, 20, 1000])
def test_every_row_once_and_resume_at_every_position(tmp_path: Path, name: str, rows: int) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    blocks = read(path, table_rows=rows)
    assert rows_of(blocks) == ROWS
    assert all(isinstance(block, TableBlock) and len(block.table) <= rows for block in blocks)
    assert sum(block.consumed_bytes for block in blocks if isinstance(block, TableBlock)) == path.stat().st_size
    seen = 0
    for index, block in enumerate(blocks):
        assert isinstance(block, TableBlock)
        assert block.first_row == seen
        assert block.consumed_bytes >= 0
        seen += len(block.table)
        rest = read(path, positions=positions_of([block]), table_rows=1000)
        assert rows_of(rest) == rows_of(blocks[index + 1 :])
        assert bool(rest) == (index + 1 < len(blocks))


@pytest.mark.parametrize("name", WRITERS)
def test_only_wanted_columns_nested_or_flat(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    fields = [FieldPath.parse(text) for text in ("id", "deep.x", "flat.x", "absent")]
    (finding, first, *_) = read(path, fields=fields)
    assert finding == Finding(str(path), "absent", f"{path}: no column absent.")
    assert isinstance(first, TableBlock)
    assert sorted(first.table.schema.names) == ["deep", "flat.x", "id"]
    assert first.table.to_pylist()[5]["deep"]["x"] == 5
    if name == "a.parquet":
        assert first.table.to_pylist()[5]["deep"] == {"x": 5}
    with pytest.raises(SourceError, match=r"none of the fields the pipeline reads \(absent\), but id"):
        read(path, fields=[FieldPath(("absent",))])


def test_parquet_hands_on_as_dictionaries_what_it_holds_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"id": f"key {n}", "label": f"label {n % 3}", "deep": {"x": f"{n % 2}"}, "n": n} for n in range(3_000)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1_000, use_dictionary=["label", "deep.x"])
    blocks = [block for block in read(path) if isinstance(block, TableBlock)]
    assert rows_of(blocks) == rows
    types = {field.name: field.type for field in blocks[0].table.schema}
    assert [name for name, kind in types.items() if pa.types.is_dictionary(kind)] == ["label"]
    assert pa.types.is_dictionary(types["deep"].field("x").type)


@pytest.mark.parametrize("form", [{}, {"store_decimal_as_integer": True}, {"store_schema": False}, {"version": "1.0"}])
def test_parquet_reads_decimals_as_64_bits_where_they_fit_and_nothing_else_otherwise(
    tmp_path: Path, form: dict[str, Any]
) -> None:
    values = [Decimal("999999999999999.99"), None, Decimal("-0.01")]
    table = pa.table(
        {
            "short": pa.array(values, pa.decimal128(18, 2)),
            "long": pa.array(values, pa.decimal128(19, 2)),
            "deep": pa.array([{"x": value} for value in values], pa.struct([("x", pa.decimal128(18, 2))])),
            "many": pa.array([values] * 3, pa.list_(pa.decimal128(18, 2))),
            "text": pa.array(["a", None, "b"], pa.large_string()),
            "time": pa.array([1, 2, None], pa.timestamp("us", "UTC")),
            "date": pa.array([1, 2, None], pa.date32()),
            "flag": pa.array([True, False, None]),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **form)
    block, plain = read(path)[0], pq.read_table(path)
    assert isinstance(block, TableBlock)
    assert block.table.to_pylist() == plain.to_pylist() == table.to_pylist()
    types = {field.name: field.type for field in block.table.schema}
    if int(pa.__version__.split(".")[0]) >= 26:
        assert types.pop("short") == pa.decimal64(18, 2)
    assert types == {field.name: field.type for field in plain.schema if field.name in types}
    (whole, *_) = read(path, whole=True)
    assert isinstance(whole, TableBlock)
    assert whole.table.schema.types == plain.schema.types


@pytest.mark.parametrize("name", WRITERS)
def test_small_batches_are_put_together(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    sizes = [len(block.table) for block in read(path, table_rows=200) if isinstance(block, TableBlock)]
    assert len(sizes) <= 4


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_that_changed_is_a_finding(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    positions = positions_of(read(path))
    with path.open("ab") as file:
        file.write(b"more")
    (finding,) = read(path, positions=positions)
    assert isinstance(finding, Finding)
    assert finding.kind == "replaced"


@pytest.mark.parametrize("name", WRITERS)
def test_no_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    global TABLE  # noqa: PLW0603 - the writers write it
    kept, TABLE = TABLE, TABLE.slice(0, 0)
    try:
        WRITERS[name](path)
    finally:
        TABLE = kept
    blocks = read(path)
    assert rows_of(blocks) == []
    assert read(path, positions=positions_of(blocks)) == []


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather"])
def test_what_is_no_table_is_told_and_the_others_go_on(tmp_path: Path, name: str) -> None:
    path, good = tmp_path / name, tmp_path / "z.parquet"
    path.write_bytes(b"no table" * 10)
    parquet(good)
    seen = read_until_error(Sources([str(path), str(good)]).blocks(), "cannot be read as")
    assert rows_of([item for item in seen if isinstance(item, TableBlock)]) == ROWS


def test_batches_with_dictionaries_of_their_own_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    parts = [pa.record_batch({"d": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["c", "a"])]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, parts[0].schema) as writer:
        for part in parts:
            writer.write_batch(part)
    assert [row["d"] for row in rows_of(read(path))] == ["a", "b", "c", "a"]
