"""What keeping whole events costs, and how long a definition takes to be replaced."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from bench.definition import PIPELINE, TEXT
from bench.memory import forget_peak, resident
from bench.probes.common import make_ready, run
from bench.totals import digest_of_store
from oncefold.engine.redefinition import redefine_store
from oncefold.engine.session import Session
from oncefold.pipeline_file import parse_pipeline

OTHER: Final = parse_pipeline(
    "keep_events = true\n"
    + TEXT.replace("[rollups]", 'where = "Value >= 0"\n\n[rollups]').replace(
        "[measures]", 'by_region = ["Hierarchy.Region"]\n\n[measures]'
    )
    + 'finer = { sum = "Value", scale = 4 }\n'
)
"""The same totals, with a filter, a rollup and a measure more."""


def measure(files: list[str], store: str) -> dict[str, Any]:
    """Fold a file twice, without whole events and with them; then replace the definition."""
    (file,) = files
    make_ready(file)
    sizes, seconds, events = [], [], 0
    for path, kept in ((f"{store}-plain", None), (store, True)):
        began = perf_counter()
        with Session.open(path, replace(PIPELINE, keep_events=kept)) as session:
            events = run(session, file).events
            seconds.append(perf_counter() - began)
        sizes.append(Path(path).stat().st_size)
    Path(f"{store}-plain").unlink()
    forget_peak()
    before = resident().now
    made = redefine_store(Path(store), OTHER)
    return {
        "events": events,
        "keys": made.events,
        "seconds": seconds[1],
        "seconds_plain": seconds[0],
        "bytes_plain": sizes[0],
        "bytes_kept": sizes[1],
        "bytes_after": Path(store).stat().st_size,
        "redefine_seconds": made.seconds,
        "added_peak": resident().peak - before,
        "sha256": digest_of_store(store),
    }
