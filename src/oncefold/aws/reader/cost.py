"""`cost`: what a run used, at a price table, for a million events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Literal

from oncefold.aws.reader.logs import FunctionUsage
from oncefold.aws.reader.prices import MILLION, Prices

Mode = Literal["PROVISIONED", "ON_DEMAND"]

_PUT_BYTES = 25 * 1_024
_ROUNDED_BYTES = 1_024
"""A stream on demand rounds records up to as much."""
_GB = 1_024**3
_HOUR = 3_600.0
_MOST_POINTS = 1_440
"""Data points of one GetMetricStatistics."""
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class StreamUsage:
    """What went through the stream."""

    mode: Mode
    shards: int
    records: float
    size: float
    """Bytes."""
    measured: bool
    """Whether CloudWatch counted the records; else every event is taken for a record of at most 1 KB."""


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the bill."""

    name: str
    used: float
    unit: str
    usd: float


@dataclass(frozen=True)
class Cost:
    """What a run used and what that costs."""

    functions: Mapping[str, FunctionUsage]
    hours: float
    stream: StreamUsage | None
    """None if it is not known; then it is not in the parts."""
    billed: bool
    """Whether durations are those that Lambda bills; else they are the functions' own, without cold starts."""
    prices: Prices

    @property
    def events(self) -> float:
        """Deliveries of events to the state function."""
        return events_of(self.functions)

    def parts(self) -> list[Part]:
        """The bill."""
        return [*self._lambda(), *self._dynamodb(), *self._kinesis()]

    @property
    def usd(self) -> float:
        """The sum of the parts."""
        return sum(part.usd for part in self.parts())

    def per_million(self, usd: float) -> float:
        """An amount, for a million events; there must be some."""
        return usd / self.events * MILLION

    def _lambda(self) -> Iterator[Part]:
        invocations = sum(usage.invocations for usage in self.functions.values())
        yield Part(
            "Lambda requests", invocations, "requests", invocations * self.prices.lambda_million_requests / MILLION
        )
        seconds = sum(usage.gb_seconds for usage in self.functions.values())
        yield Part("Lambda duration, arm64", seconds, "GB-seconds", seconds * self.prices.lambda_gb_second)

    def _dynamodb(self) -> Iterator[Part]:
        for name, counted, price in (
            ("DynamoDB writes", "write_units", self.prices.dynamodb_million_writes),
            ("DynamoDB reads", "read_units", self.prices.dynamodb_million_reads),
        ):
            units = sum(usage.counts.get(counted, 0.0) for usage in self.functions.values())
            yield Part(name, units, "request units", units * price / MILLION)

    def _kinesis(self) -> Iterator[Part]:
        stream, prices = self.stream, self.prices
        if stream is None:
            return
        if stream.mode == "PROVISIONED":
            hours = stream.shards * self.hours
            yield Part("Kinesis shards", hours, "shard hours", hours * prices.kinesis_shard_hour)
            puts = max(stream.records, stream.size / _PUT_BYTES)
            yield Part("Kinesis puts", puts, "payload units", puts * prices.kinesis_million_puts / MILLION)
            return
        yield Part("Kinesis stream", self.hours, "stream hours", self.hours * prices.kinesis_stream_hour)
        taken = max(stream.records * _ROUNDED_BYTES, stream.size) / _GB
        yield Part("Kinesis data in", taken, "GB", taken * prices.kinesis_gb_in)
        given = stream.size / _GB
        yield Part("Kinesis data out", given, "GB", given * prices.kinesis_gb_out)


def events_of(functions: Mapping[str, FunctionUsage]) -> float:
    """Deliveries of events to the state function."""
    return functions["state"].counts.get("events", 0.0) if "state" in functions else 0.0


def assumed_stream(mode: Mode, shards: int, events: float) -> StreamUsage:
    """A stream of which only the events are known."""
    return StreamUsage(mode, shards, events, events * _ROUNDED_BYTES, measured=False)


def measured_stream(
    kinesis: Any, metrics: Any, name: str, start: datetime, end: datetime, events: float
) -> StreamUsage:
    """A stream as CloudWatch counted it, or as far as that is known."""
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    mode: Mode = summary.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED")
    shards = int(summary["OpenShardCount"])
    records = _summed(metrics, name, "IncomingRecords", start, end)
    size = _summed(metrics, name, "IncomingBytes", start, end)
    if not records:
        return assumed_stream(mode, shards, events)
    return StreamUsage(mode, shards, records, size, measured=True)


def _summed(metrics: Any, stream: str, metric: str, start: datetime, end: datetime) -> float:
    period = max(1, ceil((end - start).total_seconds() / _MOST_POINTS / _MINUTE)) * _MINUTE
    points = metrics.get_metric_statistics(
        Namespace="AWS/Kinesis",
        MetricName=metric,
        Dimensions=[{"Name": "StreamName", "Value": stream}],
        StartTime=start,
        EndTime=end,
        Period=period,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(float(point["Sum"]) for point in points)


def hours_between(start: float, end: float) -> float:
    """The hours of a time in seconds."""
    return max(0.0, end - start) / _HOUR
