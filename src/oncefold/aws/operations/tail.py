"""What the functions of a stack logged, function by function merged by time, and what a line asks somebody to do."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.connect import is_missing
from oncefold.aws.names import Names

FUNCTIONS = ("state", "net", "reduce", "sweep")
"""NetLambda is there in economy mode alone."""
_MILLIS = 1_000
_LATE_SECONDS = 20
"""Lines may come so late into CloudWatch Logs, so that following looks back as far."""
_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a function's log."""

    function: str
    time: float
    """In seconds since 1970."""
    text: str

    @property
    def document(self) -> Mapping[str, Any]:
        """The JSON object that it is; nothing if it is none."""
        if not self.text.startswith("{"):
            return {}
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def hints(self) -> list[str]:
        """What to do about it; nothing where all is well."""
        found = [advice for pattern, advice in _HINTS if pattern.search(self.text)]
        document = self.document
        found += [advice for name, advice in _COUNTED.items() if document.get(name)]
        return found

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should see it."""
        return bool(self.hints or _TROUBLE.search(self.text))


_TROUBLE = re.compile(
    r"\[ERROR\]|Traceback|errorMessage|\"level\":\s*\"(ERROR|CRITICAL)\"|[Ss]tatus\"?:\s?\"?(error|timeout|failure)"
)
_HINTS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (
            r"AccessDenied|not authorized to perform",
            "AWS does not allow a call: deploy again, or take back what changed the role or its boundary",
        ),
        (
            r"KMS|kms:",
            "the key that encrypts something cannot be used: is it enabled, and does its policy let the functions in?",
        ),
        (
            r"ResourceNotFoundException",
            "a table is not there: restore it (docs/AWS_OPERATIONS.md, Restoring tables), or deploy again",
        ),
        (
            r"Throttling|ProvisionedThroughputExceeded|RequestLimitExceeded",
            "DynamoDB throttles: wait, or raise what tables take at once (StateWarmWriteUnits and the like)",
        ),
        (
            r"made under another definition",
            "the functions have another definition than the tables: oncefold aws deploy",
        ),
        (
            r"Task timed out|Sandbox\.Timedout|\"status\":\s?\"timeout\"",
            "the time did not suffice: raise StateTimeoutSeconds, or lower StateBatchSize",
        ),
        (
            r"signal: killed|OutOfMemory|MemoryError",
            "the memory did not suffice: raise StateMemoryMB, or lower StateBatchSize",
        ),
        (
            r"Runtime\.ExitError",
            "the process ended: at the same record again and again, give that up with StateRetries=5 for once",
        ),
        (
            r"Unable to import module|ImportModuleError|HandlerNotFound",
            "the code in the function is not this template's: oncefold aws deploy",
        ),
    )
)
"""The first to match are the causes, the later ones what may follow from them."""
_COUNTED: Mapping[str, str] = {
    "rejected": "events could not be read: oncefold aws rejects says why",
    "refused": "DynamoDB refuses to add deltas, which stay in the outbox: oncefold aws drain says why",
    "unfinished": "the time did not suffice for all records, and they come again: more shards, or more memory",
}


def log_events(logs: Any, names: Names, functions: Sequence[str], start: float) -> list[tuple[str, LogLine]]:
    """What some functions logged from a time on, in its order, each line with the id that CloudWatch gave it."""
    found: list[tuple[str, LogLine]] = []
    groups = {
        "state": names.state_function,
        "net": names.net_function,
        "reduce": names.reduce_function,
        "sweep": names.sweep_function,
    }
    for function in functions:
        request: dict[str, Any] = {"logGroupName": f"/aws/lambda/{groups[function]}", "startTime": int(start * _MILLIS)}
        try:
            found += _events(logs, function, request)
        except ClientError as error:
            if not is_missing(error):
                raise
    return sorted(found, key=lambda pair: pair[1].time)


def _events(logs: Any, function: str, request: dict[str, Any]) -> Iterator[tuple[str, LogLine]]:
    while True:
        page = logs.filter_log_events(**request)
        for number, event in enumerate(page["events"]):
            text = event["message"].rstrip("\n")
            name = event.get("eventId") or f"{function} {event['timestamp']} {number} {text}"
            yield str(name), LogLine(function, event["timestamp"] / _MILLIS, text)
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def follow(
    logs: Any,
    names: Names,
    functions: Sequence[str],
    start: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Iterator[LogLine]:
    """What is logged from a time on, without end; each line once."""
    seen: dict[str, float] = {}
    while True:
        for name, line in log_events(logs, names, functions, start):
            if name not in seen:
                seen[name] = line.time
                yield line
        start = max(start, clock() - _LATE_SECONDS)
        seen = {name: time for name, time in seen.items() if time >= start}
        sleep(_POLL_SECONDS)
