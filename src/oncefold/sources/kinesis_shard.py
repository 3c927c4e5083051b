"""One shard of a stream as it is read: what to ask next and when, and what an answer means. Makes no calls itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding, TextBlock
from oncefold.sources.kinesis_calls import FULL, Answer, CallFailed, ShardInfo
from oncefold.sources.kinesis_position import ShardState
from oncefold.sources.kinesis_records import block_of

CALL_SECONDS: Final = 0.25
"""Between two reads of a shard. It allows five in a second to all who read it; one is left to others."""

BYTES_PER_SECOND: Final = 2 * 2**20
"""What may be read of a shard; a read that gave more is followed by a pause."""

BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 20.0
"""After a failed call: up to this long, twice that after the next, up to the longest."""

ROUGHNESS_SECONDS: Final = 1.0
"""How much the distance to a shard's newest record may be wrong, as an answer tells it."""

PATIENCE: Final = 8
"""Failures in a row after which a run that does not follow gives an unreachable stream up."""


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks at one moment."""

    now: float
    """Seconds on a clock that never goes back."""
    wall: float
    """Seconds since 1970."""


class Shard:
    """Reads one shard on from its state. The reader of the stream asks when it is `due`, and hands in what came."""

    def __init__(
        self, info: ShardInfo, stream: str, made: float, kept_seconds: float, state: ShardState | None = None
    ) -> None:
        """`stream` is its name with the scheme, `made` and `kept_seconds` say since when and how long it keeps."""
        self.info = info
        self.source = f"{stream}/{info.id}"
        self.due = 0.0
        """When to ask next, on the clock that never goes back."""
        self.asking = False
        self.caught_up = False
        """All that had arrived when the run began was handed on."""
        self.iterator: str | None = None
        self._made, self._kept_seconds = made, kept_seconds
        self._noted = state
        self.at = "" if state is None else state.at
        """The sequence number of the last record that was handed on; empty before the first."""
        self.done = state is not None and state.done
        """Nothing of it is left, or will come."""
        self._upto = None if state is None else state.upto
        self._failures = 0

    def close(self) -> None:
        """It gets no more records: others follow on it."""
        self.info = replace(self.info, closed=True)

    def answered(self, answer: Answer, asked: Times, began: float) -> Iterator[Block | Finding]:
        """Blocks with the records of an answer that was asked for at `asked`, in a run that began at `began`."""
        if self._upto is not None and asked.wall - self._upto > self._kept_seconds:
            yield self._aged(self._upto, asked.wall - self._kept_seconds)
        self._failures = 0
        self.iterator = answer.iterator
        self.done = answer.iterator is None
        self._upto = asked.wall - answer.behind
        self.due = asked.now + max(CALL_SECONDS, answer.size / BYTES_PER_SECOND)
        # A full answer has more behind it, whatever it says about the time.
        near = answer.behind == 0 or answer.behind + ROUGHNESS_SECONDS < asked.now - began
        reached = near and len(answer.records) < FULL
        self.caught_up = self.done or (reached and not self.info.closed)
        if answer.records:
            self.at = answer.records[-1]["SequenceNumber"]
        yield from self._block(answer, self._upto)

    def _block(self, answer: Answer, upto: float) -> Iterator[TextBlock]:
        state = ShardState(self.at, round(upto, 3), answer.behind, self._made, self.done)
        if state.is_worth_noting(self._noted):
            self._noted = state
            yield block_of(self.source, answer.records, state.position(self.source))

    def _aged(self, upto: float, oldest: float) -> Finding:
        """Tell that the stream let go of what it got between these times; that there was something, nobody knows."""
        return Finding(
            self.source,
            "trimmed",
            f"{self.source} was read up to {_moment(upto)}, and the stream keeps a record for "
            f"{self._kept_seconds / 3_600:,.0f} hours: what arrived between then and {_moment(oldest)} may be lost; "
            f"{_WAY_ON}",
        )

    def gone(self, upto_now: float) -> Iterator[Block | Finding]:
        """The stream has no such shard any more: its rest is lost, if there was any. Told once."""
        self.done = self.caught_up = True
        self._upto = upto_now if self._upto is None else self._upto
        yield Finding(
            self.source,
            "trimmed",
            f"{self.source} is no longer in the stream, and was not read to its end: what arrived there after "
            f"{_moment(self._upto)}, if anything did, is lost; {_WAY_ON}",
        )
        yield from self._block(Answer((), None, 0.0), self._upto)

    def failed(self, failure: CallFailed, now: float, chance: float, *, follow: bool) -> Iterator[Finding]:
        """Arrange for another try; `chance` is between 0 and 1. Raises SourceError if there is no point in one."""
        self.due = now + CALL_SECONDS
        if failure.trouble == "expired":
            self.iterator = None
            return
        if failure.trouble == "argument":
            yield from self._refused(failure)
            return
        self._failures += 1
        if failure.trouble != "busy" and not follow and self._failures >= PATIENCE:
            raise SourceError(
                f"{self.source}: {failure}; what was read is counted, and the same command goes on from there"
            )
        longest = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** min(self._failures, 16))
        self.due = now + max(CALL_SECONDS, chance * longest)

    def _refused(self, failure: CallFailed) -> Iterator[Finding]:
        """AWS does not take the iterator or the sequence number: renew the one, or go on without the other."""
        if self.iterator is not None:
            self.iterator = None
            return
        if not self.at:
            raise SourceError(f"{self.source}: {failure}")
        self.at, self._upto = "", None
        yield Finding(
            self.source,
            "trimmed",
            f"{self.source}: the place up to which it was read is not in the stream any more ({failure}): what arrived "
            f"after it may be lost; {_WAY_ON}",
        )


_WAY_ON: Final = (
    "reading goes on with the oldest record that is there. To be sure, send those events again: "
    "what was counted before counts once"
)


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
