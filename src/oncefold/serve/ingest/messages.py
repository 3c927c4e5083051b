"""What the ingest thread is told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oncefold.engine.run import Decoded
from oncefold.engine.session import Session
from oncefold.serve.ingest.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Part:
    """Decoded events of a delivery, or of the sources read beside the server."""

    origin: object
    """The Delivery, or the Beside."""
    decoded: Decoded
    done: Callable[[], object]
    """To be called when it is folded, or is not going to be."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more of a delivery comes."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Call:
    """Something to do with the session, alone: everything folded before is committed first."""

    work: Callable[[Session], Any]
    done: Callable[[Any, BaseException | None], object]
    """Called with what came of it, in the ingest thread."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Something may be due."""


@dataclass(frozen=True, slots=True)
class Full:
    """So much has arrived that it is folded now."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Commit everything and end."""


Message = Part | End | Call | Wake | Full | Stop
WAKE = Wake()
FULL = Full()
