"""Opening a store to write: make it or recognise it, and hold the pipeline against the definition it keeps."""

from pathlib import Path

from oncefold.core.definition import Pipeline, changes_of_meaning
from oncefold.core.definition_toml import to_toml
from oncefold.core.errors import DefinitionError, StoreError
from oncefold.store.connection import BUSY_MS, CACHE_KIB, Connection, scalar, transaction
from oncefold.store.retention import Retention, from_text, to_text
from oncefold.store.schema import (
    PAGE_SIZE,
    create,
    is_fresh,
    mark_format,
    read_definition,
    read_meta,
    refuse_others,
    write_definition,
    write_meta,
)

_CHECKPOINT_WAIT_MS = 250
"""How long emptying the write-ahead log may wait for readers, milliseconds."""


def prepare(connection: Connection, path: Path, pipeline: Pipeline, created: int, wal_bytes: int) -> None:
    """Set the connection up, and make or check the store behind it.

    Raises StoreError if the file is something else, and DefinitionError if its totals mean something else.
    """
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    fresh = is_fresh(connection)
    if fresh:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    else:
        refuse_others(connection, path)
    if scalar(connection, "PRAGMA journal_mode = WAL") != "wal":
        raise StoreError(f"{path}: its file system cannot hold a write-ahead log; put the store on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS does not wait for the disk otherwise
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {wal_bytes // PAGE_SIZE}")
    connection.execute(f"PRAGMA journal_size_limit = {2 * wal_bytes}")
    if fresh:
        with transaction(connection):
            create(connection, pipeline, created)
    else:
        empty_wal(connection)  # or what an earlier run left would be written again at every opening
        _match(connection, path, pipeline)
        mark_format(connection)  # what an older one holds is right in this one too


def empty_wal(connection: Connection) -> bool:
    """Copy the write-ahead log into the file and empty it; False if readers stood in the way."""
    connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
    busy = scalar(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy


def _match(connection: Connection, path: Path, pipeline: Pipeline) -> None:
    stored = read_definition(connection, path)
    changes = changes_of_meaning(stored, pipeline) if stored.fingerprint != pipeline.fingerprint else []
    if changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise DefinitionError(
            f"{path}: its totals were made by a definition that means something else:{listed}\n"
            "Restore that definition; or name a new store file and run the sources into it again, from their "
            "beginning: every event counts once there too."
        )
    if to_toml(stored) != to_toml(pipeline):
        with transaction(connection):
            write_definition(connection, pipeline)


def settle_retention(connection: Connection, wanted: Retention | None) -> Retention:
    """The retention from now on: the wanted one, which is kept, or else the one that was kept."""
    kept = from_text(read_meta(connection)["retention"])
    if wanted is None or to_text(wanted) == to_text(kept):
        return kept
    with transaction(connection):
        write_meta(connection, retention=to_text(wanted))
    return wanted
