"""What AWS charges: a table with its dates, for one region; a file can say other prices.

List prices without free tiers, volume steps, savings plans and taxes. They were read in copies of the pages named, and
not at AWS, on the days named; whoever needs certainty gives the prices of his own bill.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from oncefold.core.errors import OncefoldError

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars; the fields are the settings of a price file."""

    region: str
    date: str
    """When these prices were looked up, in words."""
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
        raise OncefoldError(f'{path}: say of where and when the prices are: region = "eu-west-1", date = "2026-01-31"')
    return replace(LIST_PRICES, **{name: _value(path, name, value) for name, value in document.items()})


def _value(path: Path, name: str, value: Any) -> Any:
    if name not in _NAMES:
        raise OncefoldError(f"{path}: {name} is no price; there are {', '.join(_NAMES)}")
    if name in _TEXTS:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise OncefoldError(f"{path}: {name} is {value!r}; give US dollars, such as 0.25")
    return float(value)
