"""docs/STORE.md is held to the code: its tables, blobs, limits and examples."""

import re
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from oncefold.commit import PAGE_ROWS
from oncefold.core.fold import Outcome
from oncefold.store import Store, blobs, compaction, errors, schema, snapshots
from oncefold.store.writer import DEFAULT_TUNING
from tests.store.model import PIPELINE, Folder, random_batch

PAGE = (Path(__file__).parents[2] / "docs" / "STORE.md").read_text(encoding="utf-8")
SQL = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def database(path: Path) -> sqlite3.Connection:
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever") as store:
        store.load()
        for number in range(1, 6):
            store.commit(folder.commit(random_batch(number, number, pages=1)))
    return sqlite3.connect(path)


def test_the_tables_are_as_described(database: sqlite3.Connection) -> None:
    described = {
        match[1]: set(re.findall(r"`(\w+)`", match[2]))
        for match in re.finditer(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", PAGE, re.MULTILINE)
    }
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables.remove("sqlite_sequence")
    for table in tables:
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        columns = {"sum_NAME" if name.startswith("sum_") else name for name in columns}
        assert columns == described[table] - {"forever"}, table
    assert described.keys() >= set(tables)
    for (key,) in database.execute("SELECT key FROM meta"):
        assert f"`{key}`" in PAGE
    database.close()


@pytest.mark.parametrize(
    ("table", "layout"),
    [
        ("keys", blobs.KEYS),
        ("changes", blobs.change_schema(1)),
        ("deltas", blobs.delta_schema(1)),
        ("pages", blobs.state_schema(1)),
    ],
)
def test_the_blobs_are_as_described(database: sqlite3.Connection, table: str, layout: pa.Schema) -> None:
    fields = ", ".join(f"`{field.name}: {field.type}`" for field in layout)
    assert f"| `{table}` | {fields}" in PAGE
    for (blob,) in database.execute(f"SELECT blob FROM {table}"):
        found = pa.ipc.open_stream(blob).read_all()
        assert found.schema.names[: len(layout)] == layout.names
        assert all(map(_holds, layout.types, found.schema.types))
    database.close()


def _holds(described: pa.DataType, stored: pa.DataType) -> bool:
    """Whether a blob may have this type where the page describes that one."""
    if pa.types.is_integer(described):
        return bool(pa.types.is_integer(stored) and stored.bit_width <= described.bit_width)
    return stored == described or bool(pa.types.is_fixed_size_binary(stored))


@pytest.mark.parametrize("sql", [statement for block in SQL for statement in block.strip().split(";") if statement])
def test_the_examples_run(database: sqlite3.Connection, sql: str) -> None:
    database.execute(sql).fetchall()
    database.close()


def test_sums_read_with_sql_are_exact(database: sqlite3.Connection) -> None:
    rows = database.execute("SELECT count, value, tiny FROM totals WHERE rollup = 'risk' AND depth = 1").fetchall()
    root = database.execute("SELECT count, value, tiny FROM totals WHERE rollup = 'risk' AND depth = 0").fetchone()
    mantissas = [[int(str(value).replace(".", "")) for value in row] for row in [*rows, root]]
    assert [sum(column) for column in zip(*mantissas[:-1], strict=True)] == mantissas[-1]
    database.close()


def test_the_limits_are_as_described() -> None:
    mib = 2**20
    assert f"`{schema.APPLICATION_ID:#X}`".replace("X", "x") in PAGE
    assert f"The format number is {schema.FORMAT}." in PAGE
    assert f"page size\nof {schema.PAGE_SIZE:,} bytes" in PAGE
    assert f"It needs SQLite {errors.LEAST_SQLITE[0]}.{errors.LEAST_SQLITE[1]}." in PAGE
    assert f"Batches above\n{blobs.COMPRESS_BYTES:,} bytes" in PAGE
    assert f"{PAGE_ROWS:,} consecutive rows" in PAGE
    full = compaction.DEFAULT_LEVELS.full_bytes // mib
    assert f"A segment of {full} MiB or {compaction.FULL_ROWS:,} rows is full" in PAGE
    assert f"the logarithm of their rows to the base {compaction.DEFAULT_LEVELS.fan_out};" in PAGE
    assert f"are merged when they are {compaction.DEFAULT_LEVELS.fan_out} (c + 1)" in PAGE
    assert f"in memory ({compaction.KEPT_BYTES // 1024} KiB each)" in PAGE
    assert f"the greater of {snapshots.MIN_WINDOW_ROWS:,} rows" in PAGE
    assert f"at most {snapshots.PAGES_PER_COMMIT} per commit" in PAGE
    assert f"at most {compaction.SEGMENTS_PER_STEP} of each and {compaction.COMMITS_PER_STEP:,} rows" in PAGE
    assert f"into the file at {DEFAULT_TUNING.wal_bytes // mib} MiB" in PAGE
    assert f"Above\n{DEFAULT_TUNING.wal_limit_bytes // mib} MiB" in PAGE
    assert tuple(outcome.name.lower() for outcome in Outcome) == schema.OUTCOMES
    assert ", ".join(f"`{name}`" for name in schema.OUTCOMES) in PAGE
