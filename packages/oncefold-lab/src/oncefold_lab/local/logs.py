"""What functions print, put into CloudWatch Logs, so that it is found where Lambda would put it."""

import queue
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.core.errors import OncefoldError
from oncefold_lab.local.environment import InvocationResult

PUT_EVENTS: Final = 10_000
PUT_BYTES: Final = 2**20
EVENT_BYTES: Final = 26
"""What CloudWatch Logs takes in one call, at most, and counts for an event beside its text."""
LINE_BYTES: Final = 256 * 1_024 - EVENT_BYTES
"""The longest line that fits everywhere; what is longer is cut."""


@dataclass(frozen=True, slots=True)
class _LogLines:
    group: str
    invocation: InvocationResult


class LogShipper:
    """Puts lines from any thread, several invocations in one call, in a thread of its own."""

    def __init__(self, client: Any) -> None:
        """`client` is a boto3 client of `logs`."""
        self._client = client
        self._waiting: queue.SimpleQueue[_LogLines | threading.Event | None] = queue.SimpleQueue()
        self._known: set[tuple[str, str]] = set()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="log lines", daemon=True)
        self._thread.start()

    def add(self, function: str, invocation: InvocationResult) -> None:
        """Have an invocation's lines put into the log group of the function."""
        if invocation.log:
            self._waiting.put(_LogLines(f"/aws/lambda/{function}", invocation))

    def flush(self) -> None:
        """Wait until all lines so far are put. Raises OncefoldError if some could not be."""
        done = threading.Event()
        self._waiting.put(done)
        while not done.wait(1.0):
            if not self._thread.is_alive():
                break
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise OncefoldError(f"lines of the functions' logs are lost: CloudWatch Logs: {trouble}") from trouble

    def close(self) -> None:
        """Put what is left, and end."""
        try:
            self.flush()
        finally:
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            streams: dict[tuple[str, str], list[InvocationResult]] = defaultdict(list)
            flushed: list[threading.Event] = []
            for item in self._items():
                if item is None:
                    ending = True
                elif isinstance(item, threading.Event):
                    flushed.append(item)
                else:
                    streams[item.group, item.invocation.stream].append(item.invocation)
            for (group, stream), invocations in streams.items():
                try:
                    self._put(group, stream, invocations)
                except (BotoCoreError, ClientError) as error:
                    self._trouble = error
            for event in flushed:
                event.set()

    def _items(self) -> Iterator[_LogLines | threading.Event | None]:
        """What waits, at least one."""
        yield self._waiting.get()
        with suppress(queue.Empty):
            while True:
                yield self._waiting.get_nowait()

    def _put(self, group: str, stream: str, invocations: list[InvocationResult]) -> None:
        self._make(group, stream)
        invocations.sort(key=lambda invocation: invocation.ended)
        events: list[dict[str, Any]] = []
        room = PUT_BYTES
        for invocation in invocations:
            for line in invocation.log:
                text = line.encode()[:LINE_BYTES].decode(errors="ignore")
                size = len(text.encode()) + EVENT_BYTES
                if len(events) == PUT_EVENTS or size > room:
                    self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
                    events, room = [], PUT_BYTES
                events.append({"timestamp": int(invocation.ended * 1_000), "message": text})
                room -= size
        self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def _make(self, group: str, stream: str) -> None:
        if (group, stream) in self._known:
            return
        exists = self._client.exceptions.ResourceAlreadyExistsException
        with suppress(exists):
            self._client.create_log_group(logGroupName=group)
        with suppress(exists):
            self._client.create_log_stream(logGroupName=group, logStreamName=stream)
        self._known.add((group, stream))
