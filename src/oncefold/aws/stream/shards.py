"""One shard of a Kinesis stream as it is read: its calls, its records as lines, its position, and what to read next."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.aggregated import is_aggregated, user_records
from oncefold.aws.stream import calls
from oncefold.aws.stream.calls import Trouble
from oncefold.commit import SourcePosition
from oncefold.core.errors import InvalidEvent, SourceError
from oncefold.sources.blocks import Block, Finding, Oversize, Pieces, TextBlock

FULL: Final = 10_000
"""Records that one answer holds at most."""


class CallFailed(Exception):  # noqa: N818 - a report on a call, which the reader acts on
    """A call failed in a way that a reader can answer to."""

    def __init__(self, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """A shard of a stream."""

    id: str
    parents: tuple[str, ...] = ()
    """The shards whose records came before its own, for any partition key."""
    closed: bool = False
    """It gets no more records."""


@dataclass(frozen=True, slots=True)
class ShardRecords:
    """Records of a shard, and how to go on."""

    records: Sequence[Mapping[str, Any]]
    iterator: str | None
    """For the next records; None if the shard is closed and these were its last."""
    behind: float
    """Seconds from here to the newest record."""
    children: Sequence[ShardInfo] = ()
    """The shards that follow on a closed one."""

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(len(record["Data"]) for record in self.records)


class StreamCalls:
    """The calls to one stream; several threads may make them. They raise CallFailed, and SourceError beyond that."""

    def __init__(self, client: Any, name: str) -> None:
        """`client` is a boto3 client, or anything that takes the same calls."""
        self._client = client
        self._name = name

    def shards(self) -> list[ShardInfo]:
        """All shards that still hold records, or may get some."""
        found: list[ShardInfo] = []
        request: dict[str, Any] = {"StreamName": self._name}
        while True:
            page = self._call("list_shards", **request)
            found += map(_shard, page["Shards"])
            if not page.get("NextToken"):
                return found
            request = {"NextToken": page["NextToken"]}

    def records(self, shard: str, at: str, iterator: str | None) -> ShardRecords:
        """The records by the iterator, or where there is none after sequence number `at`, or from the oldest on."""
        if iterator is None:
            iterator = self._iterator(shard, at)
        answer = self._call("get_records", ShardIterator=iterator, Limit=FULL)
        children = [
            ShardInfo(child["ShardId"], tuple(child["ParentShards"])) for child in answer.get("ChildShards") or ()
        ]
        behind = (answer.get("MillisBehindLatest") or 0) / 1_000
        return ShardRecords(answer["Records"], answer.get("NextShardIterator"), behind, children)

    def _iterator(self, shard: str, at: str) -> str:
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if at:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": at}
        answer = self._call("get_shard_iterator", StreamName=self._name, ShardId=shard, **start)
        iterator: str = answer["ShardIterator"]
        return iterator

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except (ClientError, BotoCoreError) as error:
            reason = calls.reason(error, self._client)
            kind = calls.trouble(error)
            if kind == "other":
                raise SourceError(f"kinesis://{self._name}: {reason}") from None
            raise CallFailed(kind, reason) from None
        return answer


def _shard(described: Mapping[str, Any]) -> ShardInfo:
    parents = [described.get(name) for name in ("ParentShardId", "AdjacentParentShardId")]
    closed = "EndingSequenceNumber" in described.get("SequenceNumberRange", {})
    return ShardInfo(described["ShardId"], tuple(parent for parent in parents if parent), closed)


def block_of(source: str, records: Sequence[Mapping[str, Any]], position: SourcePosition) -> TextBlock:
    """The lines of records as GetRecords gives them; `source` is their shard.

    Each record ends in a newline, which is added where it lacks one; empty ones are left out. The user records of an
    aggregated record are pieces of their own, numbered from 0 as the Kinesis Client Library does; an aggregated
    record that cannot be read is a blank line here, and refused whole.
    """
    parts: list[bytes] = []
    starts: list[int] = []
    names: list[str] = []
    refused: list[Oversize] = []
    size = taken = 0
    for record in records:
        data: bytes = record["Data"]
        taken += len(data)
        name = f"{source}@{record['SequenceNumber']}"
        try:
            pieces = [
                (f"{name}#{number}" if is_aggregated(data) else name, piece)
                for number, piece in enumerate(user_records(data))
            ]
        except InvalidEvent as error:
            refused.append(Oversize(size, len(data), data, str(error)))
            pieces = [(name, b"\n")]
        for place, piece in pieces:
            if not piece:
                continue
            starts.append(size)
            names.append(place)
            line = piece if piece.endswith(b"\n") else piece + b"\n"
            parts.append(line)
            size += len(line)
    return TextBlock(
        source=source,
        format="json",
        data=memoryview(b"".join(parts)),
        offset=0,
        position=position,
        consumed_bytes=taken,
        oversize=tuple(refused),
        pieces=Pieces(starts, names),
    )


NOTE_SECONDS: Final = 3_600.0
"""The position of an idle shard is committed this often, so that a later run knows that nothing was missed."""


@dataclass(frozen=True, slots=True)
class ShardState:
    """The state of the position of a shard."""

    at: str
    """The sequence number of the last record that was passed on; empty before the first."""
    upto: float
    """Whatever arrived earlier than this was passed on; seconds since 1970."""
    behind: float
    """Seconds from there to the shard's newest record, when this was written."""
    made: float
    """When the stream was made; a new stream of that name has another."""
    done: bool = False
    """The shard is closed, or gone, and nothing of it is left to read."""
    kind: Literal["kinesis"] = "kinesis"

    def position(self, source: str) -> SourcePosition:
        """As the store keeps it."""
        return SourcePosition(source, json.dumps(asdict(self), separators=(",", ":")))

    def says_more_than(self, earlier: "ShardState | None") -> bool:
        """Whether a later run or a reader of the store learns more from this than from `earlier`."""
        if earlier is None or self.done or self.at != earlier.at:
            return True
        return self.upto - earlier.upto > NOTE_SECONDS or (self.behind == 0) != (earlier.behind == 0)


def parse_shard_state(source: str, state: str) -> ShardState:
    """Read back what `position` wrote. Raises SourceError if another version wrote it."""
    try:
        return ShardState(**json.loads(state))
    except (ValueError, TypeError):
        raise SourceError(
            f"{source}: its position in the store cannot be read by this version of oncefold: {state[:200]}; run again "
            "with --reread to read the stream from its oldest record, which never counts an event twice"
        ) from None


CALL_SECONDS: Final = 0.25
"""Between two reads of a shard. It allows five in a second to all who read it; one is left to others."""

BYTES_PER_SECOND: Final = 2 * 2**20
"""What may be read of a shard; a read that gave more is followed by a pause."""

BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 20.0
"""After a failed call: up to this long, twice that after the next, up to the longest."""

ROUGHNESS_SECONDS: Final = 1.0
"""How much the distance to a shard's newest record may be wrong, as an answer gives it."""

MOST_FAILURES: Final = 8
"""Failures in a row after which a run that does not follow gives an unreachable stream up."""


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks at one moment."""

    now: float
    """Seconds on a clock that never goes back."""
    wall: float
    """Seconds since 1970."""


class Shard:
    """Reads one shard on from its state. The reader of the stream makes its requests, each when it is `due`."""

    def __init__(
        self, info: ShardInfo, stream: str, made: float, kept_seconds: float, state: ShardState | None = None
    ) -> None:
        """`stream` is its name with the scheme, `made` and `kept_seconds` say since when and how long it keeps."""
        self.info = info
        self.source = f"{stream}/{info.id}"
        self.due = 0.0
        """When to request next, on the clock that never goes back."""
        self.requested = False
        self.caught_up = False
        """All that had arrived when the run began was passed on."""
        self.iterator: str | None = None
        self._made, self._kept_seconds = made, kept_seconds
        self._noted = state
        self.at = "" if state is None else state.at
        """The sequence number of the last record that was passed on; empty before the first."""
        self.done = state is not None and state.done
        """Nothing of it is left, or will come."""
        self._upto = None if state is None else state.upto
        self._failures = 0

    def close(self) -> None:
        """It gets no more records: others follow on it."""
        self.info = replace(self.info, closed=True)

    def answered(self, answer: ShardRecords, times: Times, began: float) -> Iterator[Block | Finding]:
        """Blocks with the records of an answer that was requested at `times`, in a run that began at `began`."""
        if self._upto is not None and times.wall - self._upto > self._kept_seconds:
            yield self._aged(self._upto, times.wall - self._kept_seconds)
        self._failures = 0
        self.iterator = answer.iterator
        self.done = answer.iterator is None
        self._upto = times.wall - answer.behind
        self.due = times.now + max(CALL_SECONDS, answer.size / BYTES_PER_SECOND)
        # A full answer has more behind it, whatever it says about the time.
        near = answer.behind == 0 or answer.behind + ROUGHNESS_SECONDS < times.now - began
        reached = near and len(answer.records) < FULL
        self.caught_up = self.done or (reached and not self.info.closed)
        if answer.records:
            self.at = answer.records[-1]["SequenceNumber"]
        yield from self._block(answer, self._upto)

    def _block(self, answer: ShardRecords, upto: float) -> Iterator[TextBlock]:
        state = ShardState(self.at, round(upto, 3), answer.behind, self._made, self.done)
        if state.says_more_than(self._noted):
            self._noted = state
            yield block_of(self.source, answer.records, state.position(self.source))

    def _aged(self, upto: float, oldest: float) -> Finding:
        """Report that the stream dropped what it got between these times, if it got anything."""
        return Finding(
            self.source,
            "trimmed",
            f"{self.source} was read up to {_moment(upto)}, and the stream keeps a record for "
            f"{self._kept_seconds / 3_600:,.0f} hours: what arrived between then and {_moment(oldest)} may be lost; "
            f"{_WAY_ON}",
        )

    def gone(self, upto_now: float) -> Iterator[Block | Finding]:
        """The stream has no such shard any more: its rest is lost, if there was any. Reported once."""
        self.done = self.caught_up = True
        self._upto = upto_now if self._upto is None else self._upto
        yield Finding(
            self.source,
            "trimmed",
            f"{self.source} is no longer in the stream, and was not read to its end: what arrived there after "
            f"{_moment(self._upto)}, if anything did, is lost; {_WAY_ON}",
        )
        yield from self._block(ShardRecords((), None, 0.0), self._upto)

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
        if failure.trouble != "busy" and not follow and self._failures >= MOST_FAILURES:
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
            f"{self.source}: the position up to which it was read is not in the stream any more ({failure}): what "
            f"arrived after it may be lost; {_WAY_ON}",
        )


_WAY_ON: Final = (
    "reading goes on with the oldest record that is there. To be sure, send those events again: "
    "what was counted before counts once"
)


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
