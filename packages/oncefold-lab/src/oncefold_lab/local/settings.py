"""Settings of event source mappings: what AWS lets one set, how long a mapping waits, and what a test may disturb.

Names and limits: "Lambda parameters for Amazon Kinesis Data Streams event source mappings", and its like for DynamoDB.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

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
    failure_bucket: str | None = None
    """Instead of a queue: a bucket for what is given up, with the records themselves."""
    id: str = "00000000-0000-0000-0000-000000000000"
    tumbling_seconds: int = 0
    """Length of the mapping's tumbling windows; 0 for none. With one an event says its shard, and an answer a state."""

    def __post_init__(self) -> None:
        """Raises OncefoldError for what Lambda would not take."""
        if not 1 <= self.batch_size <= 10_000 or not 1 <= self.parallelization <= 10:
            raise OncefoldError(
                f"mapping of {self.source_arn}: a batch has 1 to 10,000 records and a shard 1 to 10 lanes, "
                f"not {self.batch_size} and {self.parallelization}"
            )


@dataclass(frozen=True, slots=True)
class PollTiming:
    """Waits in seconds. Lambda polls a Kinesis shard once a second and a DynamoDB shard four times."""

    poll: float = 0.2
    """Between two calls for the records of a shard that has no new ones."""
    listing: float = 1.0
    """Between two calls for the list of shards."""
    first_retry: float = 0.1
    """Before a failed batch is delivered again; doubled with each failure in a row."""
    longest_retry: float = 10.0
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    """Seconds since 1970."""

    def retry(self, failures: int) -> float:
        """The wait after so many failures in a row; none after none."""
        if not failures:
            return 0.0
        return float(min(self.first_retry * 2 ** min(failures - 1, 32), self.longest_retry))


class Disturbance(Protocol):
    """Decides about deliveries; called from one thread."""

    def retry_size(self, failed: int, most: int) -> int:
        """How many records the retry of a failed batch has, from 1 to `most`; `failed` is as Lambda does it."""
        ...

    def repeat_after(self) -> int | None:
        """After how many later batches of its shard a finished one is delivered again, beside them; None: never."""
        ...


class Undisturbed:
    """Lambda on its best behaviour."""

    def retry_size(self, failed: int, most: int) -> int:  # noqa: ARG002 - see Disturbance
        """See Disturbance."""
        return failed

    def repeat_after(self) -> int | None:
        """See Disturbance."""
        return None
