"""`cost`: what a run used, what AWS charges for it, and what a million events cost.

The list prices are for one region, without free tiers, volume steps, savings plans and taxes. They were read in copies
of the pages named in SOURCES, and not at AWS, on the days named; a file can give the prices of a bill instead.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any, Literal

from oncefold.aws.connect import aws_errors_explained, client
from oncefold.aws.mappings import stream_name
from oncefold.aws.names import Names
from oncefold.aws.operations.logs import FunctionUsage, log_lines, read_lines
from oncefold.core.errors import OncefoldError
from oncefold.queries.protocol import Progress

MILLION = 1_000_000

REFUSED = "DynamoDB writes refused, at most"
"""Writes of transactions whose conditions failed, or that met others: AWS charges them, without saying how much."""

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
class Prices:
    """US dollars; the fields are the settings of a price file."""

    region: str
    date: str
    """When these prices were looked up."""
    lambda_million_requests: float
    lambda_gb_second: float
    """On arm64."""
    dynamodb_million_writes: float
    """A million write request units, on demand."""
    dynamodb_million_reads: float
    kinesis_shard_hour: float
    """A provisioned stream."""
    kinesis_million_puts: float
    """A million PUT payload units: 25 KB of a record, or a part of them."""
    kinesis_stream_hour: float
    """A stream on demand."""
    kinesis_gb_in: float
    kinesis_gb_out: float
    dynamodb_import_gb: float = 0.15


LIST_PRICES = Prices(
    region="us-east-1",
    date="Lambda 2024, DynamoDB 2025-07-21, Kinesis 2023-09-21",
    lambda_million_requests=0.20,
    lambda_gb_second=0.0000133334,
    dynamodb_million_writes=0.625,
    dynamodb_million_reads=0.125,
    kinesis_shard_hour=0.015,
    kinesis_million_puts=0.014,
    kinesis_stream_hour=0.04,
    kinesis_gb_in=0.08,
    kinesis_gb_out=0.04,
)

SOURCES: Mapping[str, str] = {
    "Lambda": "AWS Lambda Pricing Breakdown: Ultimate Guide 2024 (cloudchipr.com); the page is AWS Lambda Pricing",
    "DynamoDB": "Amazon DynamoDB Pricing: On-Demand & Provisioned Plans (airbyte.com), after the cut of 2024-11-01; "
    "the page is Amazon DynamoDB Pricing for On-Demand Capacity",
    "DynamoDB import": "by the GB of uncompressed data (S3DataImport.HowItWorks); the page is Amazon DynamoDB Pricing",
    "DynamoDB Streams": "Evaluate your DynamoDB streams usage (DynamoDB Developer Guide): reads by Lambda are free",
    "Kinesis": "Amazon Kinesis Data Streams On-demand vs. Provisioned Billing Mode Cost Comparison (trek10.com); "
    "the page is Amazon Kinesis Data Streams pricing",
}

LEFT_OUT = (
    "storage and backups of tables, logs, alarms, the failure queue, data transfer, free tiers, volume steps and "
    "discounts; reading the outbox's stream is free for Lambda"
)

_TEXTS = frozenset(["region", "date"])
_NAMES = tuple(field.name for field in fields(Prices))


def read_prices(path: Path) -> Prices:
    """The list prices with those of a TOML file in their place. Raises OncefoldError for what it cannot mean."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OncefoldError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise OncefoldError(f"{path}: not valid TOML: {error}") from None
    if not document.keys() >= _TEXTS:
        raise OncefoldError(
            f'{path}: give the region and date of the prices: region = "eu-west-1", date = "2026-01-31"'
        )
    return replace(LIST_PRICES, **{name: _value(path, name, value) for name, value in document.items()})


def _value(path: Path, name: str, value: Any) -> Any:
    if name not in _NAMES:
        raise OncefoldError(f"{path}: {name} is no price; there are {', '.join(_NAMES)}")
    if name in _TEXTS:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise OncefoldError(f"{path}: {name} is {value!r}; give US dollars, such as 0.25")
    return float(value)


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
class BillItem:
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

    def parts(self) -> list[BillItem]:
        """The bill."""
        return [*self._lambda(), *self._dynamodb(), *self._kinesis()]

    @property
    def refused(self) -> float:
        """Writes in transactions that were refused."""
        return sum(usage.counts.get("refused_writes", 0.0) for usage in self.functions.values())

    @property
    def usd(self) -> float:
        """The sum of the parts."""
        return sum(part.usd for part in self.parts())

    def per_million(self, usd: float) -> float:
        """An amount, for a million events; there must be some."""
        return usd / self.events * MILLION

    def _lambda(self) -> Iterator[BillItem]:
        invocations = sum(usage.invocations for usage in self.functions.values())
        yield BillItem(
            "Lambda requests", invocations, "requests", invocations * self.prices.lambda_million_requests / MILLION
        )
        seconds = sum(usage.gb_seconds for usage in self.functions.values())
        yield BillItem("Lambda duration, arm64", seconds, "GB-seconds", seconds * self.prices.lambda_gb_second)

    def _dynamodb(self) -> Iterator[BillItem]:
        for name, counted, price in (
            ("DynamoDB writes", "write_units", self.prices.dynamodb_million_writes),
            (REFUSED, "refused_units", self.prices.dynamodb_million_writes),
            ("DynamoDB reads", "read_units", self.prices.dynamodb_million_reads),
        ):
            units = sum(usage.counts.get(counted, 0.0) for usage in self.functions.values())
            if units or name != REFUSED:
                yield BillItem(name, units, "request units", units * price / MILLION)

    def _kinesis(self) -> Iterator[BillItem]:
        stream, prices = self.stream, self.prices
        if stream is None:
            return
        if stream.mode == "PROVISIONED":
            hours = stream.shards * self.hours
            yield BillItem("Kinesis shards", hours, "shard hours", hours * prices.kinesis_shard_hour)
            puts = max(stream.records, stream.size / _PUT_BYTES)
            yield BillItem("Kinesis puts", puts, "payload units", puts * prices.kinesis_million_puts / MILLION)
            return
        yield BillItem("Kinesis stream", self.hours, "stream hours", self.hours * prices.kinesis_stream_hour)
        taken = max(stream.records * _ROUNDED_BYTES, stream.size) / _GB
        yield BillItem("Kinesis data in", taken, "GB", taken * prices.kinesis_gb_in)
        given = stream.size / _GB
        yield BillItem("Kinesis data out", given, "GB", given * prices.kinesis_gb_out)


def events_of(functions: Mapping[str, FunctionUsage]) -> float:
    """Deliveries of events to the state function."""
    return functions["state"].counts.get("events", 0.0) if "state" in functions else 0.0


def cost_of(names: Names, start: float, end: float, prices: Prices, progress: Progress) -> Cost:
    """What a stack used in a time, in seconds since 1970, and what that costs."""
    with aws_errors_explained(names.stack):
        usage = read_lines(log_lines(client("logs"), names, start, end), progress)
        functions = usage.functions()
        between = (datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
        name = stream_name(names, client("lambda"))
        stream = measured_stream(client("kinesis"), client("cloudwatch"), name, *between, events_of(functions))
    return Cost(functions, hours_between(start, end), stream, usage.billed, prices)


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
