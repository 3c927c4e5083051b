"""What the two processes say to each other. Requests go by numbers, in the order in which the server took them.

A commit is notified before the acknowledgements of the requests that it holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Outcome
from oncefold.engine.session import Ingested
from oncefold.serve.settings import Settings
from oncefold.sources.compression import Compression
from oncefold.sources.inputs import ReadOptions

BodyKind = Literal["lines", "document", "csv", "arrow"]
DEFAULT_SOURCE: Final = "http"

SMALL_BYTES: Final = 64 * 2**10
"""A body up to this size is sent as a whole."""
STREAM_WINDOW_BYTES: Final = 2**20
"""Bytes of a larger body that are sent and not consumed, for each of its shares, at most but for one piece."""


@dataclass(frozen=True, slots=True)
class BodyFormat:
    """How to read a body."""

    kind: BodyKind = "lines"
    compression: Compression | None = None
    delimiter: str | None = None
    """CSV only; None is the one that gives the header the most fields."""
    source: str = DEFAULT_SOURCE
    """What rejects name as their source."""


@dataclass(frozen=True, slots=True)
class AttachedSources:
    """Sources to be read beside the server."""

    arguments: tuple[str, ...]
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that is durable."""

    commit: int
    at: int
    """Nanoseconds since the epoch."""
    counts: Mapping[Outcome, int]
    """Its events by outcome, rejects included; absent is 0."""
    rows: int
    """Its records, rejects left out."""
    seconds: float
    """How long the store took."""
    newest_time: int | None
    """Greatest event time in it, nanoseconds since the epoch."""


CommitListener = Callable[[Committed], None]
"""Called after each durable commit, in a thread of the writer or, in the server, in the event loop; must return at once
and raise nothing."""

# to the writer


class Start(NamedTuple):
    """The first message: open the store."""

    settings: Settings
    pipeline: Pipeline
    sources: AttachedSources | None
    parent: int
    """Process id of the server."""


class SmallBodies(NamedTuple):
    """Requests whose bodies are here as a whole."""

    requests: Sequence[tuple[int, BodyFormat, bytes]]
    """Plain tuples: very many are pickled."""


class StreamStart(NamedTuple):
    """A request whose body comes piece by piece."""

    number: int
    format: BodyFormat
    shares: int = 1
    """How many times the least memory it may take: its window and its blocks are so much larger."""


class StreamPiece(NamedTuple):
    """The next bytes of such a body."""

    number: int
    data: bytes | memoryview
    """A view is of shared memory: the bytes are there until they are reported as consumed, or all is acknowledged."""


class StreamEnd(NamedTuple):
    """All of it was sent, or it breaks off."""

    number: int
    whole: bool


class Redrive(NamedTuple):
    """Read every reject again."""

    number: int


class Discard(NamedTuple):
    """Take these rejects off the list."""

    number: int
    ids: Sequence[int]


class Redefine(NamedTuple):
    """Replace the definition, or say what that would change; once it is replaced, `Stop` has to follow."""

    number: int
    pipeline: Pipeline
    dry_run: bool


class Stop(NamedTuple):
    """Commit all that was handed over, and end."""


# to the server


class Opened(NamedTuple):
    """The store is open; or it is not, and this was the last message."""

    error: OncefoldError | None = None


class WriterAvailability(NamedTuple):
    """Whether events can be committed; if not, why."""

    reason: str = ""


class SourcesStarted(NamedTuple):
    """The attached sources are read, or read again."""


class SourceEnded(NamedTuple):
    """An attached source is not read on."""

    source: str
    """Empty for all of them, which are read to their ends."""
    reason: str = ""
    """Why; empty if it was read to its end."""


class Full(NamedTuple):
    """The store has as much as it may have, for this reason; empty if it has room again."""

    reason: str


class Terminated(NamedTuple):
    """Somebody sent the writer SIGTERM: the server is to end."""


class ShownReject(NamedTuple):
    """A rejected event as a response lists it."""

    position: int
    reason: str
    raw: str
    """Its beginning."""


class BodyError(NamedTuple):
    """Why a body could not be read to its end."""

    kind: Literal["malformed", "no_room", "full", "mistake"]
    """The body is wrong; one of its records was too long to be held beside others; the store may not grow; or the
    server's code is wrong."""
    detail: str = ""
    """For a mistake its trace."""


class Acknowledgement(NamedTuple):
    """What became of a request: it is durable, or not wholly, or not at all. Equal ones are sent once."""

    counts: tuple[tuple[int, int], ...] = ()
    """Outcome and events, rejects included."""
    commit: int = 0
    """Number of the commit that holds its last event."""
    committed_events: int = 0
    rejects: tuple[ShownReject, ...] = ()
    """The first of them."""
    rejects_left_out: int = 0
    error: BodyError | None = None
    failure: str = ""
    """Why it could not be committed."""
    notes: tuple[str, ...] = ()
    """What else its client should know, such as columns that are not there."""


class Acknowledged(NamedTuple):
    """What became of some requests."""

    groups: Sequence[tuple[Acknowledgement, Sequence[int]]]


class StreamConsumed(NamedTuple):
    """So many bytes of a body that comes piece by piece were consumed."""

    number: int
    size: int


class Done(NamedTuple):
    """What was to be done under this number is done, or failed."""

    number: int
    result: Ingested | int | dict[str, Any] | None
    error: OncefoldError | None


class Stopped(NamedTuple):
    """All is committed, or could not be, for this reason; this was the last message."""

    failure: str
