"""One line of JSON for each invocation: counts for people and, in CloudWatch's embedded metric format, for alarms.

Format: "CloudWatch Embedded Metric Format specification". Lambda sends what is printed to CloudWatch Logs, which
makes the metrics from it; no call is needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions.net import Netted
from oncefold.aws.functions.reduce import Reduced
from oncefold.aws.functions.state import FoldResult
from oncefold.aws.functions.sweep import Swept
from oncefold.aws.functions.unread import Watched
from oncefold.core.fold import Outcome
from oncefold.dynamodb.calls import Meter

NAMESPACE = "Oncefold"
_METRICS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "state": (
        ("events", "Count"),
        ("rejected", "Count"),
        ("unfinished", "Count"),
        ("conflicts", "Count"),
        ("write_units", "Count"),
        ("read_units", "Count"),
    ),
    "reduce": (
        ("deltas", "Count"),
        ("unfinished", "Count"),
        ("refused", "Count"),
        ("conflicts", "Count"),
        ("write_units", "Count"),
    ),
    "net": (
        ("changes", "Count"),
        ("deltas", "Count"),
        ("unfinished", "Count"),
        ("unreadable", "Count"),
        ("write_units", "Count"),
    ),
    "sweep": (
        ("StreamAgeSeconds", "Seconds"),
        ("StreamLost", "Count"),
        ("OutboxItems", "Count"),
        ("OutboxAgeSeconds", "Seconds"),
        ("refused", "Count"),
        ("deltas_per_second", "Count/Second"),
    ),
}


@dataclass(frozen=True, slots=True)
class Invocation:
    """Which invocation a line is about: times in seconds, memory in MB."""

    function: str
    stack: str
    request: str
    ended: float
    """Since 1970."""
    duration: float
    memory: int


def state_counts(folded: FoldResult, unfinished: int) -> dict[str, Any]:
    """The counts of StateLambda, deliveries by outcome among them."""
    outcomes = {outcome.name.lower(): folded.outcomes[outcome] for outcome in Outcome}
    return {
        "events": folded.events,
        **outcomes,
        "unfinished": unfinished,
        "deltas": folded.deltas,
        "nodes": folded.nodes,
    }


def net_counts(netted: Netted) -> dict[str, Any]:
    """The counts of NetLambda, and which records it could not read."""
    counts: dict[str, Any] = {
        "changes": netted.changes,
        "known": netted.known,
        "deltas": netted.deltas,
        "nodes": netted.nodes,
        "unfinished": netted.left,
        "unreadable": len(netted.unreadable),
    }
    return {**counts, "unreadable_records": netted.unreadable} if netted.unreadable else counts


def reduce_counts(reduced: Reduced) -> dict[str, Any]:
    """The counts of ReduceLambda, and what DynamoDB refuses, with its messages."""
    counts: dict[str, Any] = {"deltas": reduced.deltas, "nodes": reduced.nodes, "unfinished": len(reduced.left)}
    counts["refused"] = len(reduced.refused)
    if reduced.refused:
        counts["refusals"] = reduced.refused
    return counts


def sweep_counts(swept: Swept, seconds: float = 0.0) -> dict[str, Any]:
    """The counts of the sweeper, its rate, and the outbox as it was found."""
    return {
        **reduce_counts(swept.reduced),
        "deltas_per_second": round(swept.reduced.deltas / seconds, 1) if seconds else 0.0,
        "OutboxItems": swept.found,
        "OutboxAgeSeconds": swept.oldest_seconds,
    }


def watch_counts(watched: Watched) -> dict[str, Any]:
    """What the sweeper found in StateTable's stream, in economy mode."""
    return {"StreamAgeSeconds": watched.age_seconds, "StreamLost": int(watched.lost)}


def line(invocation: Invocation, counts: Mapping[str, Any], meter: Meter, more: Mapping[str, Any] | None = None) -> str:
    """The line to log, with `more` in front of it."""
    # Those of economy mode are in no line of the other one.
    metrics = [
        {"Name": name, "Unit": unit}
        for name, unit in _METRICS[invocation.function]
        if name in counts or not name.startswith("Stream")
    ]
    dimensions = [["stack"]] if invocation.function == "sweep" else [["stack", "function"]]
    document = {
        **(more or {}),
        "_aws": {
            "Timestamp": int(invocation.ended * 1000),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}],
        },
        "function": invocation.function,
        "stack": invocation.stack,
        "request": invocation.request,
        **counts,
        "transactions": meter.transactions,
        "retries": meter.retries,
        "conflicts": meter.conflicts,
        "read_units": meter.read_units,
        "write_units": meter.write_units,
        "refused_writes": meter.refused_writes,
        "refused_units": meter.refused_units,
        "duration_ms": round(invocation.duration * 1000, 1),
        "memory_mb": invocation.memory,
    }
    return json.dumps(document, separators=(",", ":"))
