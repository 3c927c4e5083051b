"""What `oncefold serve` was told: frozen values, checked when they are made."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from oncefold.core.limits import RECORD_BYTES
from oncefold.serve.operations.access import Access
from oncefold.store.retention import Retention

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8321

INFLIGHT_BYTES: Final = 64 * 2**20
"""Bytes of events that are held in memory between their arrival and their fold, over all requests."""

WAITING_REQUESTS: Final = 4_096
"""Requests that wait for their commit, or are being read, before new ones are sent away for a moment."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a server is told at its start."""

    pipeline: Path
    """The pipeline file."""
    store: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    """0 takes a free one."""
    access: Access = field(default_factory=Access)
    """Tokens, host names and origins; made by `operations.access_on`, which refuses what would be open to others."""
    max_body: int | None = None
    """Bytes of a request's body as sent (compressed, if it is); None is no limit."""
    max_line: int = RECORD_BYTES
    """Bytes of one record; a longer one is rejected."""
    max_waiting: int = WAITING_REQUESTS
    max_inflight_bytes: int = INFLIGHT_BYTES
    body_idle_seconds: float = 30.0
    """A body of which nothing arrives for so long is given up."""
    min_body_bytes_per_second: int = 100
    """A body that arrives slower than this is given up, after so long; time in which the server held it back is not
    counted."""
    grace_seconds: float = 30.0
    """After a signal to end, what is being ingested may take so long to arrive."""
    retention: Retention | None = None
    """How long history reaches back; None leaves the store's own."""
    sources: tuple[str, ...] = ()
    """Read beside the server: files, directories, globs, `kinesis://STREAM`."""
    follow: bool = False
    """Go on reading sources as they grow."""
    format: str | None = None
    """Of sources whose names do not say it."""
    delimiter: str | None = None
    """Of CSV in sources."""
    reread: bool = False
    """Read every source from its start."""
    log: Literal["text", "json"] = "text"
    max_connections: int = 4_096
    """Connections at a time, idle ones included; more are closed at once."""
    head_seconds: float = 15.0
    """A request whose headers take longer to arrive is given up."""
