"""What the two processes say to each other. Deliveries go by numbers; sockets beside the messages, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.engine.session import Ingested
from oncefold.serve.ingest.beside import Named
from oncefold.serve.ingest.committed import Committed
from oncefold.serve.ingest.delivery import Result
from oncefold.serve.ingest.forms import Form
from oncefold.serve.settings import Settings

# from the server


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message: open the store."""

    settings: Settings
    pipeline: Pipeline
    named: Named | None
    parent: int
    """Process id of the server."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies that are here as a whole."""

    items: Sequence[tuple[int, Form, bytes]]


@dataclass(frozen=True, slots=True)
class StreamBegins:
    """A body comes little by little, on the next of the sockets."""

    number: int
    form: Form
    beginning: bytes
    length: int | None


@dataclass(frozen=True, slots=True)
class StreamEnds:
    """All of it was fed, or it breaks off."""

    number: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Redrive:
    """Read every reject again."""

    number: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Take these rejects off the list."""

    number: int
    ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Stop:
    """Commit all that was handed over, and end."""


# from the folding process


@dataclass(frozen=True, slots=True)
class Opened:
    """The store is open; or it is not, and this was the last message."""

    error: OncefoldError | None = None


@dataclass(frozen=True, slots=True)
class Well:
    """Whether events can be committed; if not, why."""

    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Terminated:
    """Somebody sent it SIGTERM: the server is to end."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Deliveries are settled."""

    results: Sequence[tuple[int, Result]]


@dataclass(frozen=True, slots=True)
class Done:
    """What was asked for under this number is done, or failed."""

    number: int
    found: Ingested | int | None
    error: OncefoldError | None


@dataclass(frozen=True, slots=True)
class Ended:
    """All is committed, or could not be, for this reason; this was the last message."""

    failure: str


ToFold = Begin | Bodies | StreamBegins | StreamEnds | Redrive | Discard | Stop
ToServer = Opened | Well | Terminated | Committed | Settled | Done | Ended
