"""What the functions used, from the lines that they and Lambda logged.

Each invocation logs one JSON line (see `functions.report`), unless it was killed; and Lambda logs a REPORT with what it
bills, cold start included. They are joined by the id of the request.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.connect import is_missing
from oncefold.aws.names import Names
from oncefold.queries.protocol import Progress

FUNCTIONS = ("state", "net", "reduce", "sweep")
NO_LINE = "killed"
"""Stands for the function where an invocation logged no line, only Lambda did."""

_REPORT = re.compile(r"REPORT RequestId:\s*(\S+)\s.*?Billed Duration:\s*([0-9.]+) ms\s+Memory Size:\s*([0-9]+) MB")
_MILLIS = 1_000
_MB_PER_GB = 1_024
_COUNTED = (
    "events",
    "deltas",
    "transactions",
    "retries",
    "conflicts",
    "read_units",
    "write_units",
    "refused_writes",
    "refused_units",
)


@dataclass(frozen=True, slots=True)
class FunctionUsage:
    """What the invocations of one function used."""

    invocations: int
    gb_seconds: float
    counts: Mapping[str, float]
    """Events, units and more, by their names in the log."""


@dataclass(slots=True)
class Usage:
    """What all functions of a stack used."""

    first: float | None = None
    """When the first invocation ended, in seconds since 1970."""
    last: float | None = None
    _counts: dict[str, Counter[str]] = field(default_factory=dict)
    _measured: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Of each request its function, and gigabyte-seconds as the function measured them."""
    _billed: dict[str, float] = field(default_factory=dict)
    """Of each request gigabyte-seconds as Lambda bills them."""

    def add(self, line: str) -> None:
        """Take account of a line; most are about something else."""
        progress = _REPORT.search(line)
        if progress is not None:
            self._billed[progress[1]] = float(progress[2]) / _MILLIS * int(progress[3]) / _MB_PER_GB
            return
        document = _document(line)
        if document.get("type") == "platform.report":
            self._add_report(document.get("record"))
        elif document.get("function") in FUNCTIONS and "duration_ms" in document:
            self._add_invocation(document)

    def _add_report(self, record: Any) -> None:
        """Lambda's report in its JSON form."""
        metrics = record.get("metrics", {}) if isinstance(record, dict) else {}
        if "requestId" in record and {"billedDurationMs", "memorySizeMB"} <= metrics.keys():
            seconds = float(metrics["billedDurationMs"]) / _MILLIS
            self._billed[record["requestId"]] = seconds * metrics["memorySizeMB"] / _MB_PER_GB

    def _add_invocation(self, document: Mapping[str, Any]) -> None:
        function = document["function"]
        request = str(document.get("request") or f"without id {len(self._measured)}")
        if request in self._measured:
            return  # the same line again
        seconds = ceil(float(document["duration_ms"])) / _MILLIS
        self._measured[request] = (function, seconds * float(document.get("memory_mb") or 0) / _MB_PER_GB)
        counts = self._counts.setdefault(function, Counter())
        for name in _COUNTED:
            counts[name] += document.get(name) or 0
        ended = float(document.get("_aws", {}).get("Timestamp", 0)) / _MILLIS
        if ended:
            self.first = ended if self.first is None else min(ended, self.first)
            self.last = ended if self.last is None else max(ended, self.last)

    def functions(self) -> dict[str, FunctionUsage]:
        """What each function used, those of killed invocations apart."""
        invocations: Counter[str] = Counter()
        seconds: defaultdict[str, float] = defaultdict(float)
        for request in sorted(self._measured.keys() | self._billed.keys()):
            function, measured = self._measured.get(request, (NO_LINE, 0.0))
            invocations[function] += 1
            seconds[function] += self._billed.get(request, measured)
        return {
            name: FunctionUsage(invocations[name], seconds[name], self._counts.get(name, Counter()))
            for name in (*FUNCTIONS, NO_LINE)
            if invocations[name]
        }

    @property
    def billed(self) -> bool:
        """Whether Lambda's own figure is known of every invocation."""
        return self._measured.keys() <= self._billed.keys()


def read_lines(lines: Iterable[str], progress: Progress) -> Usage:
    """What the lines of a log say."""
    usage = Usage()
    for number, line in enumerate(lines, 1):
        usage.add(line)
        progress("lines of logs", number)
    return usage


def log_lines(logs: Any, names: Names, start: float, end: float) -> Iterator[str]:
    """What the functions of a stack logged in a time, in seconds since 1970."""
    for function in (names.state_function, names.net_function, names.reduce_function, names.sweep_function):
        try:
            yield from _group_lines(logs, f"/aws/lambda/{function}", start, end)
        except ClientError as error:
            if not is_missing(error):
                raise


def _group_lines(logs: Any, group: str, start: float, end: float) -> Iterator[str]:
    request: dict[str, Any] = {
        "logGroupName": group,
        "startTime": int(start * _MILLIS),
        "endTime": int(end * _MILLIS),
    }
    while True:
        page = logs.filter_log_events(**request)
        for event in page["events"]:
            yield event["message"]
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def _document(line: str) -> Mapping[str, Any]:
    """The JSON object that a line ends with; tools write times and streams before it."""
    start = line.find("{")
    if start < 0:
        return {}
    try:
        found = json.loads(line[start:])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
