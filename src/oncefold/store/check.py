"""`check-store`: everything that can be known to be right about a store file, and what is not, in words."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from oncefold.core.errors import StoreError
from oncefold.core.nodepath import join
from oncefold.store import rows
from oncefold.store.check_content import content_findings
from oncefold.store.check_counts import count_findings
from oncefold.store.check_segments import blob_findings
from oncefold.store.connection import Connection, scalar
from oncefold.store.damaged import DamagedError
from oncefold.store.reader import Reader, connect_reader
from oncefold.store.schema import OUTCOMES, read_meta


def check_store(path: str | Path, *, connect: Callable[[Path], Connection] = connect_reader) -> list[str]:
    """What is wrong with a store, one line each; empty if all is well. It may be written meanwhile.

    The database's own integrity, the checksum and form of every blob, that rows and commits follow on each other,
    that ids refer to something, that every commit counts what its changes, rejects and conflicts are, that the key
    states from snapshots are those from all changes (while all are kept), that the totals are those of the key
    states, and that the deltas add up to them.
    """
    found: list[str] = []
    try:
        with Reader.open(path, connect=connect) as reader, reader.at_one_commit() as connection:
            _collect(_findings(reader, connection), found)
    except StoreError as error:
        found.append(str(error))
    except (KeyError, ValueError) as error:
        found.append(f"{path}: a value was altered, or is damaged: {error}")
    return found


def _collect(findings: Iterable[str], into: list[str]) -> None:
    """All of them, up to damage that leaves nothing further to look at."""
    try:
        into.extend(findings)
    except DamagedError as error:
        into.append(str(error))


def _findings(reader: Reader, connection: Connection) -> Iterator[str]:
    damaged = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    yield from damaged
    yield from _meta_findings(reader, connection)
    yield from _commit_findings(connection)
    yield from _node_findings(connection)
    blobs = list(blob_findings(connection, reader.pipeline))
    yield from blobs
    if not blobs and not damaged:
        yield from count_findings(connection, len(reader.pipeline.measures))
        yield from content_findings(connection, reader.pipeline)


def _meta_findings(reader: Reader, connection: Connection) -> Iterator[str]:
    meta = read_meta(connection)
    if meta["fingerprint"] != reader.pipeline.fingerprint:
        yield "meta: the fingerprint is not that of the stored definition"
    head = rows.read_head(connection)
    for name in ("changes_from", "deltas_from", "state_from"):
        if not 0 <= int(meta[name]) <= head.seq:
            yield f"meta: {name} is {meta[name]}, but the last commit is {head.seq}"


def _commit_findings(connection: Connection) -> Iterator[str]:
    meta = read_meta(connection)
    first, last, count = connection.execute("SELECT min(seq), max(seq), count(*) FROM commits").fetchone()
    if count and last - first + 1 != count:
        yield f"commits: {last - first + 1 - count} rows are missing between {first} and {last}"
    if count and first > max(1, min(int(meta["changes_from"]) + 1, int(meta["deltas_from"]))):
        yield f"commits: the first row is {first}, but older changes or deltas are kept"
    back = "SELECT a.seq FROM commits AS a JOIN commits AS b ON b.seq = a.seq + 1 WHERE b.at < a.at LIMIT 1"
    if (seq := scalar(connection, back)) is not None:
        yield f"commits: time goes back after commit {seq}"
    for table in ("positions", "rejects", "conflicts", "pages"):
        sql = f'SELECT count(*) FROM {table} WHERE "commit" > ?'  # noqa: S608 - names only
        if beyond := scalar(connection, sql, (last or 0,)):
            yield f"{table}: {beyond} rows name a commit after the last"
    if not count or first == 1:
        yield from _counter_findings(connection)


def _counter_findings(connection: Connection) -> Iterator[str]:
    counted = dict(connection.execute("SELECT outcome, events FROM counters").fetchall())
    sums = connection.execute(f"SELECT {', '.join(f'sum({name})' for name in OUTCOMES)} FROM commits").fetchone()  # noqa: S608
    for name, found in zip(OUTCOMES, sums, strict=True):
        if counted.get(name) != (found or 0):
            yield f"counters: {name} is {counted.get(name)}, but the commits add up to {found or 0}"


def _node_findings(connection: Connection) -> Iterator[str]:
    ends = rows.read_ends(connection)
    for table, end in (("node", ends.nodes), ("place", ends.leaves)):
        if scalar(connection, f"SELECT count(*) FROM {table}") != end:  # noqa: S608 - names only
            yield f"{table}: ids are missing below {end}"
    for sql, wrong in _ORPHANS.items():
        if (found := scalar(connection, sql)) is not None:
            yield f"{wrong}, first {found}"
    paths = connection.execute(
        "SELECT n.id, n.path, n.label, p.path FROM node AS n JOIN node AS p ON p.id = n.parent ORDER BY n.id"
    )
    for id_, path, label, above in paths:
        if path != join((*rows.labels_of(above), label)):
            yield f"node: the path of {id_} is {path!r}, but its parent's is {above!r} and its label {label!r}"


_ORPHANS = {
    "SELECT min(id) FROM node WHERE parent NOT IN (SELECT id FROM node)": "node: parents are missing",
    "SELECT min(n.id) FROM node AS n JOIN node AS p ON p.id = n.parent "
    "WHERE n.depth != p.depth + 1 OR n.rollup != p.rollup OR n.id <= p.id": "node: parents do not fit",
    "SELECT min(id) FROM node WHERE parent IS NULL AND (depth != 0 OR path != '' OR label != '')": "node: bad roots",
    "SELECT min(id) FROM node WHERE id NOT IN (SELECT node FROM total)": "total: nodes without totals",
    "SELECT min(node) FROM total WHERE node NOT IN (SELECT id FROM node)": "total: totals without a node",
}
"""What finds the first wrong id, and what it means."""
