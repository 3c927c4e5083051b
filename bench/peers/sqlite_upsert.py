"""Peer: a conditional upsert into SQLite, totals kept by SQL, one transaction per micro-batch."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from peer import LEVELS, Leaves, Peer, arguments, chunks, measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# WAL and synchronous=FULL are the durability that is compared. The cache holds the whole state, the batch is
# staged in memory, and a checkpoint comes once per 64 MiB of log instead of once per 4 MiB.
SETTINGS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -1000000;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 16384;
"""

COLUMNS = "risk TEXT NOT NULL, desk TEXT NOT NULL, region TEXT NOT NULL, cents INTEGER NOT NULL"

SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, version INTEGER NOT NULL, {COLUMNS}) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS leaves ({COLUMNS}, live INTEGER NOT NULL,
        PRIMARY KEY (risk, desk, region)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), bytes INTEGER NOT NULL);
    INSERT OR IGNORE INTO position VALUES (1, 0);
    CREATE TEMP TABLE batch (key TEXT PRIMARY KEY, version INTEGER NOT NULL, {COLUMNS}) WITHOUT ROWID;
"""

NEWER = """
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, risk = excluded.risk, desk = excluded.desk,
        region = excluded.region, cents = excluded.cents
    WHERE excluded.version > version
"""

STAGE = f"INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?) {NEWER}"

# Set-based SQL over a staged batch; triggers that change the totals row by row took a third longer.
FOLD = f"""
    DELETE FROM batch WHERE EXISTS (
        SELECT 1 FROM state WHERE state.key = batch.key AND state.version >= batch.version);
    INSERT INTO leaves (risk, desk, region, live, cents)
        SELECT risk, desk, region, sum(live), sum(cents) FROM (
            SELECT risk, desk, region, 1 AS live, cents FROM batch
            UNION ALL
            SELECT old.risk, old.desk, old.region, -1, -old.cents
            FROM batch CROSS JOIN state AS old ON old.key = batch.key)
        WHERE true GROUP BY risk, desk, region
        ON CONFLICT (risk, desk, region) DO UPDATE SET live = live + excluded.live, cents = cents + excluded.cents;
    INSERT INTO state SELECT * FROM batch WHERE true {NEWER};
    DELETE FROM batch;
"""


def main() -> None:
    peer = Peer(
        "sqlite",
        sqlite3.sqlite_version,
        durable=True,
        exact=True,
        exactly_once_after_crash="yes: the script commits its position with each batch",
    )
    measure(peer, arguments(str(__doc__)).parse_args(), fold)


def fold(path: Path, directory: Path) -> Leaves:
    """Fold the input from the committed position on and return the leaves' totals."""
    # isolation_level=None: the transactions are the ones written here, none is opened behind them.
    connection = sqlite3.connect(directory / "state.sqlite", isolation_level=None)
    try:
        connection.executescript(SETTINGS + SCHEMA)
        with path.open("rb") as source:
            source.seek(connection.execute("SELECT bytes FROM position").fetchone()[0])
            for chunk in chunks(source):
                commit(connection, chunk, source.tell())
        totals = connection.execute("SELECT risk, desk, region, live, cents FROM leaves")
        return {(risk, desk, region): (live, cents) for risk, desk, region, live, cents in totals}
    finally:
        connection.close()


def commit(connection: sqlite3.Connection, chunk: bytes, position: int) -> None:
    """Write one batch, its totals and the position after it in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(STAGE, rows(chunk))
    for statement in filter(str.strip, FOLD.split(";")):
        connection.execute(statement)
    connection.execute("UPDATE position SET bytes = ?", (position,))
    connection.execute("COMMIT")


def rows(chunk: bytes) -> Iterator[tuple[str | int, ...]]:
    """Decode lines to rows; a value is a binary float here, exact again once it is rounded to cents."""
    for line in chunk.decode().split("\n"):
        if line:
            event = json.loads(line)
            place = event["Hierarchy"]
            labels = [place[level] for level in LEVELS]
            yield event["TradeID"], event["Version"], *labels, round(event["Value"] * 100)


if __name__ == "__main__":
    main()
