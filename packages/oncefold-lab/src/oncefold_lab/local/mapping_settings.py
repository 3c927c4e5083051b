"""Settings of an event source mapping.

Names and limits: "Lambda parameters for Amazon Kinesis Data Streams event source mappings", and its like for DynamoDB.
"""

from dataclasses import dataclass
from typing import Final, Literal

from oncefold.core.errors import OncefoldError

FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """An event source mapping as it is deployed."""

    source_arn: str
    """Of a Kinesis stream or of a DynamoDB table's stream."""
    function_arn: str
    batch_size: int = 100
    window_seconds: float = 0.0
    parallelization: int = 1
    """Lanes of a shard."""
    max_retries: int = FOR_EVER
    max_age_seconds: float = FOR_EVER
    bisect: bool = False
    report_failures: bool = False
    starting_position: Literal["TRIM_HORIZON", "LATEST"] = "TRIM_HORIZON"
    filters: tuple[str, ...] = ()
    """Patterns of FilterCriteria, as JSON."""
    failure_queue_url: str | None = None

    def __post_init__(self) -> None:
        """Raises OncefoldError for what Lambda would not take."""
        if not 1 <= self.batch_size <= 10_000 or not 1 <= self.parallelization <= 10:
            raise OncefoldError(
                f"mapping of {self.source_arn}: a batch has 1 to 10,000 records and a shard 1 to 10 lanes, "
                f"not {self.batch_size} and {self.parallelization}"
            )
