"""`oncefold run` on inputs after public reports (tests/data/cases): read right or refused, never half."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from oncefold.core.errors import SourceError
from oncefold.core.fold import Outcome
from oncefold.engine.session import Session
from oncefold.pipeline_file import load_pipeline
from oncefold.store.reader import StoreFile
from tests.cli.test_run import User, counted

CASES = Path(__file__).parents[1] / "data" / "cases"
GOOD = '{"id":"9","v":1,"g":"x","a":5}\n'


@pytest.fixture
def user(capsys: pytest.CaptureFixture[str]) -> User:
    return User(capsys)


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A copy of a case's folder to work in."""
    shutil.copytree(CASES / request.param, tmp_path / "case")
    monkeypatch.chdir(tmp_path / "case")
    return tmp_path / "case"


def runs(user: User, *files: object, definition: str = "p.toml", status: int = 0) -> list[str]:
    return user.types("run", definition, *files, "--store", "s.db", status=status)


def outcomes() -> Counter[Outcome]:
    return counted("s.db")


cronly = pytest.mark.parametrize("case", ["cronly"], indirect=True)
dupcol = pytest.mark.parametrize("case", ["dupcol"], indirect=True)
jsonshapes = pytest.mark.parametrize("case", ["jsonshapes"], indirect=True)


@cronly
@pytest.mark.parametrize("name", ["mac.csv", "headcr.csv"])
def test_a_header_that_a_lone_carriage_return_ends_is_refused(case: Path, user: User, name: str) -> None:
    Path("good.csv").write_text("id,v,g,a\nk9,1,x,5\n")
    for accepted in (1, 0):
        said = runs(user, name, "good.csv", status=1)
        assert f"{case}/{name}: its first line is not a CSV header: a carriage return alone ends no line" in "\n".join(
            said
        )
        assert any(line.startswith(f"{accepted} event") for line in said)
    assert outcomes() == {Outcome.INSERTED: 1}


@cronly
@pytest.mark.parametrize("name", ["mid.csv", "lfcr.csv"])
def test_a_lone_carriage_return_in_a_row_is_a_reject(case: Path, user: User, name: str) -> None:
    assert "1 rejected" in " ".join(runs(user, name))
    assert outcomes() == {Outcome.REJECTED: 1}


@cronly
def test_carriage_returns_before_a_line_feed_belong_to_the_line_end(case: Path, user: User) -> None:
    runs(user, "crcrlf.csv")
    assert outcomes() == {Outcome.INSERTED: 2}


@dupcol
def test_a_table_that_names_a_read_column_twice_is_refused_and_the_others_are_read(case: Path, user: User) -> None:
    said = runs(user, "in", status=1)
    assert f"{case}/in/a.parquet: it names the column 'id' twice" in "\n".join(said)
    assert any(line.startswith("3 events: 3 accepted") for line in said)
    assert outcomes() == {Outcome.INSERTED: 3}


@dupcol
@pytest.mark.parametrize("name", ["dupcol.arrow", "dupcol.arrows"])
def test_so_is_an_arrow_file(case: Path, user: User, name: str) -> None:
    said = runs(user, name, "--format", "arrow", status=1)
    assert f"{case}/{name}: it names the column 'id' twice" in "\n".join(said)


@dupcol
@pytest.mark.parametrize("name", ["nest.parquet", "nest.arrow", "nest.arrows", "nest.jsonl"])
def test_a_field_that_is_twice_in_its_struct_is_a_reject(case: Path, user: User, name: str) -> None:
    form = ["--format", "arrow"] if name.endswith(".arrows") else []
    runs(user, name, *form, definition="nest.toml")
    assert outcomes() == {Outcome.REJECTED: 1 if name == "nest.jsonl" else 2}
    user.types("rejects", "--store", "s.db")
    assert "twice" in user.stdout


@jsonshapes
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("array.json", "it is one JSON array, not JSON Lines"),
        ("array1.json", "it is one JSON array, not JSON Lines"),
        ("pretty.json", "its objects extend over several lines, which is not JSON Lines"),
    ],
)
def test_a_json_document_is_refused_whole(case: Path, user: User, name: str, reason: str) -> None:
    Path("good.jsonl").write_text(GOOD)
    for accepted in (1, 0):
        said = runs(user, name, "good.jsonl", status=1)
        assert f"{case}/{name}: {reason}; write one object per line, for example by: jq -c" in "\n".join(said)
        assert any(line.startswith(f"{accepted} event") for line in said)
    assert outcomes() == {Outcome.INSERTED: 1}


@jsonshapes
@pytest.mark.parametrize("padding", [1, 5_000, 70_000])
def test_nul_bytes_of_a_rotated_log_are_skipped_and_reported(case: Path, user: User, padding: int) -> None:
    Path("a.jsonl").write_bytes(bytes(padding) + GOOD.encode() + bytes(3) + b"\n")
    said = runs(user, "a.jsonl")
    assert f"{padding + 3:,} NUL bytes in front of records were skipped" in "\n".join(said)
    assert outcomes() == {Outcome.INSERTED: 1}


@cronly
def test_so_are_those_of_csv_and_a_column_that_is_not_read_may_be_there_twice(case: Path, user: User) -> None:
    Path("a.csv").write_bytes(b"id,x,v,g,x,a\n\0\0\0k1,1,1,x,2,5\nk2,1,1,x,2,6\n")
    said = runs(user, "a.csv")
    assert "3 NUL bytes in front of records were skipped" in "\n".join(said)
    assert outcomes() == {Outcome.INSERTED: 2}
    with StoreFile.open("s.db") as reader:
        assert [row.path for row in reader.totals("t").rows] == ["", "x"]
        assert reader.history("k1")


@jsonshapes
def test_the_name_of_a_file_is_no_event(case: Path) -> None:
    with Session.open("s.db", load_pipeline("p.toml")) as session:
        with pytest.raises(SourceError, match=r"cannot ingest the text 'orders.csv'"):
            session.ingest("orders.csv")
        assert session.ingest(GOOD).counts == {Outcome.INSERTED: 1}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("jsonshapes/array.json", "it is one JSON array, not JSON Lines"),
        ("jsonshapes/pretty.json", "its objects extend over several lines"),
        ("cronly/mac.csv", "its first line is not a CSV header: a carriage return alone ends no line here"),
    ],
)
def test_check_and_init_refuse_the_same_with_the_same_message(user: User, name: str, reason: str) -> None:
    definition = (CASES / name).parent / "p.toml"
    assert f"{CASES / name}: {reason}" in user.types("check", definition, "--sample", CASES / name, status=2)[-1]
    assert f"{CASES / name}: {reason}" in user.types("init", "--from", CASES / name, status=2)[-1]
