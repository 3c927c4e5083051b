"""Events per second into a store that already holds keys."""

from time import perf_counter
from typing import Any

from bench.definition import PIPELINE
from bench.probes.common import read_through, run
from bench.totals import digest_of_store
from oncefold.engine.session import Session


def measure(files: list[str], store: str) -> dict[str, Any]:
    """Fill the store from the first file, then time the second."""
    fill, file = files
    with Session.open(store, PIPELINE) as session:
        run(session, fill)
        keys = session.reader.status().keys
        read_through(file)
        began = perf_counter()
        progress = run(session, file)
        seconds = perf_counter() - began
    return {"events": progress.events, "keys": keys, "seconds": seconds, "sha256": digest_of_store(store)}
