"""Peer: one DuckDB query over the whole file, which keeps nothing: what a person would ask first.

Also on its own, as a command to be timed whole: `duckdb_query.py EVENTS.jsonl`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import duckdb
from peer import Leaves, Peer, arguments, measure

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"threads": str(min(2, os.cpu_count() or 1)), "preserve_insertion_order": "false"}

# The columns are given, so nothing is sniffed, and the value is a DECIMAL from its decoding on.
QUERY = """
    SELECT place.RiskType, place.TradeDesk, place.Region, count(*), CAST(sum(value) * 100 AS HUGEINT) FROM (
        SELECT arg_max(Hierarchy, Version) AS place, arg_max(Value, Version) AS value
        FROM read_json($events, format = 'newline_delimited', columns = {
            TradeID: 'VARCHAR', Version: 'BIGINT', Value: 'DECIMAL(18, 2)',
            Hierarchy: 'STRUCT(RiskType VARCHAR, TradeDesk VARCHAR, Region VARCHAR)'})
        GROUP BY TradeID)
    GROUP BY ALL
"""


def main() -> None:
    peer = Peer(
        "duckdb-query",
        duckdb.__version__,
        durable=False,
        exact=True,
        exactly_once_after_crash="starts from the first event",
    )
    measure(peer, arguments(str(__doc__)).parse_args(), fold)


def fold(path: Path, _: Path) -> Leaves:
    """Ask once; give the leaves' totals."""
    with duckdb.connect(config=CONFIG) as connection:
        rows = connection.execute(QUERY, {"events": str(path)}).fetchall()
    return {(risk, desk, region): (live, cents) for risk, desk, region, live, cents in rows}


if __name__ == "__main__":
    main()
