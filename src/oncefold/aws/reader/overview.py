"""The answer to `status`: a stack as a whole. What could not be learned is None, and `unknown` says why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from oncefold.aws.reader.answers import Outbox, Reading


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of something."""

    number: int
    exact: bool = True
    """Whether they were counted; DynamoDB's own figure is up to six hours old."""
    complete: bool = True
    """Whether these are all; counting may have been stopped."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """The Kinesis stream."""

    name: str
    status: str
    mode: str
    """`PROVISIONED` or `ON_DEMAND`."""
    open_shards: int
    closed_shards: int
    """Shards that were split or merged; what is in them is read first."""
    retention: timedelta


@dataclass(frozen=True, slots=True)
class MappingState:
    """What feeds a stream to a function."""

    state: str
    """Such as `Enabled`."""
    result: str
    """What Lambda says of the last batch, such as `OK`."""


@dataclass(frozen=True, slots=True)
class FunctionState:
    """A function, what feeds it, and how it fared lately."""

    name: str
    mappings: tuple[MappingState, ...] | None
    age: timedelta | None
    """The greatest age of a record when it was read, lately; None if there were none."""
    errors: int | None
    """Failed invocations lately."""


@dataclass(frozen=True)
class StackOverview:
    """A stack as a whole."""

    read: Reading
    region: str
    pipeline: str
    """The pipeline's name."""
    fingerprint: str
    """Of the definition that the stack was deployed with."""
    accepted: int
    """How many definitions the functions may run with; several after the definition was widened."""
    stream: StreamState | None
    functions: tuple[FunctionState, ...]
    lately: timedelta
    """What "lately" is in the states of functions."""
    keys: Count
    """Keys ever met, deleted ones too."""
    live: Count | None
    """Keys that count; None if they were not counted."""
    nodes: Count
    outbox: Outbox
    rejects: Count
    conflicts: Count
    failures: int | None
    """Messages in the failure queue, as SQS approximates them."""
    unknown: Mapping[str, str]
    """What could not be asked, and why."""
