"""`/metrics` in Prometheus's text form: plain integers that are counted elsewhere become metrics when asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from oncefold import __version__
from oncefold.core.errors import OncefoldError
from oncefold.serve.telemetry.counters import CommitCounters, RequestCounters
from oncefold.store.answers import StoredStatus

_NANOS = 1e9


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the server's parts say when metrics are read; each may be called from any thread."""

    ready: Callable[[], bool]
    """Whether events can be taken."""
    waiting_requests: Callable[[], int]
    waiting_bytes: Callable[[], int]
    status: Callable[[], StoredStatus]
    """The store as a whole; may raise OncefoldError."""
    connections: Callable[[], int] = lambda: 0
    """Those that are open."""
    sources: Callable[[], Mapping[str, int]] = dict
    """Attached sources by what they are doing; empty if there are none."""
    writer: Callable[[], int] = lambda: 0
    """Process id of the writer process; 0 while there is none."""
    full: Callable[[], bool] = lambda: False
    """Whether the store has as much as it may have."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Of keys, nodes and bytes of the store, those that were given."""


class _ServiceCollector(Collector):
    def __init__(
        self, commits: CommitCounters, requests: RequestCounters, gauges: Gauges, clock: Callable[[], int]
    ) -> None:
        self._commits, self._requests, self._gauges, self._clock = commits, requests, gauges, clock

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not collect to know the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        yield InfoMetricFamily("oncefold_build", "The version that runs.", {"version": __version__})
        yield _gauge("oncefold_ready", "1 if events can be taken.", 1 if self._gauges.ready() else 0)
        yield from self._sources()
        yield from self._ingest()
        yield from self._http()
        yield from self._limits()
        yield from self._store()

    def _sources(self) -> Iterator[Metric]:
        found = self._gauges.sources()
        if found:
            yield _gauge("oncefold_sources_reading", "1 while attached sources are read.", found["reading"])
            yield _gauge("oncefold_sources_failed", "Attached sources not read to their ends.", found["failed"])

    def _ingest(self) -> Iterator[Metric]:
        events = CounterMetricFamily(
            "oncefold_events", "Events committed since the server began, by outcome.", labels=["outcome"]
        )
        for outcome, count in self._commits.events.items():
            events.add_metric([outcome.name.lower()], count)
        yield events
        seconds, rows = self._commits.seconds, self._commits.rows
        commit = HistogramMetricFamily("oncefold_commit_seconds", "How long commits took to be durable.")
        commit.add_metric([], seconds.buckets(), seconds.total)
        yield commit
        batch = HistogramMetricFamily("oncefold_commit_events", "Records in a commit, rejects left out.")
        batch.add_metric([], rows.buckets(), rows.total)
        yield batch
        gauges = self._gauges
        yield _gauge(
            "oncefold_waiting_requests", "Requests to ingest that are not answered yet.", gauges.waiting_requests()
        )
        yield _gauge("oncefold_waiting_bytes", "Bytes of events that are not committed yet.", gauges.waiting_bytes())
        yield _gauge("oncefold_change_subscribers", "Connections to /changes.", self._requests.subscribers)

    def _http(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "oncefold_http_requests", "Requests that have ended, by route and status.", labels=["route", "status"]
        )
        for (route, status), count in self._requests.requests.copy().items():
            requests.add_metric([route, str(status)], count)
        yield requests
        lengths = HistogramMetricFamily(
            "oncefold_http_request_seconds", "How long requests took, /changes left out.", labels=["route"]
        )
        for route, histogram in self._requests.seconds.copy().items():
            lengths.add_metric([route], histogram.buckets(), histogram.total)
        yield lengths
        yield CounterMetricFamily(
            "oncefold_ingest_body_bytes", "Bytes of bodies read from /events, as sent.", self._requests.received
        )
        yield _gauge("oncefold_connections", "Connections that are open.", self._gauges.connections())
        ended = CounterMetricFamily(
            "oncefold_connections_ended", "Connections that the server ended, by reason.", labels=["reason"]
        )
        for reason, count in self._requests.ended.copy().items():
            ended.add_metric([reason], count)
        yield ended

    def _limits(self) -> Iterator[Metric]:
        yield _gauge("oncefold_full", "1 while events are refused by a limit on the store.", self._gauges.full())
        limits = GaugeMetricFamily("oncefold_limit", "Limits on the store that were given.", labels=["of"])
        for name, most in self._gauges.limits.items():
            limits.add_metric([name], most)
        yield limits

    def _store(self) -> Iterator[Metric]:
        """The store's own numbers; none while it cannot be read, which `oncefold_ready` says."""
        try:
            status = self._gauges.status()
        except OncefoldError:
            return
        yield _gauge("oncefold_commit", "Number of the last commit.", status.last.seq)
        if status.last.at:
            yield _gauge(
                "oncefold_last_commit_timestamp_seconds", "When the last commit was made.", status.last.at / _NANOS
            )
        if status.newest_time is not None:
            lag = (self._clock() - status.newest_time) / _NANOS
            yield _gauge("oncefold_event_time_lag_seconds", "From the newest event time ever seen to now.", lag)
        yield _gauge("oncefold_store_bytes", "The store file with its write-ahead log.", status.file_bytes)
        yield _gauge("oncefold_keys", "Keys ever seen; each takes memory.", status.keys)
        yield _gauge("oncefold_live_keys", "Keys that count.", status.live)
        yield _gauge("oncefold_nodes", "Nodes of all rollups.", status.nodes)
        yield _gauge("oncefold_rejects_listed", "Events on the reject list now.", status.rejects)
        yield _gauge("oncefold_conflicts_listed", "Conflicts on their list now.", status.conflicts)


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(
        self, commits: CommitCounters, requests: RequestCounters, gauges: Gauges, clock: Callable[[], int]
    ) -> None:
        """`clock` gives nanoseconds since the epoch."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_ServiceCollector(commits, requests, gauges, clock))
        ProcessCollector(registry=self._registry)
        ProcessCollector("oncefold_folding", gauges.writer, registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that the Accept header names, with its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value)
