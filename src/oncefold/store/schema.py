"""The tables of a store file, its format number, and the check that a file is a store.

The file format calls a leaf `place`: the table `place` holds the labels of the leaves, and a column `place` of a blob
holds leaf ids. The code calls them leaves. The names stay so that the format number does.
"""

from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, StoreError
from oncefold.core.fold import Outcome
from oncefold.core.measures import UNSCALED, Measure
from oncefold.store.conflicts import add_digests, create_conflicts, has_digests
from oncefold.store.connection import Connection, has_table, insert, scalar
from oncefold.store.definitions import TABLE as DEFINITIONS_TABLE
from oncefold.store.events import TABLES as EVENT_TABLES

APPLICATION_ID = 0x4F46_4C44
"""`OFLD`: the mark of a store in the header of the SQLite file."""

FORMAT = 4
"""Version of the tables and blobs; readers refuse greater ones."""

PAGE_SIZE = 16_384
"""Bytes of a database page; blobs of megabytes are the bulk of a store."""

OUTCOMES = tuple(outcome.name.lower() for outcome in Outcome)
"""Columns of `commits`, rows of `counters`: the outcomes in the order of their numbers."""

_TABLES_OF_DEFINITION = """
CREATE TABLE node(
    id INTEGER PRIMARY KEY, rollup TEXT NOT NULL, parent INTEGER REFERENCES node, depth INTEGER NOT NULL,
    label TEXT NOT NULL, path TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX node_children ON node(parent, label);
CREATE TABLE total(node INTEGER PRIMARY KEY REFERENCES node, count INTEGER NOT NULL{sums}) STRICT;
CREATE VIEW totals AS
    SELECT n.rollup, n.path, n.depth, n.label, t.count{named}
    FROM node AS n JOIN total AS t ON t.node = n.id WHERE t.count > 0 OR n.parent IS NULL;

CREATE TABLE place(id INTEGER PRIMARY KEY, labels TEXT NOT NULL) STRICT;
CREATE TABLE keys(
    first_row INTEGER PRIMARY KEY, last_row INTEGER NOT NULL, n INTEGER NOT NULL,
    crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE changes(
    first_commit INTEGER PRIMARY KEY, last_commit INTEGER NOT NULL, n INTEGER NOT NULL,
    crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE deltas(
    first_commit INTEGER PRIMARY KEY, last_commit INTEGER NOT NULL, n INTEGER NOT NULL,
    crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE pages(
    number INTEGER PRIMARY KEY, "commit" INTEGER NOT NULL, n INTEGER NOT NULL,
    crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
"""

_TEXTS_TABLE = """
CREATE TABLE texts(
    first_row INTEGER PRIMARY KEY, last_row INTEGER NOT NULL, n INTEGER NOT NULL,
    crc32 INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
"""
"""Of a definition whose keys keep texts."""

_LASTING_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE commits(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, newest_time INTEGER, {outcomes}) STRICT;
CREATE TABLE counters(outcome TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE positions(source TEXT PRIMARY KEY, state TEXT NOT NULL, "commit" INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE rejects(
    id INTEGER PRIMARY KEY AUTOINCREMENT, "commit" INTEGER NOT NULL, source TEXT NOT NULL, position INTEGER NOT NULL,
    reason TEXT NOT NULL, raw BLOB NOT NULL, format TEXT NOT NULL, context TEXT NOT NULL, size INTEGER NOT NULL) STRICT;
"""

_LATER_TABLES = EVENT_TABLES + DEFINITIONS_TABLE
"""Those of format 4, which last too."""


def is_fresh(connection: Connection) -> bool:
    """Whether the file is empty: it was just created, or a crash interrupted its creation."""
    return scalar(connection, "SELECT count(*) FROM sqlite_master") == 0 and _mark(connection) == 0


def refuse_others(connection: Connection, path: Path) -> None:
    """Raises StoreError unless the file is a store of a format that this version reads."""
    if is_fresh(connection):
        raise StoreError(f"{path}: the file is empty, no store yet; `oncefold run` creates one")
    if _mark(connection) != APPLICATION_ID:
        raise StoreError(f"{path}: this is a database of another application, not a store; name another file")
    found = scalar(connection, "PRAGMA user_version")
    if found > FORMAT:
        raise StoreError(
            f"{path}: this store was written by a newer Oncefold (format {found}; this one reads up to {FORMAT}); "
            "upgrade Oncefold"
        )


def _mark(connection: Connection) -> int:
    return int(scalar(connection, "PRAGMA application_id"))


def create(connection: Connection, pipeline: Pipeline, created: int, retention: str) -> None:
    """Create all tables, inside the caller's transaction."""
    outcomes = ", ".join(f"{outcome} INTEGER NOT NULL" for outcome in OUTCOMES)
    _execute(connection, _LASTING_TABLES.format(outcomes=outcomes) + _LATER_TABLES)
    create_for(connection, pipeline)
    create_conflicts(connection, wide=pipeline.has_wide_versions)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    write_definition(connection, pipeline)
    write_meta(connection, created=str(created), retention=retention)
    write_meta(connection, changes_from="0", deltas_from="0", state_from="0")
    insert(connection, "counters", (OUTCOMES, [0] * len(OUTCOMES)))


def create_for(connection: Connection, pipeline: Pipeline) -> None:
    """Create the tables of one definition, inside the caller's transaction."""
    averages = [measure.name for measure in pipeline.measures if measure.kind == "avg"]
    sums = [f', "sum_{amount.name}" TEXT NOT NULL' for amount in pipeline.amounts]
    script = _TABLES_OF_DEFINITION.format(
        sums="".join([*sums, *(f', "avg_{name}" TEXT' for name in averages)]),
        named="".join(f', {_shown(measure)} AS "{measure.name}"' for measure in pipeline.measures),
    )
    _execute(connection, script + (_TEXTS_TABLE if pipeline.layout.texts else ""))


def _execute(connection: Connection, script: str) -> None:
    for statement in filter(str.strip, script.split(";")):
        connection.execute(statement)


def _shown(measure: Measure) -> str:
    """A measure of a node as a column of the view."""
    name = measure.name
    if measure.kind == "avg":
        return f't."avg_{name}"'
    if measure.kind in {"sum", *UNSCALED}:
        return f't."sum_{name}"'
    return f'CASE t."sum_{name}.exists" WHEN \'1\' THEN t."sum_{name}.value" END'


def is_current(connection: Connection) -> bool:
    """Whether the tables are of this format."""
    return scalar(connection, "PRAGMA user_version") == FORMAT and has_digests(connection)


def upgrade(connection: Connection) -> None:
    """Bring the tables of an older format to this one, inside the caller's transaction; blobs stay as they are."""
    for outcome in OUTCOMES[len(stored_outcomes(connection)) :]:
        connection.execute(f"ALTER TABLE commits ADD COLUMN {outcome} INTEGER NOT NULL DEFAULT 0")
        connection.execute("INSERT INTO counters VALUES (?, 0)", (outcome,))
    if not has_digests(connection):
        add_digests(connection)
    if not has_table(connection, "events"):
        _execute(connection, _LATER_TABLES)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def stored_outcomes(connection: Connection) -> tuple[str, ...]:
    """The outcomes that this file counts; one of an older format counts fewer."""
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('commits')")}
    return tuple(outcome for outcome in OUTCOMES if outcome in columns)


def write_meta(connection: Connection, **values: str) -> None:
    """Set rows of `meta`."""
    insert(
        connection,
        "meta",
        (list(values), list(values.values())),
        "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    )


def read_meta(connection: Connection) -> dict[str, str]:
    """All of `meta`."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def add_discarded(connection: Connection, number: int) -> None:
    """Add to the number of discarded rejects; `meta` has that row once there is one."""
    write_meta(connection, discarded=str(read_discarded(connection) + number))


def read_discarded(connection: Connection) -> int:
    """Rejects ever discarded."""
    return int(scalar(connection, "SELECT value FROM meta WHERE key = 'discarded'") or 0)


def write_definition(connection: Connection, pipeline: Pipeline) -> None:
    """Write the definition in its canonical text."""
    write_meta(connection, definition=to_toml(pipeline), fingerprint=pipeline.fingerprint)


def read_definition(connection: Connection, path: Path) -> Pipeline:
    """The stored definition. Raises StoreError if it cannot be read."""
    text = scalar(connection, "SELECT value FROM meta WHERE key = 'definition'")
    try:
        return parse_toml(text or "", f"{path}: stored definition")
    except DefinitionError as error:
        raise StoreError(f"{error}; this file was altered, or is damaged") from error
