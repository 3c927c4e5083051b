"""Opening: what is not a store, what another process holds, and definitions that changed."""

import os
import sqlite3
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import filelock
import pytest

from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, StoreError, StoreLockedError
from oncefold.store import Store, StoreFile, errors, opening
from oncefold.store.connection import connect_writer
from oncefold.store.schema import FORMAT
from tests.store.model import PIPELINE, Batch, Folder, random_batch, stored_facts


def make(path: Path) -> Folder:
    """A store of two commits."""
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever", clock=lambda: 7) as store:
        store.load()
        for number in (1, 2):
            store.commit(folder.commit(random_batch(number, number)))
    return folder


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs(a)")
    connection.close()


def newer_store(path: Path) -> None:
    make(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()


NOT_STORES: dict[str, tuple[Callable[[Path], object], str]] = {
    "directory": (Path.mkdir, "this is a directory; name a file in it"),
    "text": (lambda path: path.write_text("TradeID,Value\n" * 100), "this is not a store, nor any SQLite database"),
    "another application's": (other_database, "a database of another application"),
    "newer": (
        newer_store,
        f"newer Oncefold .format {FORMAT + 1}; this one reads up to {FORMAT}.; upgrade",
    ),
}


@pytest.mark.parametrize(("prepare", "words"), NOT_STORES.values(), ids=NOT_STORES)
@pytest.mark.parametrize("open_", [lambda path: Store.open(path, PIPELINE), StoreFile.open], ids=["writer", "reader"])
def test_what_is_no_store_is_left_alone(
    path: Path, prepare: Callable[[Path], object], words: str, open_: Callable[[Path], object]
) -> None:
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match=words):
        open_(path)
    assert (path.read_bytes() if path.is_file() else None) == before
    with pytest.raises(StoreError, match=words):  # nothing stays locked or open
        open_(path)


def test_a_missing_folder_is_named(memory: Path) -> None:
    for open_ in (lambda path: Store.open(path, PIPELINE), StoreFile.open):
        with pytest.raises(StoreError, match=f"there is no folder {memory / 'no'}; create it first"):
            open_(memory / "no" / "store.db")


def test_reading_needs_a_store(path: Path) -> None:
    with pytest.raises(StoreError, match="no such store"):
        StoreFile.open(path)
    path.touch()
    with pytest.raises(StoreError, match="no store yet"):
        StoreFile.open(path)
    make(path)
    assert StoreFile.open(path).status().last.seq == 2


def test_permissions_are_checked_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(path)
    monkeypatch.setattr(errors.os, "access", lambda *_: False)
    with pytest.raises(StoreError, match="no permission to write this file"):
        Store.open(path, PIPELINE)
    with pytest.raises(StoreError, match="no permission to read this file"):
        StoreFile.open(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "no"), "no permission to write in the folder"),
        (OSError(30, "ro"), "file system is read-only"),
    ],
)
def test_a_folder_that_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def refuse(path: Path) -> None:
        raise error

    monkeypatch.setattr(opening, "lock_file", refuse)
    with pytest.raises(StoreError, match=words):
        Store.open(path, PIPELINE)


def test_a_second_writer_in_the_same_process_is_refused(path: Path) -> None:
    first = Store.open(path, PIPELINE)
    with pytest.raises(StoreLockedError, match=r"this very process is writing.*Reading .* works meanwhile"):
        Store.open(path, PIPELINE)
    first.close()
    Store.open(path, PIPELINE).close()


def test_a_lock_is_filelocks(path: Path) -> None:
    """Writers of earlier versions, and of systems without `flock`, lock by it."""
    lock = filelock.FileLock(path.with_name("store.db-lock"), timeout=0)
    with lock, pytest.raises(StoreLockedError):
        Store.open(path, PIPELINE)
    with Store.open(path, PIPELINE), pytest.raises(filelock.Timeout):
        lock.acquire()
    with lock:
        pass


def test_without_flock_another_lock_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with Store.open(path, PIPELINE), pytest.raises(StoreLockedError):
        Store.open(path, PIPELINE)
    Store.open(path, PIPELINE).close()


def test_the_holder_is_named_if_it_left_its_number(path: Path) -> None:
    with Store.open(path, PIPELINE):
        number = path.with_name("store.db-lock")
        assert number.read_text() == f"{os.getpid()}\n"
        for left, words in (("123\n", "process 123 is writing"), ("", "another process is writing")):
            number.write_text(left)
            with pytest.raises(StoreLockedError, match=words):
                Store.open(path, PIPELINE)


def test_a_file_that_a_crash_left_empty_is_made_again(path: Path) -> None:
    path.touch()
    Store.open(path, PIPELINE).close()
    path.unlink()
    connection = connect_writer(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert path.stat().st_size
    Store.open(path, PIPELINE).close()
    assert stored_facts(path) == Folder().facts()


def changed(old: str, new: str) -> str:
    text = to_toml(PIPELINE)
    assert old in text
    return text.replace(old, new)


def test_a_definition_that_means_something_else_is_refused(path: Path) -> None:
    folder = make(path)
    with pytest.raises(DefinitionError) as refused:
        Store.open(path, parse_toml(changed("scale = 2", "scale = 3")))
    for words in (
        "another meaning",
        "[measures] value: scale was 2 and is now 3",
        "Restore that definition",
        "new store file",
    ):
        assert words in str(refused.value)
    assert stored_facts(path) == folder.facts()


def test_a_definition_that_only_accepts_more_takes_over(path: Path) -> None:
    folder = make(path)
    wider = parse_toml(changed('missing = "reject"', 'missing = "zero"'))
    assert wider.fingerprint != PIPELINE.fingerprint
    with Store.open(path, wider):
        assert StoreFile.open(path).pipeline == wider
    assert stored_facts(path, wider) == folder.facts()
    with pytest.raises(DefinitionError):
        Store.open(path, PIPELINE)


def test_a_name_may_change(path: Path) -> None:
    make(path)
    renamed = parse_toml(changed('name = "test"', 'name = "other"'))
    assert renamed.fingerprint == PIPELINE.fingerprint
    Store.open(path, renamed).close()
    with StoreFile.open(path) as reader:
        assert reader.pipeline.name == "other"


@pytest.mark.parametrize("name", ["node", "total", "rowid", "select", "a-b", "sum_x"])
def test_any_measure_name_makes_a_column(path: Path, name: str) -> None:
    pipeline = parse_toml(f'name="t"\n[event]\nkey="k"\n[rollups]\nr=[]\n[measures]\n{name}={{sum="x"}}\n')
    Store.open(path, pipeline).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute(f'SELECT "{name}" FROM totals').fetchall() == []
    connection.close()


def test_the_retention_stays_until_another_is_given(path: Path) -> None:
    def kept() -> object:
        with StoreFile.open(path) as reader:
            return reader.status().retention

    Store.open(path, PIPELINE).close()
    assert kept() == timedelta(days=30)
    Store.open(path, PIPELINE, retention="forever").close()
    Store.open(path, PIPELINE).close()
    assert kept() == "forever"
    Store.open(path, PIPELINE, retention=timedelta(hours=1)).close()
    assert kept() == timedelta(hours=1)
    with pytest.raises(StoreError, match="is negative"):
        Store.open(path, PIPELINE, retention=timedelta(-1))


def test_a_log_of_another_file_system_is_needed(path: Path) -> None:
    def without_wal(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None)

    with pytest.raises(StoreError, match="write-ahead log; put the store on a local disk"):
        Store.open(path, PIPELINE, connect=without_wal)


def test_an_old_sqlite_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(path)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    for open_ in (lambda: Store.open(path, PIPELINE), lambda: StoreFile.open(path)):
        with pytest.raises(StoreError, match=r"needs SQLite 3.37.0 or newer, and this Python has"):
            open_()


def test_batches_of_nothing_count_as_commits(path: Path) -> None:
    folder = Folder()
    with Store.open(path, PIPELINE) as store:
        store.load()
        for at in range(3):
            store.commit(folder.commit(Batch([], at)))
    assert stored_facts(path) == folder.facts()
