"""The memory of a run: what it adds to an engine that is open and empty."""

from time import perf_counter
from typing import Any

from bench.definition import PIPELINE
from bench.memory import collect_garbage, forget_peak, resident
from bench.probes.common import run
from bench.totals import digest_of_store
from oncefold.engine.session import Session


def measure(files: list[str], store: str) -> dict[str, Any]:
    """Resident bytes that a run over the file added: after it, and at most during it."""
    (file,) = files
    with Session.open(store, PIPELINE) as session:
        forget_peak()
        before = resident().now
        began = perf_counter()
        progress = run(session, file)
        seconds = perf_counter() - began
        peak = resident().peak
        collect_garbage()
        now = resident().now
    return {
        "events": progress.events,
        "bytes": progress.consumed_bytes,
        "seconds": seconds,
        "added_now": now - before,
        "added_peak": peak - before,
        "sha256": digest_of_store(store),
    }
