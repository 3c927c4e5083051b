"""A store that is looked at while it is made, written, replaced and taken away."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from oncefold.core.errors import OncefoldError, QueryError, StoreError
from oncefold.queries.store_reader import StoreReader
from oncefold.store.connection import BUSY_MS
from oncefold.watch.sources import StoreSource
from oncefold.watch.watching import NotYetError, Watched
from tests.queries.stores import MONDAY, SHOP, TUESDAY, TWO_TREES, alter, build, lines

ROOM = 24


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


def source(path: Path, node: str = "", *, rollup: str | None = None, depth: int | None = None) -> StoreSource:
    return StoreSource(path, Watched(node, rollup, depth))


def commit_of(source: StoreSource) -> int:
    return source.look(ROOM).totals.commit.number


@pytest.mark.parametrize("room", [None, 2, 3, 5, 6, ROOM])
@pytest.mark.parametrize("depth", [None, 0, 1, 2, 9])
@pytest.mark.parametrize("node", ["", "FR", "US/St. Louis\\/MO"])
def test_a_look_has_the_totals_of_query(path: Path, node: str, depth: int | None, room: int | None) -> None:
    build(path, SHOP, lines(MONDAY), lines(TUESDAY))
    with StoreReader.open(path) as ask:
        totals = ask.query(node, depth=depth)
    look = source(path, node, depth=depth).look(room)
    assert [row for row in totals if row in look.totals.rows] == list(look.totals.rows)
    assert look.totals.rows[0] == totals.rows[0]
    assert look.cut == (len(look.totals) < len(totals))
    assert look.cut == (room is not None and len(totals) > room)
    assert room is None or len(look.totals) <= room


def test_a_look_tells_events_commit_and_freshness(path: Path) -> None:
    build(path, SHOP, lines(MONDAY), lines(TUESDAY))
    with StoreReader.open(path) as ask:
        status = ask.status()
    look = source(path).look(ROOM)
    assert (look.events, look.totals.commit) == (status.events, status.commit)
    assert look.totals.newest_event == status.newest_event
    assert look.totals.newest_event_text == status.newest_event_text


def test_it_follows_a_writer_and_reads_nothing_anew_in_between(path: Path) -> None:
    build(path, SHOP, lines(MONDAY))
    watched = source(path)
    first = watched.look(ROOM)
    assert watched.look(ROOM) is first
    assert watched.look(None) is not first
    build(path, SHOP, lines(TUESDAY))
    assert commit_of(watched) == 2
    assert watched.look(ROOM).totals != first.totals


def test_a_store_that_is_not_there_or_is_being_made_is_waited_for(path: Path) -> None:
    watched = source(path)
    with pytest.raises(NotYetError, match="no such store"):
        watched.look(ROOM)
    path.touch()
    with pytest.raises(NotYetError, match="no store yet"):
        watched.look(ROOM)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(NotYetError, match="no store yet"):
        watched.look(ROOM)
    connection.close()
    build(path, SHOP)
    assert watched.look(ROOM).totals.node.count == 0
    build(path, SHOP, lines(MONDAY))
    assert commit_of(watched) == 1


def test_a_node_that_is_not_there_is_waited_for(path: Path) -> None:
    build(path, SHOP)
    watched = source(path, "FR/Paris")
    with pytest.raises(NotYetError, match="no node FR"):
        watched.look(ROOM)
    build(path, SHOP, lines(MONDAY))
    assert watched.look(ROOM).totals.node.path == "FR/Paris"


def test_another_store_under_the_same_name_is_seen(path: Path, tmp_path: Path) -> None:
    build(path, SHOP, lines(MONDAY))
    watched = source(path)
    watched.look(ROOM)
    other = build(tmp_path / "other.db", TWO_TREES, b'{"book": "b", "id": 1, "v": 1, "value": 5}\n', b"")
    other.replace(path)
    with pytest.raises(QueryError, match="by_type, by_region"):
        watched.look(ROOM)
    path.unlink()
    with pytest.raises(NotYetError):
        watched.look(ROOM)
    build(path, SHOP, lines(TUESDAY))
    assert commit_of(watched) == 1


def test_an_older_copy_under_the_same_name_is_seen(path: Path, tmp_path: Path) -> None:
    build(path, SHOP, lines(MONDAY))
    older = tmp_path / "older.db"
    shutil.copy(path, older)
    build(path, SHOP, lines(TUESDAY))
    watched = source(path)
    assert commit_of(watched) == 2
    older.replace(path)
    assert commit_of(watched) == 1


def test_a_store_that_is_locked_fails_and_is_seen_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oncefold.store.reader.BUSY_MS", BUSY_MS // 1_000)
    build(path, SHOP, lines(MONDAY))
    watched = source(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="another program holds the file"):
        watched.look(ROOM)
    holder.execute("COMMIT")
    holder.close()
    assert commit_of(watched) == 1


@pytest.mark.parametrize(
    ("node", "rollup", "words"),
    [("FR", "by_type", "no rollup"), ("FR/Paris/Left Bank", None, "has 2 levels"), ("FR/", None, "not a node")],
)
def test_what_can_never_be_there_is_refused(path: Path, node: str, rollup: str | None, words: str) -> None:
    build(path, SHOP, lines(MONDAY))
    with pytest.raises(QueryError, match=words):
        source(path, node, rollup=rollup).look(ROOM)


def test_files_that_are_no_stores_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("This is no database, however long one looks at it.\n" * 40)
    for path in (text, tmp_path, tmp_path / "nowhere" / "shop.db"):
        with pytest.raises(StoreError):
            source(path).look(ROOM)


@pytest.mark.parametrize("room", [None, ROOM])
def test_a_damaged_total_is_told_in_words(path: Path, room: int | None) -> None:
    build(path, SHOP, lines(MONDAY))
    sql = "UPDATE total SET sum_amount = 'many' WHERE node = (SELECT id FROM node WHERE path = 'FR')"
    alter(path, sql)
    with pytest.raises(OncefoldError, match="damaged"):
        source(path).look(room)
