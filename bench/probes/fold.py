"""Events per second into a fresh store."""

from time import perf_counter
from typing import Any

from bench.definition import PIPELINE
from bench.probes.common import make_ready, run
from bench.totals import digest_of_store
from oncefold.engine.session import Session


def measure(files: list[str], store: str) -> dict[str, Any]:
    """From making the store to its last commit durable; closing it is left out, as all is safe by then."""
    (file,) = files
    make_ready(file)
    began = perf_counter()
    with Session.open(store, PIPELINE) as session:
        progress = run(session, file)
        seconds = perf_counter() - began
    return {
        "events": progress.events,
        "commits": progress.commits,
        "seconds": seconds,
        "sha256": digest_of_store(store),
    }
