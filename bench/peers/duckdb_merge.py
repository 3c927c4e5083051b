"""Peer: a DuckDB script that decodes JSON by SQL and merges each micro-batch into a database file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import duckdb
from peer import Leaves, Peer, arguments, chunks, measure

if TYPE_CHECKING:
    from pathlib import Path

# Two threads at most, as for every peer that can use them. DuckDB's guide to performance turns the insertion
# order off where nobody needs it.
CONFIG = {"threads": str(min(2, os.cpu_count() or 1)), "preserve_insertion_order": "false"}

SCHEMA = """
    CREATE TABLE IF NOT EXISTS state (key VARCHAR, version BIGINT, risk VARCHAR, desk VARCHAR, region VARCHAR,
        value DECIMAL(18, 2));
    CREATE TABLE IF NOT EXISTS position (bytes BIGINT);
    INSERT INTO position SELECT 0 WHERE NOT EXISTS (FROM position);
"""

# MERGE is a hash join, so the table needs no primary key; INSERT ... ON CONFLICT keeps an index and took twice
# as long. The columns are given, so nothing is sniffed, and the value is a DECIMAL from its decoding on.
MERGE = """
    MERGE INTO state USING (
        SELECT key, version, place.RiskType AS risk, place.TradeDesk AS desk, place.Region AS region, value FROM (
            SELECT TradeID AS key, max(Version) AS version, arg_max(Hierarchy, Version) AS place,
                arg_max(Value, Version) AS value
            FROM read_json($batch, format = 'newline_delimited', columns = {
                TradeID: 'VARCHAR', Version: 'BIGINT', Value: 'DECIMAL(18, 2)',
                Hierarchy: 'STRUCT(RiskType VARCHAR, TradeDesk VARCHAR, Region VARCHAR)'})
            GROUP BY TradeID)
    ) AS batch ON batch.key = state.key
    WHEN MATCHED AND batch.version > state.version THEN UPDATE SET version = batch.version, risk = batch.risk,
        desk = batch.desk, region = batch.region, value = batch.value
    WHEN NOT MATCHED THEN INSERT
"""

# A columnar scan of the state takes milliseconds, so the totals are computed when they are asked for; keeping
# them up to date in every batch would only cost more.
TOTALS = """
    SELECT risk, desk, region, count(*), CAST(sum(value) * 100 AS HUGEINT) FROM state GROUP BY risk, desk, region
"""


def main() -> None:
    peer = Peer(
        "duckdb",
        duckdb.__version__,
        durable=True,
        exact=True,
        exactly_once_after_crash="yes: the script commits its position with each batch",
    )
    measure(peer, arguments(str(__doc__)).parse_args(), fold)


def fold(path: Path, directory: Path) -> Leaves:
    """Fold the input from the committed position on and return the leaves' totals."""
    with duckdb.connect(directory / "state.duckdb", config=CONFIG) as connection, path.open("rb") as source:
        connection.execute(SCHEMA)
        source.seek(connection.execute("SELECT bytes FROM position").fetchall()[0][0])
        for chunk in chunks(source):
            commit(connection, chunk, directory / "batch.jsonl", source.tell())
        totals = connection.execute(TOTALS).fetchall()
    return {(risk, desk, region): (live, cents) for risk, desk, region, live, cents in totals}


def commit(connection: duckdb.DuckDBPyConnection, chunk: bytes, landing: Path, position: int) -> None:
    """Merge one batch and the position after it in one transaction.

    The batch lands in a file of its own because `read_json` reads files; text parameters took twice as long.
    """
    landing.write_bytes(chunk)
    connection.execute("BEGIN")
    connection.execute(MERGE, {"batch": str(landing)})
    connection.execute("UPDATE position SET bytes = ?", [position])
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()
