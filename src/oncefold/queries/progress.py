"""How far the sources of a store are folded, held against the files as they are now."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from oncefold.store.answers import Position

Kind = Literal["text", "table", "pipe", "stream", "other"]

_KINDS: dict[object, Kind] = {"text": "text", "parquet": "table", "arrow": "table", "pipe": "pipe", "kinesis": "stream"}


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far one source is folded."""

    source: str
    kind: Kind
    commit: int
    """The last commit that moved it on."""
    offset: int | None
    """What comes next: a byte of the (decompressed) text, or a row of the table; None where the source does not say."""
    file_bytes: int | None
    """Size of the file now; None if it is no file, or is not there."""
    read_bytes: int | None
    """How many of its bytes are folded; None where that is not known."""
    state: str
    """The position as the source keeps it."""
    sequence: str | None = None
    """Of a stream's shard: the sequence number of the last record that is folded, empty before the first."""
    lag_seconds: float | None = None
    """Of a stream's shard: from there to its newest record, as it was when the position was noted."""
    closed: bool = False
    """Of a stream's shard: it is closed and read to its end."""

    @property
    def lag_bytes(self) -> int | None:
        """Bytes of the file that are not folded yet; None where that is not known."""
        if self.file_bytes is None or self.read_bytes is None:
            return None
        return max(0, self.file_bytes - self.read_bytes)

    @property
    def shrunk(self) -> bool:
        """Whether the file is shorter now than what was read of it."""
        return self.lag_bytes is not None and (self.file_bytes or 0) < (self.read_bytes or 0)


def progress_of(position: Position) -> SourceProgress:
    """The progress that a position says, with the file's size if it is there."""
    state = _state(position.state)
    kind = _KINDS.get(state.get("kind"), "other")
    is_file = kind in {"text", "table"}
    read = state.get("stored") if kind == "text" or state.get("done") else None
    if kind == "stream":
        return _shard(position, state)
    return SourceProgress(
        source=position.source,
        kind=kind,
        commit=position.commit,
        offset=_whole(state.get("at")) if kind != "other" else None,
        file_bytes=_size(position.source) if is_file else None,
        read_bytes=_whole(read) if is_file else None,
        state=position.state,
    )


def _shard(position: Position, state: dict[str, Any]) -> SourceProgress:
    lag = state.get("behind")
    return SourceProgress(
        source=position.source,
        kind="stream",
        commit=position.commit,
        offset=None,
        file_bytes=None,
        read_bytes=None,
        state=position.state,
        sequence=str(state.get("at", "")),
        lag_seconds=float(lag) if isinstance(lag, int | float) else None,
        closed=state.get("done") is True,
    )


def _state(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _size(source: str) -> int | None:
    try:
        return Path(source).stat().st_size
    except (OSError, ValueError):
        return None
