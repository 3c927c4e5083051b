"""The settings of a server: frozen values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from oncefold.core.limits import RECORD_BYTES
from oncefold.serve.security.access import Access
from oncefold.store.retention import Retention

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8321

INFLIGHT_BYTES: Final = 128 * 2**20
"""Bytes of events that are held in memory between their arrival and their fold, over all requests."""

WAITING_REQUESTS: Final = 4_096
"""Requests that wait for their commit, or are being read, before new ones are refused for a moment."""

STREAM_BYTES: Final = 4 * 2**20
"""What a body that comes piece by piece takes: on its way, as a block being cut, and its part of what is decoded."""

MOST_SHARES: Final = 4
"""A body may take so many times as much while there is room: greater blocks cost less for each event."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a server is given at its start."""

    pipeline: Path
    """The pipeline file."""
    store: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    """0 takes a free one."""
    access: Access = field(default_factory=Access)
    """Tokens, host names and origins; made by `access_on`, which refuses what would be open to others."""
    max_body: int | None = None
    """Bytes of a request's body as sent (compressed, if it is); None is no limit."""
    max_line: int = RECORD_BYTES
    """Bytes of one record; a longer one is rejected."""
    max_keys: int | None = None
    """Keys of the store from which on no events are taken; None is no limit."""
    max_nodes: int | None = None
    """Nodes of all rollups from which on no events are taken; None is no limit."""
    max_store_bytes: int | None = None
    """Bytes of the store with its write-ahead log from which on no events are taken; None is no limit."""
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
    """Attached sources: files, directories, globs, `kinesis://STREAM`."""
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
    """Connections at a time, idle ones included; more wait until one ends."""
    head_seconds: float = 15.0
    """A connection whose next request's headers take longer to arrive is closed."""

    @property
    def limits(self) -> "Limits":
        """The limits of ingest."""
        return Limits(
            max_waiting=self.max_waiting,
            max_inflight_bytes=self.max_inflight_bytes,
            max_body=self.max_body,
            max_line=self.max_line,
            body_idle_seconds=self.body_idle_seconds,
            min_body_bytes_per_second=self.min_body_bytes_per_second,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How much ingest takes at a time, and how slow a body may be; see `Settings`."""

    max_waiting: int = WAITING_REQUESTS
    max_inflight_bytes: int = INFLIGHT_BYTES
    max_body: int | None = None
    max_line: int = RECORD_BYTES
    body_idle_seconds: float = 30.0
    min_body_bytes_per_second: int = 100
