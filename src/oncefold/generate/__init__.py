"""Streams of events like the workshop's, with every kind of trouble, and the right totals with them.

    from oncefold.generate import Workload, generate, truth, write

    workload = Workload(count=100_000, duplicates=0.1, modifications=0.3, out_of_order=0.05, seed=7)
    lines = b"".join(generate(workload))          # the same bytes every time
    right = truth(workload)["nodes"]["Delta"]     # {"count": ..., "value": "..."}
    right = write(workload, "events.jsonl.zst")   # both at once

Nothing here reads a clock or a global random source.
"""

from oncefold.generate.formats import arrow_table, csv_lines, json_lines, schema
from oncefold.generate.output import FORMATS, OutputFormat, Sink, Tally, generate, guess_format, open_sink, truth, write
from oncefold.generate.planner import Events, ExpectedOutcome, Kind, plan
from oncefold.generate.workload import Counts, Workload, WorkloadError

__all__ = [
    "FORMATS",
    "Counts",
    "Events",
    "ExpectedOutcome",
    "Kind",
    "OutputFormat",
    "Sink",
    "Tally",
    "Workload",
    "WorkloadError",
    "arrow_table",
    "csv_lines",
    "generate",
    "guess_format",
    "json_lines",
    "open_sink",
    "plan",
    "schema",
    "truth",
    "write",
]
