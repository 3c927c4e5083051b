"""The store as a whole."""

from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.store import moments, rows
from oncefold.store.answers import Position, Status
from oncefold.store.connection import Connection, scalar
from oncefold.store.retention import from_text
from oncefold.store.schema import read_discarded, read_meta


def read_status(connection: Connection, path: Path, pipeline: Pipeline) -> Status:
    """All of it, as of the last commit."""
    meta, head, ends = read_meta(connection), rows.read_head(connection), rows.read_ends(connection)
    root = "SELECT t.count FROM node AS n JOIN total AS t ON t.node = n.id WHERE n.parent IS NULL ORDER BY n.id"
    positions = connection.execute('SELECT source, state, "commit" FROM positions ORDER BY source')
    return Status(
        pipeline=pipeline,
        format=scalar(connection, "PRAGMA user_version"),
        created=int(meta["created"]),
        last=moments.last(connection),
        newest_time=head.newest_time,
        keys=ends.rows,
        live=scalar(connection, root) or 0,
        nodes=ends.nodes,
        counts=rows.read_counts(connection),
        positions=tuple(Position(*row) for row in positions),
        rejects=scalar(connection, "SELECT count(*) FROM rejects"),
        discarded=read_discarded(connection),
        conflicts=scalar(connection, "SELECT count(*) FROM conflicts"),
        retention=from_text(meta["retention"]),
        oldest=moments.oldest(connection),
        file_bytes=sum(_size(path.with_name(path.name + end)) for end in ("", "-wal")),
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
