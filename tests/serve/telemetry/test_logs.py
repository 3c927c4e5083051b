"""Request ids and log lines: what they say, what they never say, and how many there are."""

import asyncio
import io
import json
import logging
from typing import Any

import pytest

from oncefold.core.fold import Outcome
from oncefold.serve.channel.messages import Committed
from oncefold.serve.security.access import access_on
from oncefold.serve.security.tokens import from_environment
from oncefold.serve.telemetry.access_log import MOST_LINES_PER_SECOND
from oncefold.serve.telemetry.logs import Form, logging_to
from tests.serve.application import LOCAL, Answer, Parts, echo, send

SECRET = "admin-token-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def exchange(*requests: tuple[Any, ...], parts: Parts | None = None, form: Form = "json") -> tuple[list[Answer], str]:
    """Put requests to a guarded application; the answers, and all that was logged until it ended."""
    out, parts = io.StringIO(), parts or Parts()
    app = parts.guarded(echo())

    async def run() -> list[Answer]:
        answers = [await send(app, *request) for request in requests]
        parts.log.sum_up()
        return answers

    with logging_to(out, form):
        answers = asyncio.run(run())
    return answers, out.getvalue()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("given", ["a", "2f1c-77:x/y", "!" * 128])
def test_a_request_keeps_its_own_id(given: str) -> None:
    (answer,), text = exchange(("GET", "/status", {**LOCAL, "x-request-id": given}))
    assert answer.headers["x-request-id"] == answer.document["id"] == given
    assert lines(text)[0]["request_id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "tab\t", "ü"])
def test_an_id_that_cannot_be_used_is_replaced(given: str) -> None:
    answers, _ = exchange(*[("GET", "/status", {**LOCAL, "x-request-id": given})] * 2)
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert ids == ["test-1", "test-2"]


def test_a_line_says_what_was_asked_and_what_became_of_it() -> None:
    (answer,), text = exchange(("GET", "/totals/risk/Delta", LOCAL))
    (line,) = lines(text)
    assert line.pop("time").endswith("Z")
    assert line.pop("milliseconds") >= 0
    assert line == {
        "level": "info",
        "message": "request",
        "request_id": "test-1",
        "method": "GET",
        "path": "/totals/risk/Delta",
        "status": 200,
        "bytes": len(answer.body),
        "client": "127.0.0.9",
    }


def test_failures_are_warnings_and_mistakes_have_a_trace_but_only_in_the_log() -> None:
    requests = [("GET", "/status", {**LOCAL, "x-status": "404"}), ("GET", "/status", {**LOCAL, "x-break": "1"})]
    (_, broken), text = exchange(*requests)
    missing, trace, mistake = lines(text)
    assert (missing["level"], missing["status"]) == ("warning", 404)
    assert (mistake["level"], mistake["status"]) == ("error", 500)
    assert "RuntimeError: broken on purpose" in trace["trace"]
    assert trace["request_id"] == broken.headers["x-request-id"] == "test-2"
    assert broken.status == 500
    assert b"on purpose" not in broken.body


def test_events_are_summed_up_and_probes_are_silent() -> None:
    parts = Parts()
    parts.commits(Committed(1, 5, {Outcome.INSERTED: 3, Outcome.REJECTED: 1}, 3, 0.01, None))
    requests = [("POST", "/events", LOCAL, b"12345")] * 4 + [("GET", path, LOCAL) for path in ("/healthz", "/metrics")]
    _, text = exchange(*requests, parts=Parts())
    (line,) = lines(text)
    assert (line["message"], line["requests"], line["statuses"], line["bytes"]) == ("ingest", 4, {"200": 4}, 20)
    assert "lines_left_out" not in line
    _, text = exchange(("GET", "/healthz", {**LOCAL, "x-status": "503"}))
    assert (lines(text)[0]["status"], lines(text)[0]["level"]) == (503, "info"), "whoever probes expects it"
    _, text = exchange(("GET", "/status", {**LOCAL, "x-status": "503"}))
    assert lines(text)[0]["level"] == "warning"


def test_a_summary_is_of_the_time_since_the_last_one() -> None:
    parts, out = Parts(), io.StringIO()
    app = parts.guarded(echo())

    async def run() -> None:
        for number in range(3):
            for _ in range(number + 1):
                await send(app, "POST", "/events", LOCAL, b"1")
            parts.commits(Committed(1, 5, {Outcome.INSERTED: 10}, 10, 0.01, None))
            parts.log.sum_up()
        parts.log.sum_up()

    with logging_to(out, "json"):
        asyncio.run(run())
    assert [(line["requests"], line["events"], line["commits"]) for line in lines(out.getvalue())] == [
        (1, 10, 1),
        (2, 10, 1),
        (3, 10, 1),
    ]


def test_a_flood_of_failures_does_not_flood_the_log() -> None:
    clock = Clock()
    many = MOST_LINES_PER_SECOND + 25
    _, text = exchange(*[("POST", "/events", {**LOCAL, "x-status": "429"})] * many, parts=Parts(monotonic=clock))
    *told, summary = lines(text)
    assert len(told) == MOST_LINES_PER_SECOND
    assert (summary["lines_left_out"], summary["statuses"]) == (25, {"429": many})


def test_no_secret_gets_into_the_log() -> None:
    access = access_on("127.0.0.1", from_environment({"ONCEFOLD_ADMIN_TOKEN": SECRET}))
    wrong = "wrong-token-9876543210"
    requests = [
        ("GET", "/status", {**LOCAL, "authorization": f"Bearer {SECRET}"}),
        ("GET", "/status", {**LOCAL, "authorization": f"Bearer {wrong}", "cookie": wrong}),
        ("POST", "/events", {**LOCAL, "authorization": f"Bearer {wrong}"}, wrong.encode()),
        ("GET", "/status", {**LOCAL, "authorization": f"Bearer {SECRET}", "x-break": "1"}),
    ]
    for form in ("json", "text"):
        answers, text = exchange(*requests, parts=Parts(access), form=form)
        assert [answer.status for answer in answers] == [200, 401, 401, 500]
        for secret in (SECRET, wrong):
            assert secret not in text
            assert not any(secret.encode() in answer.body for answer in answers)


def test_words_for_people_stay_on_one_line() -> None:
    _, text = exchange(("GET", "/totals/risk/a b\n\x1b[31m", LOCAL), form="text")
    (line,) = text.splitlines()
    assert " request request_id=test-1 method=GET " in line
    assert '"/totals/risk/a b\\\\n\\\\x1b[31m"' in line
    assert "\x1b" not in line


def test_the_logger_is_given_back() -> None:
    out, logger = io.StringIO(), logging.getLogger("oncefold.serve")
    before = logger.handlers
    with logging_to(out, "json"):
        logger.warning("something is %s", "odd")
        logger.debug("chatter")
    (line,) = lines(out.getvalue())
    assert (line["level"], line["message"]) == ("warning", "something is odd")
    assert logging.getLogger("oncefold.serve").handlers is before


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with logging_to(Gone(), "json") as logger:
        logger.warning("lost")
