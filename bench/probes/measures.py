"""What measures besides sums cost: the rate of a run, memory for each key, and a node whose least value is deleted."""

from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bench.definition import PIPELINE, TEXT
from bench.memory import collect_garbage, resident
from bench.probes.common import make_ready, run
from bench.totals import digest_of_store
from oncefold.core.definition import Pipeline
from oncefold.engine.session import Session
from oncefold.pipeline_file import parse_pipeline

MEASURED: Final = parse_pipeline(
    TEXT.replace("[rollups]", 'where = "Value >= 0"\n\n[rollups]').replace('sum = "Value"', 'sum = "Value * 1"')
    + """\
least = { min = "Value", scale = 2 }
most = { max = "Value", scale = 2 }
mean = { avg = "Value", scale = 4 }
different = { distinct = "SUBSTR(TradeID, 1, 5)" }
"""
)
"""A filter, a product as the sum, which leaves the totals as they are, and the other measures.

Of the texts there are about a million.
"""

_GROWN: Final = """
name = "grown"
[event]
key = "id"
version = "v"
delete = "gone"
[rollups]
leaves = ["leaf"]
[measures]
total = { sum = "price" }
"""
_MORE: Final = """
least = { min = "price" }
most = { max = "price" }
buyers = { distinct = "buyer" }
"""
_LEAVES: Final = 10
_BUYERS: Final = 1_000_000
_ROWS: Final = 1_000_000
_DELETES: Final = 5


def measure(files: list[str], store: str, keys: int) -> dict[str, Any]:
    """Fold a file with a sum alone and with all measures; then grow two stores, and delete keys of the larger one."""
    (file,) = files
    make_ready(file)
    seconds, events = [], 0
    for path, pipeline in ((f"{store}-plain", PIPELINE), (store, MEASURED)):
        with Session.open(path, pipeline) as session:
            began = perf_counter()
            events = run(session, file).events
            seconds.append(perf_counter() - began)
    plain, _ = _grown(f"{store}-sums", parse_pipeline(_GROWN), keys)
    more, delays = _grown(f"{store}-grown", parse_pipeline(_GROWN + _MORE), keys)
    for suffix in ("-plain", "-sums", "-grown"):
        Path(f"{store}{suffix}").unlink()
    return {
        "events": events,
        "keys": keys,
        "seconds": seconds[1],
        "seconds_plain": seconds[0],
        "bytes_per_key_plain": plain / keys,
        "bytes_per_key": more / keys,
        **delays,
        "sha256": digest_of_store(store),
    }


def _grown(path: str, pipeline: Pipeline, keys: int) -> tuple[int, dict[str, float]]:
    """Bytes that the engine has of so many keys more than of none, and the seconds of commits that delete a key."""
    collect_garbage()
    with Session.open(path, pipeline) as session:
        before = resident().now
        for first in range(0, keys, _ROWS):
            session.ingest(_table(np.arange(first, min(first + _ROWS, keys))))
        collect_garbage()
        size = resident().now - before
        others = [_delete(session, keys // 2 + number * _LEAVES + 1) for number in range(_DELETES)]
        leasts = [_delete(session, number * _LEAVES) for number in range(_DELETES)]
    return size, {"delete_seconds": median(others), "delete_least_seconds": median(leasts)}


def _table(number: Any) -> pa.Table:
    """Keys by number; the price rises with it, so that the least of a leaf is that of its first key."""
    return pa.table(
        {
            "id": pa.array(number).cast(pa.string()),
            "v": pa.array(np.ones(len(number), np.int64)),
            "leaf": pa.array(number % _LEAVES).cast(pa.string()),
            "price": pa.array(number),
            "buyer": pa.array(number * 7_919 % _BUYERS).cast(pa.string()),
            "gone": pa.array(np.zeros(len(number), np.bool_)),
        }
    )


def _delete(session: Session, key: int) -> float:
    began = perf_counter()
    session.ingest([{"id": str(key), "v": 2, "gone": True}])
    return perf_counter() - began
