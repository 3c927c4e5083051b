"""One invocation of Lambda: the time that its calls have, its client, and its answer about records not finished.

Answers follow "Configuring partial batch response" of Kinesis, DynamoDB streams and SQS: Lambda delivers a stream again
from the first record that is named, a queue's messages each by itself.
"""

import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

import botocore.session
from botocore.config import Config

from oncefold.dynamodb.calls import Backoff, OutOfTime

CALLS_AT_ONCE = 4
"""Independent calls under way at a time: a function waits far longer for DynamoDB than it computes."""
RESERVE_SHARE = 0.1
RESERVE_SECONDS = (0.25, 3.0)
"""Time kept for the answer, at least and at most."""
CALLERS = 4 * CALLS_AT_ONCE
"""Threads that make calls: those of calls that nobody waits for any more have to end by themselves."""
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=8,
    # Calls are repeated by `calls`, which knows the deadline.
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=CALLS_AT_ONCE,
)


def new_client(service: str = "dynamodb") -> Any:
    """A client of a service whose calls end in time and are not repeated below `calls`."""
    return botocore.session.get_session().create_client(service, config=_CONFIG)


class TimedClient:
    """A client whose calls nobody waits for beyond a deadline: then OutOfTime is raised.

    Timeouts of sockets alone do not see to that: names may be slow to resolve, a service has several addresses, and
    an answer may come byte by byte. A call that is left may still take effect, as one whose answer is lost does.
    """

    def __init__(self, client: Any, callers: ThreadPoolExecutor, backoff: Backoff) -> None:
        self._client = client
        self._callers = callers
        self._backoff = backoff

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self._client, operation)

        def timed(**request: Any) -> Any:
            self._backoff.check()
            future = self._callers.submit(call, **request)
            try:
                return future.result(self._backoff.left)
            except NotInTime:
                if future.cancel() or not future.done():
                    raise OutOfTime from None
                return future.result()

        return timed


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
