"""The keys that Powertools for AWS Lambda puts into every line, for teams that search all functions' logs by them.

They are in the lines where the stack's logs are JSON (parameter LogFormat). Names and order: "Standard structured keys"
of Powertools' logger; times are as its `use_rfc3339` writes them, which Lambda's own filter by level needs.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_BAD = ("rejected", "unfinished", "refused")
"""Counts that somebody should see."""


def powertools_keys(
    counts: Mapping[str, Any], environ: Mapping[str, str], *, stack: str, request: str, ended: float, cold: bool
) -> dict[str, Any]:
    """The keys, by what Lambda says in the environment; none unless it asks for JSON. `ended` in seconds since 1970."""
    if environ.get("AWS_LAMBDA_LOG_FORMAT") != "JSON":
        return {}
    bad = {name: counts[name] for name in _BAD if counts.get(name)}
    worked = ("events", "deltas", "OutboxItems")
    done = {name: counts[name] for name in worked if name in counts}
    trace = environ.get("_X_AMZN_TRACE_ID", "")
    roots = [part.removeprefix("Root=") for part in trace.split(";") if part.startswith("Root=")]
    at = datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds")
    return {
        "level": "WARNING" if bad else "INFO",
        "message": ", ".join(f"{value} {name}" for name, value in (done | bad).items()),
        "timestamp": at.replace("+00:00", "Z"),
        "service": stack,
        "cold_start": cold,
        "function_name": environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        "function_memory_size": environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""),
        "function_request_id": request,
        **({"xray_trace_id": roots[0]} if roots else {}),
    }
