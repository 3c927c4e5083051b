"""How long a mapping waits, and by which clocks."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
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
