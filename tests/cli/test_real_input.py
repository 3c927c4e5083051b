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
    said = runs(user, name, status=3)
    assert "1 rejected" in " ".join(said)
    assert said[-1] == "every event was rejected"
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
    runs(user, name, *form, definition="nest.toml", status=3)
    assert outcomes() == {Outcome.REJECTED: 1 if name == "nest.jsonl" else 2}
    user.types("rejects", "--store", "s.db")
    assert "twice" in user.stdout


@jsonshapes
@pytest.mark.parametrize("name", ["array.json", "array1.json", "pretty.json", "utf16.jsonl", "cr.jsonl", "rs.jsonl"])
def test_a_json_document_is_read_as_its_objects(case: Path, user: User, name: str) -> None:
    Path("good.jsonl").write_text(GOOD)
    runs(user, name, "good.jsonl")
    assert outcomes() == {Outcome.INSERTED: 3}
    with StoreFile.open("s.db") as reader:
        assert reader.totals("t").rows[0].sums == (800,)
    runs(user, name, "good.jsonl", "--reread")
    assert outcomes() == {Outcome.INSERTED: 3, Outcome.DUPLICATE: 3}


@jsonshapes
def test_an_array_that_does_not_end_is_reported(case: Path, user: User) -> None:
    Path("cut.json").write_bytes(Path("array.json").read_bytes().rstrip()[:-1])
    said = runs(user, "cut.json", status=1)
    assert f"{case}/cut.json: its array does not end; what could be read of it is counted." in "\n".join(said)
    assert outcomes() == {Outcome.INSERTED: 1}
    with Path("cut.json").open("ab") as file:
        file.write(b"]\n")
    runs(user, "cut.json")
    assert outcomes() == {Outcome.INSERTED: 2}


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
        with pytest.raises(SourceError, match="cannot ingest PosixPath"):
            session.ingest(Path("orders.csv"))  # type: ignore[arg-type]
        assert session.ingest(GOOD).counts == {Outcome.INSERTED: 1}


@jsonshapes
@pytest.mark.parametrize("name", ["array.json", "array1.json", "pretty.json"])
def test_so_is_a_document_that_a_program_passes(case: Path, name: str) -> None:
    with Session.open("s.db", load_pipeline("p.toml")) as session:
        assert session.ingest(Path(name).read_bytes()).counts == {Outcome.INSERTED: 2}
        assert session.ingest("\ufeff" + Path(name).read_text()).counts == {Outcome.DUPLICATE: 2}
        with pytest.raises(SourceError, match="its array does not end"):
            session.ingest(Path("array.json").read_text().rstrip()[:-1])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cronly/mac.csv", "its first line is not a CSV header: a carriage return alone ends no line here"),
    ],
)
def test_check_and_init_refuse_the_same_with_the_same_message(user: User, name: str, reason: str) -> None:
    definition = (CASES / name).parent / "p.toml"
    assert f"{CASES / name}: {reason}" in user.types("check", definition, "--sample", CASES / name, status=2)[-1]
    assert f"{CASES / name}: {reason}" in user.types("init", "--from", CASES / name, status=2)[-1]


BAD = '{"id":"%d","v":1,"g":"x","a":"1,5"}\n'


@jsonshapes
def test_the_first_rejects_are_shown_and_how_many_have_each_reason(case: Path, user: User) -> None:
    Path("a.jsonl").write_text(GOOD + BAD % 1 + BAD % 2 + '{"id":"3"\n')
    said = "\n".join(runs(user, "a.jsonl"))
    assert f"rejected: {case}/a.jsonl, byte 31: field a: '1,5' is not a number: {BAD % 1}" in said
    assert "rejected: 2 x field a: ... is not a number; 1 x not JSON:" in said


@jsonshapes
@pytest.mark.parametrize(("limit", "status"), [("0", 4), ("1", 4), ("2", 0), ("50%", 4), ("66.7%", 0), ("100%", 0)])
def test_a_job_ends_with_its_own_status_when_too_many_are_rejected(
    case: Path, user: User, limit: str, status: int
) -> None:
    Path("a.jsonl").write_text(BAD % 1 + BAD % 2 + GOOD)
    said = runs(user, "a.jsonl", "--max-rejects", limit, status=status)
    assert (f"2 of 3 events rejected, more than --max-rejects {limit} allows" in said) == (status == 4)
    assert outcomes() == {Outcome.INSERTED: 1, Outcome.REJECTED: 2}


@jsonshapes
@pytest.mark.parametrize("limit", ["-1", "two", "101%", "1.5", ""])
def test_a_limit_that_is_none(case: Path, user: User, limit: str) -> None:
    assert (
        "neither a number of events nor a percentage"
        in runs(user, "array.json", f"--max-rejects={limit}", status=2)[-1]
    )


@jsonshapes
def test_when_everything_is_rejected_the_status_is_3_even_if_quiet(case: Path, user: User) -> None:
    Path("a.jsonl").write_text(BAD % 1)
    assert runs(user, "a.jsonl", "--quiet", status=3) == [
        f"every event was rejected, the first: {case}/a.jsonl, byte 0: field a: '1,5' is not a number: {BAD[:-1] % 1}"
    ]


csvde = pytest.mark.parametrize("case", ["csvde"], indirect=True)


@csvde
@pytest.mark.parametrize("name", ["a.csv", "sep.csv", "utf16.csv", "cp1252.csv"])
def test_spreadsheets_of_a_german_windows(case: Path, user: User, name: str) -> None:
    Path("p.toml").write_text(Path("p.toml").read_text().replace('sum = "Betrag", scale = 2', 'sum = "Ver"'))
    runs(user, name, *(["--encoding", "cp1252"] if name == "cp1252.csv" else []))
    assert outcomes() == {Outcome.INSERTED: 2}
    with StoreFile.open("s.db") as reader:
        assert [row.path for row in reader.totals("t").rows] == ["", "Bad\\r\\nHomburg", "Köln"]


@csvde
def test_a_row_that_is_not_utf8_says_the_way_on(case: Path, user: User) -> None:
    Path("p.toml").write_text(Path("p.toml").read_text().replace('sum = "Betrag", scale = 2', 'sum = "Ver"'))
    said = "\n".join(runs(user, "cp1252.csv"))
    assert "not UTF-8" in said
    assert "text in another encoding than UTF-8 is read with --encoding" in said
    assert outcomes() == {Outcome.INSERTED: 1, Outcome.REJECTED: 1}


@csvde
@pytest.mark.parametrize("missing", ["zero", "reject"])
def test_a_column_that_is_not_there_is_said_before_anything_is_read(case: Path, user: User, missing: str) -> None:
    Path("p.toml").write_text(
        Path("p.toml").read_text().replace('sum = "Betrag", scale = 2', f'sum = "Betrg", missing = "{missing}"')
    )
    said = runs(user, "a.csv", status=3 if missing == "reject" else 0)
    assert said[0] == f"{case}/a.csv: no column Betrg; did you mean Betrag?"
