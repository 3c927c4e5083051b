"""`oncefold rejects discard` and `Session.discard`: events leave the list for good, and stay counted."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import oncefold
from oncefold.cli.main import main
from oncefold.core.errors import QueryError, StoreError
from oncefold.core.fold import Outcome
from oncefold.engine.session import Session
from oncefold.store import StoreFile, rows
from oncefold.store.check import check_store
from tests.queries.stores import SHOP

Run = Callable[..., tuple[int, str, str]]
GOOD = b'{"order": "A-1", "updated": "2026-03-02T08:00:00Z", "country": "FR", "city": "Paris", "amount": 1.5}\n'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three rejects of a source, then two of another."""
    path = tmp_path / "s.db"
    with Session.open(path, SHOP) as session:
        session.ingest(b"one\n" + GOOD + b"two\nthree\n", source="a")
        session.ingest(b"four\nfive\n", source="b")
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], store: Path) -> Run:
    """Discard in the store; the exit status, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(["rejects", "discard", *arguments, "--store", str(store)])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


def left(store: Path) -> list[int]:
    """The ids on the list; the store is sound, and all five events stay counted."""
    assert check_store(store) == []
    with StoreFile.open(store) as reader:
        status = reader.status()
        listed = [item.id for item in reader.rejects()]
        assert status.counts[Outcome.REJECTED] == 5
        assert status.discarded == 5 - len(listed)
        assert status.rejects == len(listed)
        return listed


def test_some_are_discarded(store: Path, run: Run) -> None:
    assert run("2", "5", "2", "--yes") == (0, "2 rejected events discarded.\n", "")
    assert left(store) == [1, 3, 4]
    assert run("1", "-y")[1] == "1 rejected event discarded.\n"
    assert left(store) == [3, 4]


def test_those_of_a_source_are_discarded(store: Path, run: Run) -> None:
    assert run("--source", "a", "--yes")[0] == 0
    assert left(store) == [4, 5]
    assert run("--source", "a", "--yes") == (0, "There is nothing to discard.\n", "")


def test_all_are_discarded_and_status_tells(store: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--all", "--yes")[1] == "5 rejected events discarded.\n"
    assert left(store) == []
    assert main(["status", "--store", str(store)]) == 0
    assert "rejects      0; 5 discarded so far\n" in capsys.readouterr().out
    assert main(["status", "--store", str(store), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["discarded"] == 5


def test_it_asks_on_a_terminal(store: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, err = run("1")
    assert (status, "say --yes" in err) == (2, True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []
    for answer, ends in ((False, 1), (True, 0)):

        def confirm(question: str, *, err: bool, answer: bool = answer) -> bool:
            asked.append(question)
            return answer and err

        monkeypatch.setattr(click, "confirm", confirm)
        assert run("1")[0] == ends
    assert asked == [f"Discard 1 rejected event of {store} for good?"] * 2
    assert left(store) == [2, 3, 4, 5]


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("--all", "--source", "a")])
def test_what_to_discard_is_said_in_one_way(store: Path, run: Run, arguments: tuple[str, ...]) -> None:
    status, _, err = run(*arguments, "--yes")
    assert status == 2
    assert "one of these" in err
    assert left(store) == [1, 2, 3, 4, 5]


def test_what_is_not_there_is_told_and_nothing_is_discarded(store: Path, run: Run) -> None:
    status, _, err = run("1", "6", "7", "--yes")
    assert status == 2
    assert "not on the reject list: 6, 7" in err
    assert left(store) == [1, 2, 3, 4, 5]
    with oncefold.open(store, SHOP) as session:
        with pytest.raises(QueryError, match="6"):
            session.discard([1, 6])
        with pytest.raises(QueryError, match="not on the reject list: shard-1:7"):
            session.discard([1, "shard-1:7"])
        assert session.discard([]) == 0
        assert session.discard(iter([3])) == 1
        with pytest.raises(QueryError, match="3"):
            session.discard([3])
        session.ingest(b"six\n", source="a")
        assert session.discard([6]) == 1
    with StoreFile.open(store) as reader:
        assert [item.id for item in reader.rejects()] == [1, 2, 4, 5]
        assert reader.status().discarded == 2
    assert check_store(store) == []


def test_a_commit_that_fails_discards_none(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    with Session.open(store, SHOP) as session:
        monkeypatch.setattr(rows, "write_head", fail)
        with pytest.raises(StoreError, match="full"):
            session.discard([1, 2])
        with pytest.raises(StoreError, match="open the store again"):
            session.discard([1])
    assert left(store) == [1, 2, 3, 4, 5]


def test_a_redriven_reject_is_not_a_discarded_one(store: Path) -> None:
    with Session.open(store, SHOP) as session:
        session.discard([1])
        session.redrive()
    assert left(store) == [2, 3, 4, 5]
