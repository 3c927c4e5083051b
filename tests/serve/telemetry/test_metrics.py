"""Metrics against traffic that is known, and health at every stage."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from oncefold.core.errors import StoreError
from oncefold.core.fold import Outcome
from oncefold.serve.channel.messages import Committed
from oncefold.serve.telemetry.counters import Histogram
from oncefold.serve.telemetry.metrics import Gauges
from oncefold.store.answers import StoredStatus
from oncefold.store.reader import StoreFile
from tests.queries.stores import MONDAY, SHOP, build, lines
from tests.serve.application import LOCAL, Parts, ask, echo, send

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreFile]:
    with StoreFile.open(build(tmp_path / "shop.db", SHOP, lines(MONDAY))) as reader:
        yield reader


def gauges(status: Any, parts: Parts) -> Gauges:
    return Gauges(lambda: not parts.health.reason, lambda: 7, lambda: 4_096, status)


def scrape(parts: Parts, status: Any, accept: str = "") -> str:
    app = parts.guarded(parts.routes(gauges(status, parts)))
    answer = ask(app, "GET", "/metrics", {**LOCAL, "accept": accept})
    assert answer.status == 200
    return answer.body.decode()


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_number_is_that_of_the_traffic(store: StoreFile) -> None:
    status = store.status()
    assert status.newest_time is not None
    parts = Parts(clock=lambda: status.newest_time + 90_000_000_000)
    parts.health.ready()
    app = parts.guarded(echo())

    async def traffic() -> None:
        for code in ("200", "200", "200", "429"):
            await send(app, "POST", "/events", {**LOCAL, "x-status": code}, b"x" * 10)
        for path in ("/totals/place", "/totals/place/FR", "/no/such", "/elsewhere", "/"):
            await send(app, "GET", path, LOCAL)
        await send(app, "GET", "/status", {"host": "evil.example"})
        parts.log.sum_up()

    asyncio.run(traffic())
    parts.commits(
        Committed(1, 5, {Outcome.INSERTED: 100, Outcome.DUPLICATE: 20, Outcome.REJECTED: 3}, 120, 0.004, None)
    )
    parts.commits(Committed(2, 6, {Outcome.INSERTED: 1}, 1, 0.3, None))
    found = samples(scrape(parts, store.status))

    def value(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    assert value("oncefold_events_total", outcome="inserted") == 101
    assert value("oncefold_events_total", outcome="duplicate") == 20
    assert value("oncefold_events_total", outcome="rejected") == 3
    assert value("oncefold_events_total", outcome="stale") == 0
    assert len([name for name, _ in found if name == "oncefold_events_total"]) == len(Outcome)
    assert value("oncefold_http_requests_total", route="/events", status="200") == 3
    assert value("oncefold_http_requests_total", route="/events", status="429") == 1
    assert value("oncefold_http_requests_total", route="/totals", status="200") == 2
    assert value("oncefold_http_requests_total", route="other", status="200") == 2
    assert value("oncefold_http_requests_total", route="/", status="200") == 1
    assert value("oncefold_http_requests_total", route="/status", status="421") == 1
    assert value("oncefold_http_request_seconds_count", route="/events") == 4
    assert value("oncefold_ingest_body_bytes_total") == 40
    assert value("oncefold_commit_seconds_count") == 2
    assert value("oncefold_commit_seconds_sum") == pytest.approx(0.304)
    assert value("oncefold_commit_seconds_bucket", le="0.0025") == 0
    assert value("oncefold_commit_seconds_bucket", le="0.005") == 1
    assert value("oncefold_commit_seconds_bucket", le="+Inf") == 2
    assert value("oncefold_commit_events_bucket", le="1.0") == 1
    assert value("oncefold_commit_events_sum") == 121
    assert value("oncefold_waiting_requests") == 7
    assert value("oncefold_waiting_bytes") == 4_096
    assert value("oncefold_event_time_lag_seconds") == 90
    assert value("oncefold_commit") == status.last.seq == 1
    assert value("oncefold_last_commit_timestamp_seconds") == pytest.approx(status.last.at / 1e9)
    assert value("oncefold_store_bytes") == status.file_bytes
    assert value("oncefold_keys") == status.keys
    assert value("oncefold_live_keys") == status.live
    assert value("oncefold_rejects_listed") == status.rejects
    assert value("oncefold_ready") == 1
    assert value("process_resident_memory_bytes") > 0


def test_two_servers_in_one_process_count_apart(store: StoreFile) -> None:
    one, other = Parts(), Parts()
    one.commits(Committed(1, 5, {Outcome.INSERTED: 5}, 5, 0.1, None))
    assert samples(scrape(other, store.status))["oncefold_events_total", (("outcome", "inserted"),)] == 0


def test_a_store_that_cannot_be_read_leaves_its_own_numbers_out() -> None:
    def gone() -> StoredStatus:
        raise StoreError("gone")

    found = samples(scrape(Parts(), gone))
    assert ("oncefold_keys", ()) not in found
    assert found["oncefold_ready", ()] == 0
    assert found["oncefold_waiting_requests", ()] == 7


def test_openmetrics_is_spoken_to_those_who_ask_for_it(store: StoreFile) -> None:
    assert scrape(Parts(), store.status, "application/openmetrics-text; version=1.0.0").endswith("# EOF\n")


def test_a_value_on_a_bound_lies_below_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 99.0):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 2), ("2.0", 4), ("+Inf", 5)]
    assert (histogram.count, histogram.total) == (5, 104.0)


def test_readiness_follows_the_ingest_from_start_to_end(store: StoreFile) -> None:
    parts = Parts()
    app = parts.guarded(parts.routes(gauges(store.status, parts)))

    def told() -> tuple[int, str]:
        answer = ask(app, "GET", "/readyz")
        document = answer.document
        assert answer.headers["cache-control"] == "no-store"
        assert ask(app, "GET", "/healthz").document == {"status": "ok"}
        return answer.status, document["detail"] if answer.status == 503 else document["status"]

    assert told() == (503, "starting: the store is being opened")
    parts.health.ready()
    assert told() == (200, "ready")
    parts.health.failed("shop.db: the disk is full")
    assert told() == (503, "failing: shop.db: the disk is full")
    parts.health.ready()
    assert told() == (200, "ready")
    parts.health.stopping()
    parts.health.ready()
    assert told()[0] == 503
    assert "stopping" in told()[1]


def test_before_the_store_is_open_health_alone_is_answered(store: StoreFile) -> None:
    parts = Parts()
    opening = parts.application(parts.routes(gauges(store.status, parts)))
    app = parts.adapted(opening)
    assert ask(app, "GET", "/healthz").status == 200
    for method, path in (("GET", "/readyz"), ("POST", "/events"), ("GET", "/totals/place"), ("GET", "/")):
        answer = ask(app, method, path)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert "the store is being opened" in answer.document["detail"]
    assert samples(ask(app, "GET", "/metrics").body.decode())["oncefold_ready", ()] == 0

    opening.opened(echo())
    assert ask(app, "POST", "/events").status == 200
