"""Opening a store that holds many keys."""

from time import perf_counter
from typing import Any

from bench.definition import PIPELINE
from bench.memory import collect_garbage, forget_peak, resident
from bench.probes.common import read_through
from bench.totals import digest_of_store
from oncefold.engine.session import Session


def measure(store: str) -> dict[str, Any]:
    """Seconds until the engine is ready to fold, and the memory it then has."""
    read_through(store)
    forget_peak()
    before = resident().now
    began = perf_counter()
    with Session.open(store, PIPELINE) as session:
        seconds = perf_counter() - began
        peak = resident().peak
        collect_garbage()
        now = resident().now
        status = session.reader.status()
    return {
        "events": sum(status.counts.values()),
        "keys": status.keys,
        "file_bytes": status.file_bytes,
        "seconds": seconds,
        "added_now": now - before,
        "added_peak": peak - before,
        "sha256": digest_of_store(store),
    }
