"""`status` of a store: how far its sources are folded, compared with the files now, and the store as a whole."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncefold.core.fold import Outcome
from oncefold.queries.converters import as_of_commit, commit_of, to_datetime
from oncefold.queries.model import Shape
from oncefold.queries.status_model import SourceKind, SourceProgress, StoreStatus

if TYPE_CHECKING:
    from oncefold.store import answers as stored
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


def store_status(path: Path, status: stored.StoredStatus, sources: tuple[SourceProgress, ...], now: int) -> StoreStatus:
    """A store as a whole, at a time in nanoseconds since the epoch."""
    newest, retention = status.newest_time, status.retention
    return StoreStatus(
        as_of=as_of_commit(commit_of(status.last.seq, status.last.at), newest),
        shape=Shape.of(status.pipeline),
        rows=sources,
        fingerprint=status.pipeline.fingerprint,
        path=str(path),
        format=status.format,
        created=to_datetime(status.created),
        keys=status.keys,
        live=status.live,
        nodes=status.nodes,
        counts={outcome.name.lower(): status.counts.get(outcome, 0) for outcome in Outcome},
        rejects=status.rejects,
        discarded=status.discarded,
        conflicts=status.conflicts,
        queried=to_datetime(now),
        behind=None if newest is None else timedelta(microseconds=(now - newest) // 1_000),
        oldest=commit_of(status.oldest.seq, status.oldest.at),
        retention=None if isinstance(retention, str) else retention,
        file_bytes=status.file_bytes,
    )
