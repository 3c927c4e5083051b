"""One invocation of Lambda: the time that its calls have, its client, and its answer about records not finished.

Answers follow "Configuring partial batch response" of Kinesis, DynamoDB streams and SQS: Lambda delivers a stream again
from the first record that is named, a queue's messages each by itself.
"""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import botocore.session
from botocore.config import Config

from oncefold.dynamodb.calls import Backoff

CALLS_AT_ONCE = 4
"""Independent calls under way at a time: a function waits far longer for DynamoDB than it computes."""
RESERVE_SHARE = 0.1
RESERVE_SECONDS = (0.25, 3.0)
"""Time kept for the answer, at least and at most."""
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=8,
    # Calls are repeated by `calls`, which knows the deadline.
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=CALLS_AT_ONCE,
)


def new_client() -> Any:
    """A client of DynamoDB whose calls end in time and are not repeated below `calls`."""
    return botocore.session.get_session().create_client("dynamodb", config=_CONFIG)


def backoff_until_answer(
    context: Any,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> Backoff:
    """Backoff for as long as the invocation has before it must answer; `context` is Lambda's."""
    left = context.get_remaining_time_in_millis() / 1000
    least, most = RESERVE_SECONDS
    return Backoff(clock, sleep, chance, clock() + left - min(max(left * RESERVE_SHARE, least), most))


def failures(unfinished: Iterable[str]) -> dict[str, Any]:
    """The answer that names records to be delivered again, in their order."""
    return {"batchItemFailures": [{"itemIdentifier": name} for name in unfinished]}
