"""The list of conflicts: each once, whatever their digests are, and also in a store of an older format."""

import random
import sqlite3
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.arrow import strings_of
from oncefold.commit import Conflict, ConflictColumns
from oncefold.core.event import Content, Event
from oncefold.core.versions import from_sortable
from oncefold.store import Store, conflict_digests, conflicts
from oncefold.store.conflict_digests import conflict_texts, digests_of, first_of_each
from oncefold.store.conflicts import ConflictList, stored_version
from oncefold.store.reader import StoreFile
from oncefold.store.schema import FORMAT
from tests.store.model import PIPELINE, Batch, Folder
from tests.tools.sizes import examples

LISTED = [
    Conflict("k", 1, "a", "b"),
    Conflict("k", 1, "b", "a"),
    Conflict("k", 2, "a", "b"),
    Conflict("l", 1, "a", "b"),
]
MORE = [Conflict("m", 1, "a", "b"), Conflict("m", 1, "a", "c")]


@pytest.fixture
def connection():
    made = sqlite3.connect(":memory:", isolation_level=None)
    conflicts.create_conflicts(made)
    yield made
    made.close()


def rows(connection) -> list[tuple[object, ...]]:
    return connection.execute('SELECT id, "commit", key, version, kept, dropped FROM conflicts ORDER BY id').fetchall()


@pytest.mark.parametrize("writers", ["one", "several"])
@pytest.mark.parametrize("digests", ["as they are", "all the same"])
def test_each_is_listed_once(connection, monkeypatch, digests, writers):
    if digests == "all the same":
        monkeypatch.setattr(conflict_digests, "digests_of", lambda texts: np.zeros(len(texts.kept_ends) - 1, np.int64))
    one = ConflictList(connection, wide=False)
    for commit, found in (
        (1, []),
        (3, [LISTED[0], LISTED[1], LISTED[0]]),
        (4, [LISTED[1], LISTED[2], LISTED[0], LISTED[3], LISTED[2]]),
        (5, ConflictColumns.of(LISTED)),
        (6, ConflictColumns.joined([ConflictColumns.of(part) for part in (LISTED[2:], MORE, MORE)])),
    ):
        (one if writers == "one" else ConflictList(connection, wide=False)).add(commit, found)
    found = [(seq, Conflict(*texts)) for _, seq, *texts in rows(connection)]
    assert found == list(zip((3, 3, 4, 4, 6, 6), [*LISTED, *MORE], strict=True))
    assert [id_ for id_, *_ in rows(connection)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("writers", ["one", "several"])
def test_many_commits_of_few_and_many_are_listed_once(connection, writers):
    randomly, expected = random.Random(5), dict[Conflict, int]()
    one = ConflictList(connection, wide=False)
    for commit in range(1, 40):
        number = randomly.choice([1, 2, 30])
        some = [Conflict(f"k{randomly.randrange(300)}", 1, "é" * randomly.randrange(2), "b") for _ in range(number)]
        (one if writers == "one" else ConflictList(connection, wide=False)).add(commit, some)
        for conflict in some:
            expected.setdefault(conflict, commit)
    found = [(Conflict(*texts), seq) for _, seq, *texts in rows(connection)]
    assert found == list(expected.items())


def test_a_conflict_that_an_index_of_an_earlier_version_covers_is_listed_once(connection):
    ConflictList(connection, wide=False).add(1, LISTED[:2])
    connection.execute("CREATE INDEX conflict_digest ON conflicts(digest)")
    ConflictList(connection, wide=False).add(2, LISTED)
    assert [Conflict(*texts) for _, _, *texts in rows(connection)] == LISTED
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index'").fetchone() == (0,)


def test_wide_versions_are_listed_once_as_text_that_sorts():
    made = sqlite3.connect(":memory:", isolation_level=None)
    conflicts.create_conflicts(made, wide=True)
    versions = [-(2**127), -1, 0, 2**63, 2**127 - 1]
    wide = [Conflict("k", version, "a", "b") for version in versions]
    assert list(ConflictColumns.joined([ConflictColumns.of(wide[:3]), ConflictColumns.of(wide[3:])])) == wide
    listed = ConflictList(made, wide=True)
    listed.add(1, wide[:3])
    listed.add(2, ConflictColumns.of(wide))
    found = made.execute('SELECT "commit", version FROM conflicts ORDER BY version').fetchall()
    assert [(seq, from_sortable(text)) for seq, text in found] == list(zip((1, 1, 1, 2, 2), versions, strict=True))
    made.close()


_TEXTS = st.text(max_size=3) | st.integers(0, 400).map(lambda size: "é\0x" * (size // 3))
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 9, 10, -10, -(2**63), 2**63 - 1])


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(_TEXTS, _NUMBERS, _TEXTS, _TEXTS), min_size=1, max_size=9), st.booleans())
def test_digests_are_those_of_the_format(found, wide):
    keys, numbers, kept, dropped = map(list, zip(*found, strict=True))
    versions = [stored_version(number, wide=wide) for number in numbers]
    texts = conflict_texts(
        strings_of(keys), versions if wide else np.array(versions, np.int64), strings_of(kept), strings_of(dropped)
    )
    messages = ["\0".join(map(str, each)).encode() for each in zip(keys, versions, kept, dropped, strict=True)]
    wanted = [int.from_bytes(blake2b(message, digest_size=8).digest(), "little", signed=True) for message in messages]
    assert digests_of(texts).tolist() == wanted


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_the_first_of_equal_conflicts_is_found_whatever_the_digests_are(data):
    some, versions = st.sampled_from(["", "a", "b", "a\0"]), st.sampled_from([1, 2])
    found = data.draw(st.lists(st.tuples(some, versions, some, some), min_size=1, max_size=30))
    digest_of = {each: data.draw(st.integers(0, 2)) for each in found}
    digests = np.array([digest_of[each] for each in found], np.int64)
    keys, numbers, kept, dropped = map(list, zip(*found, strict=True))
    order = sorted(data.draw(st.permutations(range(len(found)))), key=digests.__getitem__)
    for stored in (np.array(numbers, np.int64), [str(number) for number in numbers]):
        texts = conflict_texts(strings_of(keys), stored, strings_of(kept), strings_of(dropped))
        first = first_of_each(texts, digests, np.array(order))
        assert first.tolist() == [found.index(each) == at for at, each in enumerate(found)]


def test_columns_are_a_sequence_of_conflicts():
    columns = ConflictColumns.of(LISTED)
    assert (list(columns), columns[-1], len(columns)) == (LISTED, LISTED[-1], 4)
    assert list(columns[1:3]) == LISTED[1:3]
    assert list(ConflictColumns.joined([columns, columns[:1]])) == [*LISTED, LISTED[0]]
    assert list(ConflictColumns.joined([])) == []
    with pytest.raises(IndexError):
        columns[4]


_FORMER = """
ALTER TABLE conflicts RENAME TO new;
CREATE TABLE conflicts(
    id INTEGER PRIMARY KEY, "commit" INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
    kept TEXT NOT NULL, dropped TEXT NOT NULL, UNIQUE(key, version, kept, dropped)) STRICT;
INSERT INTO conflicts SELECT id, "commit", key, version, kept, dropped FROM new;
DROP TABLE new;
PRAGMA user_version = 2;
"""


def test_a_store_of_format_2_is_read_and_goes_on(path: Path):
    folder = Folder()
    pair = [Event("k", 1, Content(("pv", "emea"), (1, 1))), Event("k", 1, Content(("pv", "apac"), (2, 2)))]
    with Store.open(path, PIPELINE) as store:
        store.load()
        store.commit(folder.commit(Batch(pair, 1)))
    with sqlite3.connect(path) as former:
        before = rows(former)
        former.executescript(_FORMER)
    former.close()
    with StoreFile.open(path) as reader:
        assert (reader.status().format, len(reader.conflicts())) == (2, 1)
    with Store.open(path, PIPELINE) as store:
        store.load()
        store.commit(folder.commit(Batch([*pair, Event("k", 1, Content(("pv", "emea"), (9, 9)))], 2)))
    with StoreFile.open(path) as reader:
        assert reader.status().format == FORMAT
        assert len(reader.conflicts()) == 2
    with sqlite3.connect(path) as now:
        assert rows(now)[:1] == before
        assert [name for (name,) in now.execute("SELECT name FROM sqlite_master WHERE name LIKE 'former%'")] == []
    now.close()
