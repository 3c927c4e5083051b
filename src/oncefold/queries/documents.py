"""Answers as JSON documents, the same on the command line and over HTTP; sums are `Decimal`, see `forms`."""

from typing import Any

from oncefold.queries.answers import Amounts, Commit, Totals, Verification, WrongNode
from oncefold.queries.events import Conflicts, Explanation, History, Rejects
from oncefold.queries.forms import plain_rows
from oncefold.queries.overview import Overview
from oncefold.queries.progress import SourceProgress


def of_commit(commit: Commit) -> dict[str, Any]:
    """Which commit an answer is of."""
    return {"commit": commit.number, "commit_time": commit.time_text}


def totals(found: Totals) -> dict[str, Any]:
    """The totals of a node and of what lies below it."""
    return {
        **of_commit(found.commit),
        "newest_event": found.newest_event_text,
        "rollup": found.rollup,
        "rows": list(plain_rows(found, "commit", "rollup")),
    }


def explanation(found: Explanation) -> dict[str, Any]:
    """The keys behind a total."""
    return {
        **of_commit(found.commit),
        "rollup": found.rollup,
        "path": found.path,
        "count": found.count,
        "sums": dict(found.sums),
        "complete": found.complete,
        "adds_up": found.adds_up if found.complete else None,
        "rows": list(plain_rows(found, "commit")),
    }


def history(found: History) -> dict[str, Any]:
    """What arrived for a key."""
    return {
        **of_commit(found.commit),
        "key": found.key,
        "stands": {
            "deleted": found.stands.deleted,
            "version": found.stands.version_text or None,
            "leaf": found.stands.leaf,
            "values": dict(found.stands.values),
        },
        "forgotten_to": None if found.forgotten_to is None else found.forgotten_to.number,
        "rows": list(plain_rows(found, "key")),
    }


def listed(found: Rejects | Conflicts) -> dict[str, Any]:
    """The reject list, or the conflicts."""
    return {**of_commit(found.commit), "total": found.total, "rows": list(plain_rows(found))}


def status(found: Overview) -> dict[str, Any]:
    """A store as a whole."""
    return {
        **of_commit(found.commit),
        "store": found.path,
        "pipeline": found.pipeline,
        "fingerprint": found.fingerprint,
        "format": found.format,
        "created": found.created.isoformat(),
        "file_bytes": found.file_bytes,
        "newest_event": found.newest_event_text,
        "behind_seconds": None if found.behind is None else found.behind.total_seconds(),
        "keys": found.keys,
        "live": found.live,
        "nodes": found.nodes,
        "events": found.events,
        "counts": dict(found.counts),
        "rejects": found.rejects,
        "discarded": found.discarded,
        "conflicts": found.conflicts,
        "retention_seconds": None if found.retention is None else found.retention.total_seconds(),
        "oldest_commit": found.oldest.number,
        "sources": [{**cells, **_shard(row)} for cells, row in zip(found.to_dicts(), found, strict=True)],
    }


def _shard(row: SourceProgress) -> dict[str, Any]:
    """What only a stream's shard has."""
    if row.sequence is None:
        return {}
    return {"sequence": row.sequence, "lag_seconds": row.lag_seconds, "closed": row.closed}


def verification(found: Verification) -> dict[str, Any]:
    """Whether every total is right."""
    return {
        **of_commit(found.commit),
        "exact": found.exact,
        "nodes": found.nodes,
        "keys": found.keys,
        "wrong": [_wrong(row) for row in found],
    }


def _wrong(row: WrongNode) -> dict[str, Any]:
    return {
        "rollup": row.rollup,
        "path": row.path,
        "fault": row.fault or None,
        "stored": None if row.stored is None else amounts(row.stored),
        "recomputed": amounts(row.recomputed),
    }


def amounts(found: Amounts) -> dict[str, Any]:
    """Count and sums."""
    return {"count": found.count, "sums": dict(found.sums)}
