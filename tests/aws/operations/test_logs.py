"""`aws logs`: the lines of all functions in the order of their time, with what to do, and those that come."""

import json
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import report
from oncefold.aws.functions.report import Invocation
from oncefold.aws.functions.structured import powertools_keys
from oncefold.aws.names import Names
from oncefold.aws.operations.tail import LogLine, follow, log_events
from oncefold.dynamodb.calls import Meter
from tests.aws.conftest import Run
from tests.aws.reader.stacks import Filled

T = 1_772_524_800.0


def logged(function: str, ended: float, **counts: int) -> str:
    return report.line(Invocation(function, "s", f"{function}-{ended}", ended, 0.0123, 512), counts, Meter())


def put(function: str, *texts: tuple[float, str]) -> None:
    logs, group = client("logs"), f"/aws/lambda/{function}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="1")
    events = [{"timestamp": int(at * 1_000), "message": text} for at, text in texts]
    logs.put_log_events(logGroupName=group, logStreamName="1", logEvents=events)


@pytest.fixture
def lines(shop_stack: Filled) -> Names:
    names = shop_stack.names
    put(
        names.state_function,
        (T, "START RequestId: 1 Version: $LATEST\n"),
        (T + 1, logged("state", T, events=10, rejected=2)),
        (T + 3, "2026-03-03T08:00:03.1Z 1 Task timed out after 60.00 seconds\n\n"),
        (T + 4, logged("state", T, events=10, rejected=1)),
        (T + 5, "[ERROR] ValueError: what\rTraceback (most recent call last):\r  File x"),
    )
    put(names.reduce_function, (T + 2, logged("reduce", T, deltas=1_234, unfinished=0)))
    return names


SINCE = ("--since", "3650d")


def test_lines_of_all_functions_in_their_order_and_each_advice_once(lines: Names, run: Run) -> None:
    status, out, err = run("logs", *SINCE)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "2026-03-03 08:00:01.000  state   10 events, 2 rejected; 12 ms",
        "                         → events could not be read: oncefold aws rejects says why",
        "2026-03-03 08:00:02.000  reduce  1,234 deltas; 12 ms",
        "2026-03-03 08:00:03.000  state   2026-03-03T08:00:03.1Z 1 Task timed out after 60.00 seconds",
        "                         → the time did not suffice: raise StateTimeoutSeconds, or lower StateBatchSize",
        "2026-03-03 08:00:04.000  state   10 events, 1 rejected; 12 ms",
        "2026-03-03 08:00:05.000  state   [ERROR] ValueError: what",
        "                                 Traceback (most recent call last):",
        "                                   File x",
    ]


def test_the_function_of_economy_mode_has_its_log_too(lines: Names, run: Run) -> None:
    put(lines.net_function, (T, '{"function":"net","duration_ms":3.0,"deltas":1}'))
    assert run("logs", *SINCE, "-f", "net")[1] == "2026-03-03 08:00:00.000  net     1 delta; 3 ms\n"


def test_only_errors_and_only_some_functions(lines: Names, run: Run) -> None:
    status, out, _ = run("logs", *SINCE, "--errors", "--raw")
    assert status == 1
    assert len(out.rstrip().split("\n")) == 4
    assert run("logs", *SINCE, "--errors", "--function", "reduce")[:2] == (0, "nothing that somebody should see\n")
    assert run("logs", "--since", "1s", "--function", "sweep")[:2] == (0, "nothing was logged\n")
    _, out, _ = run("logs", *SINCE, "--raw", "--function", "reduce")
    assert json.loads(out)["deltas"] == 1_234
    assert run("logs", "--since", "yesterday")[0] == 2


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("An error occurred (AccessDeniedException)", "does not allow"),
        ("ResourceNotFoundException: Requested resource not found", "a table is not there"),
        ("(ThrottlingException) Rate exceeded", "throttles"),
        ("its tables were made under another definition of risk", "oncefold aws deploy"),
        ("Runtime.ExitError: Runtime exited with error: signal: killed", "memory did not suffice"),
        ("Runtime.ImportModuleError: Unable to import module 'x'", "not this template's"),
        ("KMSAccessDeniedException", "the key"),
        ('{"time":"T","type":"platform.report","record":{"status":"timeout"}}', "the time did not suffice"),
        (logged("reduce", T, deltas=0, refused=1), "refuses to add deltas"),
        (logged("state", T, events=5, unfinished=5), "did not suffice for all records"),
    ],
)
def test_what_a_line_asks_for(text: str, word: str) -> None:
    line = LogLine("state", T, text)
    assert line.is_trouble
    assert any(word in hint for hint in line.hints)


def test_an_invocation_that_went_well_asks_for_nothing() -> None:
    for text in (
        logged("state", T, events=5),
        '{"record":{"status":"success"}}',
        "REPORT RequestId: 1 Duration: 5.0 ms",
        "{not json",
    ):
        assert not LogLine("state", T, text).is_trouble


class Growing:
    """CloudWatch Logs of one function, which shows one line more at each look, one a page, late ones too."""

    def __init__(self, *times: float) -> None:
        self._events: list[dict[str, Any]] = [
            {"eventId": str(n), "timestamp": int(at * 1_000), "message": str(n)} for n, at in enumerate(times)
        ]
        self._shown = count(1)
        self._now: list[dict[str, Any]] = []

    def filter_log_events(self, startTime: int, nextToken: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        if not nextToken:
            self._now = [event for event in self._events[: next(self._shown)] if event["timestamp"] >= startTime]
        index = int(nextToken or 0)
        more = {"nextToken": str(index + 1)} if index + 1 < len(self._now) else {}
        return {"events": self._now[index : index + 1], **more}


def test_following_shows_each_line_once_also_those_that_come_late() -> None:
    logs, clock = Growing(T, T + 2, T + 1, T + 30), count(int(T), 5)
    pauses: list[float] = []
    found: Iterator[LogLine] = follow(logs, Names("s"), ["state"], T, lambda: float(next(clock)), pauses.append)
    assert [line.text for line in islice(found, 4)] == ["0", "1", "2", "3"]
    assert pauses == [2.0] * 3
    assert [line.text for _, line in log_events(Growing(T), Names("s"), ["state"], T)] == ["0"]


def test_lines_of_json_logs_have_the_keys_of_powertools() -> None:
    environ = {
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_FUNCTION_NAME": "s-state",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    }
    counts = {"events": 10, "rejected": 2, "unfinished": 0}
    keys = powertools_keys(counts, environ, stack="s", request="r-1", ended=T + 0.25, cold=True)
    assert keys == {
        "level": "WARNING",
        "message": "10 events, 2 rejected",
        "timestamp": "2026-03-03T08:00:00.250Z",
        "service": "s",
        "cold_start": True,
        "function_name": "s-state",
        "function_memory_size": "512",
        "function_request_id": "r-1",
        "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793",
    }
    line = json.loads(report.line(Invocation("state", "s", "r-1", T, 0.1, 512), counts, Meter(), keys))
    assert list(line)[: len(keys)] == list(keys)
    assert (line["function"], line["events"]) == ("state", 10)
    assert "_aws" in line
    assert powertools_keys(counts, {}, stack="s", request="r-1", ended=T, cold=True) == {}
