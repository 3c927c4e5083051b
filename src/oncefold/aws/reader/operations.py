"""What can be done to a stack, with the clients, the clock and the chance of this machine."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.aws.reader.cost import Cost, events_of, hours_between, measured_stream
from oncefold.aws.reader.drain import Drain
from oncefold.aws.reader.failures import Failures, FailuresSent
from oncefold.aws.reader.logs import log_lines, read_lines
from oncefold.aws.reader.prices import Prices
from oncefold.aws.reader.redrive import RejectsSent, redrive_rejects
from oncefold.aws.reader.scan import Tell, silent
from oncefold.aws.reader.service import explaining
from oncefold.aws.reader.stack import Stack
from oncefold.aws.stream import calls
from oncefold.aws.stream.records import Record
from oncefold.aws.stream.send import send
from oncefold.core.errors import OncefoldError


@dataclass(frozen=True)
class Operations:
    """Operations on one stack."""

    stack: Stack
    kinesis: Any
    sqs: Any
    drain: Drain
    clock: Callable[[], int]
    """Nanoseconds since 1970."""

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """With the standard clients."""
        return cls(stack, client("kinesis"), client("sqs"), Drain.of(stack), time.time_ns)

    def redrive_rejects(self, tell: Tell) -> RejectsSent:
        """Send the rejects that can be read by now into the stream again."""
        with explaining(self.stack.names.stack):
            return redrive_rejects(self.stack, self._send, tell, self.clock())

    def redrive_failures(self, tell: Tell) -> FailuresSent:
        """Send the batches that failed for good into the stream again, and apply the deltas that did."""
        failures = Failures(
            names=self.stack.names,
            sqs=self.sqs,
            kinesis=self.kinesis,
            send=self._send,
            drain=lambda: self.drain.once(silent).empty,
            sleep=self.drain.sleep,
        )
        with explaining(self.stack.names.stack):
            return failures.redrive(tell)

    def _send(self, records: Iterable[Record]) -> None:
        stream = self.stack.names.stream
        most = calls.describe(self.kinesis, stream).record_bytes
        sent = send(self.kinesis, stream, records, record_bytes=most)
        if sent.refused:
            raise OncefoldError(f"kinesis://{stream}: it takes records of {most:,} bytes, and some have more")


def cost_of(names: Names, start: float, end: float, prices: Prices, tell: Tell) -> Cost:
    """What a stack used in a time, in seconds since 1970, and what that costs."""
    with explaining(names.stack):
        usage = read_lines(log_lines(client("logs"), names, start, end), tell)
        functions = usage.functions()
        between = (datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
        stream = measured_stream(client("kinesis"), client("cloudwatch"), names.stream, *between, events_of(functions))
    return Cost(functions, hours_between(start, end), stream, usage.billed, prices)
