"""`check-store` finds whatever was altered in the file."""

import re
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from oncefold.store import Store, blobs
from oncefold.store.check import check_store
from oncefold.store.compaction import Levels
from oncefold.store.connection import connect_writer
from oncefold.store.segments import deltas_table
from oncefold.store.writer import Tuning
from tests.store.model import PIPELINE, SECOND, Folder, ManualClock, random_batch

FLIPPED = "CAST(substr(blob, 1, length(blob) - 9) || x'55' || substr(blob, length(blob) - 7) AS BLOB)"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound store with everything in it; pages, but nothing dropped."""
    path = tmp_path_factory.mktemp("sound") / "store.db"
    folder, clock = Folder(), ManualClock()
    with Store.open(path, PIPELINE, retention="forever", clock=clock, tuning=Tuning(Levels(4, 2_000))) as store:
        store.load()
        for number in range(1, 26):
            store.commit(folder.commit(random_batch(number, number * SECOND)))
    assert check_store(path) == []
    return path


@pytest.fixture
def store(sound: Path, path: Path) -> Path:
    """A copy of it, to be altered."""
    shutil.copyfile(sound, path)
    return path


def pruned(path: Path) -> None:
    """Continue with a short retention, so that the oldest commits are dropped."""
    folder, clock = Folder(), ManualClock()
    for number in range(1, 26):
        folder.commit(random_batch(number, number * SECOND))
    with Store.open(path, PIPELINE, retention=timedelta(seconds=8), clock=clock, tuning=Tuning(Levels(4, 1))) as store:
        store.load()
        for number in range(26, 41):
            clock.now = number * SECOND
            store.commit(folder.commit(random_batch(number, clock.now, pages=1)))
    assert check_store(path) == []


ALTERED = {
    "UPDATE total SET count = count + 1 WHERE node = 0": r"total of risk \(root\)",
    "UPDATE total SET sum_value = 'x' WHERE node = 1": "'x' is not a number",
    "DELETE FROM total WHERE node = 2": "nodes without totals, first 2",
    "INSERT INTO total VALUES (999, 1, '1.00', '0.000000000000000000')": "totals without a node, first 999",
    "UPDATE node SET path = 'pv/else' WHERE path = 'pv/emea'": "node: the path of",
    "UPDATE node SET depth = 3 WHERE path = 'pv/emea'": "parents do not fit",
    "UPDATE node SET parent = 999 WHERE path = 'pv/emea'": "parents are missing",
    "DELETE FROM node WHERE path = 'pv/emea'": "node: ids are missing",
    "DELETE FROM place WHERE id = 1": "place: ids are missing",
    "UPDATE place SET labels = '[]' WHERE id = 1": "has 0 labels instead of 2",
    "UPDATE place SET labels = '[' WHERE id = 1": "labels of a leaf were altered",
    "DELETE FROM commits WHERE seq = 7": "1 rows are missing between 1 and 25",
    "DELETE FROM commits WHERE seq < 7": "older changes or deltas are kept",
    "DELETE FROM commits WHERE seq > 20": "commit 20",
    "UPDATE commits SET at = 0 WHERE seq = 9": "time goes back after commit 8",
    "UPDATE commits SET stale = stale + 1 WHERE seq = 9": "counters: stale is",
    "UPDATE commits SET stale = stale + 1, inserted = 99 WHERE seq = 9": "commit 9 counts 99 inserted, but its",
    "UPDATE commits SET duplicate = duplicate + 1": "commit 1 counts .* duplicate, .*hold|commits: 24 more after that",
    "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'rejects'": "ids were given, but the counters have",
    'UPDATE rejects SET "commit" = 1 WHERE id = (SELECT max(id) FROM rejects)': "listed with commit 1, which rejected",
    "INSERT INTO meta VALUES ('discarded', '99')": "rejects: 99 were discarded, but of .* only 0 have left the list",
    "DELETE FROM conflicts": "commit .* has one of key .* and version .*, which is not listed; .* are missing",
    'UPDATE conflicts SET "commit" = 1': "conflicts: .* are listed with commit 1, which counts",
    "UPDATE counters SET events = 0 WHERE outcome = 'inserted'": "counters: inserted is 0",
    'UPDATE positions SET "commit" = 99': "positions: 2 rows name a commit after the last",
    "UPDATE meta SET value = 'x' WHERE key = 'fingerprint'": "fingerprint",
    "UPDATE meta SET value = '99' WHERE key = 'state_from'": "state_from is 99",
    "UPDATE meta SET value = 'x' WHERE key = 'deltas_from'": "a value was altered",
    "DELETE FROM meta WHERE key = 'created' OR key = 'deltas_from'": "a value was altered",
    "UPDATE meta SET value = 'name = 1' WHERE key = 'definition'": "stored definition",
    "DELETE FROM keys WHERE first_row = 0": "keys: rows",
    f"UPDATE keys SET blob = {FLIPPED} WHERE first_row = 0": "keys 0 to .*its checksum differs",
    f"UPDATE changes SET blob = {FLIPPED} WHERE first_commit = 1": "changes 1 to .*its checksum differs",
    f"UPDATE deltas SET blob = {FLIPPED} WHERE first_commit = 1": "deltas 1 to .*its checksum differs",
    f"UPDATE pages SET blob = {FLIPPED}": "page 0 .*its checksum differs",
    "UPDATE changes SET n = n + 1 WHERE first_commit = 1": "another length",
    "UPDATE changes SET last_commit = last_commit + 1 WHERE first_commit = 1": "do not span",
    "UPDATE pages SET n = 999": "page 0: holds rows beyond",
    "DELETE FROM deltas WHERE first_commit = (SELECT max(first_commit) FROM deltas)": "do not add up",
    "DELETE FROM changes WHERE first_commit = 1": "states|missing",
    'UPDATE pages SET "commit" = 25': "pages: .* states are not those of the changes",
}


@pytest.mark.parametrize(("alteration", "words"), ALTERED.items(), ids=list(ALTERED))
def test_what_was_altered_is_found(store: Path, alteration: str, words: str) -> None:
    connection = connect_writer(store)
    connection.execute(alteration)
    connection.close()
    found = check_store(store)
    assert any(re.search(words, finding) for finding in found), found


def test_deltas_are_checked_when_the_oldest_are_dropped(store: Path) -> None:
    pruned(store)
    connection = connect_writer(store)
    table = deltas_table(connection, len(PIPELINE.measures))
    segment = table.stored()[-1]
    commit, node, count, *sums = blobs.columns(table.read(segment))
    columns = [commit, node, count + (node == node.max()), *sums]
    batch = pa.record_batch([pa.array(column) for column in columns], schema=table.schema)
    crc32, blob = blobs.encode(batch)
    sql = "UPDATE deltas SET crc32 = ?, blob = ? WHERE first_commit = ?"
    connection.execute(sql, (crc32, blob, segment.first))
    connection.close()
    (found,) = check_store(store)
    assert re.fullmatch("deltas: before the oldest, node .* would not be the sum of its children", found)


def test_a_torn_file_is_found(store: Path) -> None:
    whole = store.read_bytes()
    store.write_bytes(whole[: len(whole) // 2])
    assert check_store(store)
    store.write_bytes(whole[:30_000] + bytes(10_000) + whole[40_000:])
    assert check_store(store)
    store.write_bytes(whole)
    assert check_store(store) == []


def test_a_file_that_is_not_a_store_is_reported(path: Path) -> None:
    assert "no such store" in check_store(path)[0]
    sqlite3.connect(path).execute("CREATE TABLE a(b)").connection.close()
    assert "another application" in check_store(path)[0]
