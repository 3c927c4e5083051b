"""How far the sources of a store are folded, held against the files as they are now."""

import json
from pathlib import Path
from typing import Any

from oncefold.queries.status_model import SourceKind, SourceProgress
from oncefold.store.answers import Position

_KINDS: dict[object, SourceKind] = {
    "text": "text",
    "parquet": "table",
    "arrow": "table",
    "pipe": "pipe",
    "kinesis": "stream",
}


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
