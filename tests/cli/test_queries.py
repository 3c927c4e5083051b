"""The questions on the command line: what each prints, in every form, and its exit status."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oncefold.cli.check_store import grouped
from oncefold.cli.main import main
from oncefold.queries.render import formatting, screen
from oncefold.queries.render.table import NOT_EXAMINED
from oncefold.queries.store_reader import StoreReader
from oncefold.sources.position import FileState
from tests.queries.stores import MONDAY, SHOP, TWO_TREES, alter, build, lines, shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return shop(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command: its exit status, output and errors."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        status = main(list(map(str, arguments)))
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


def table(text: str) -> list[list[str]]:
    """The cells of plain output, lines apart."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]


def test_json_is_the_form_json_and_no_other(run: Run, store: Path) -> None:
    for command in (["query"], ["explain", "FR"], ["status"], ["verify"], ["conflicts"], ["rejects"], ["check-store"]):
        status, out, _ = run(*command, "--json", "--store", store)
        assert status == 0
        asked = json.loads(run(*command, "--format", "json", "--store", store)[1])
        assert json.loads(out).keys() == asked.keys()
    status, out, err = run("query", "--json", "--format", "csv", "--store", store)
    assert (status, out) == (2, "")
    assert "--json and --format csv ask for two forms" in err


# query


def test_query_prints_a_tree(run: Run, store: Path) -> None:
    status, out, err = run("query", "--depth", "all", "--store", store)
    assert (status, err) == (0, "")
    assert out.splitlines()[:7] == [
        "place              count          amount",
        "(root)                 4  100,002,201.00",
        "  FR                   2          201.00",
        "    Paris              2          201.00",
        "  US                   2  100,002,000.00",
        "    Austin             1  100,000,000.01",
        r"    St. Louis\/MO      1        1,999.99",
    ]
    assert out.splitlines()[-1] == (
        "as of commit 2, 2026-03-02T09:00:01.123456789Z; newest event 2026-03-03T08:40:00Z, 23 h 39 min after it"
    )
    assert "\x1b" not in out


def test_query_of_a_node_a_depth_and_the_past(run: Run, store: Path) -> None:
    assert [row[0] for row in table(run("query", "US", "-s", store)[1])][:4] == [
        "place", "US", "Austin", r"St. Louis\/MO",
    ]  # fmt: skip
    assert len(table(run("query", "US", "-d", "0", "-s", store)[1])) == 3
    past = run("query", "--as-of", "1", "-s", store)[1]
    assert table(past)[1] == ["(root)", "4", "2,215.49"]
    assert "as of commit 1, 2026-03-02T09:00:00.123456789Z" in past
    assert run("query", "--as-of", "2026-03-02T09:00:00.5Z", "-s", store)[1] == past
    empty = run("query", "--as-of", "0", "-s", store)[1]
    assert "No keys count here." in empty
    assert "as of the empty store, before the first commit" in empty


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["query", "FR/Pari"], "there is no node FR/Pari; did you mean FR/Paris?"),
        (["query", "FR/"], "'FR/' has an empty part"),
        (["query", "--rollup", "nope"], "there is no rollup 'nope'; there is: place"),
        (["query", "--as-of", "9"], "there is no commit 9; the last is 2"),
        (["query", "--as-of", "soon"], "'soon' is neither a commit's number nor a time such as"),
        (["query", "--depth", "deep"], "'deep' is neither a number from 0 nor the word all"),
        (["query", "--depth", "-1"], "neither a number"),
        (["query", "-o", "/nowhere/x.csv"], "/nowhere/x.csv: cannot be written: No such file or directory"),
        (["explain", "nowhere"], "at the top there is FR, US"),
        (["history", "nobody"], "no event with the key 'nobody' has arrived"),
        (["verify", "--format", "csv"], "'csv' is not one of 'table', 'json'"),
    ],
)
def test_what_cannot_be_answered_exits_2(run: Run, store: Path, arguments: list[str], words: str) -> None:
    status, out, err = run(*arguments, "--store", store)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_several_trees_must_be_named(run: Run, tmp_path: Path) -> None:
    record = {"book": "b", "id": 1, "v": 1, "type": "x", "region": "y", "value": 1}
    path = build(tmp_path / "s.db", TWO_TREES, lines([record]))
    status, _, err = run("query", "-s", path)
    assert (status, err) == (2, "oncefold: there are several rollups: by_type, by_region; name the one you mean\n")
    assert run("query", "-s", path, "--rollup", "by_region")[0] == 0


def parsed(form: str, text: str) -> list[dict[str, Any]]:
    """The rows of one form of output, with text for every value that is no whole number."""
    if form == "json":
        document = json.loads(text, parse_float=Float)
        assert isinstance(document.pop("lag_seconds"), Float | None)
        assert "Float" not in repr(document)
        rows: list[dict[str, Any]] = document["rows"]
    elif form == "jsonl":
        rows = [json.loads(line, parse_float=refuse) for line in text.splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return rows


class Float(str):
    """A number of JSON that a reader may take for a float."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Float({super().__repr__()})"


def refuse(text: str) -> float:
    raise AssertionError(f"a float: {text}")


AWKWARD = ["a/b", "q\"uo'te", "", "naïve 😀", "back\\slash", "new\nline", "comma,", " space ", "\r", "tab\t"]


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    """A store whose labels and numbers are what forms get wrong."""
    records = [
        {"order": label, "updated": i, "country": label, "city": label, "amount": f"{i}9999999999999.{i}1"}
        for i, label in enumerate(AWKWARD)
    ]
    path = build(tmp_path / "awkward.db", SHOP, lines(records))
    alter(path, "UPDATE total SET sum_amount = '-396140812571321687967719751.67' WHERE node = 0")
    return path


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_text_forms_parse_back_to_the_same(run: Run, awkward: Path, form: str) -> None:
    status, out, _ = run("query", "--depth", "all", "--format", form, "-s", awkward)
    assert status == 0
    with StoreReader.open(awkward) as ask:
        expected = ask.query(depth=None)
    rows = parsed(form, out)
    assert len(rows) == len(expected) == 21
    for row, total in zip(rows, expected, strict=True):
        assert (row["path"], row["label"]) == (total.path, total.label)
        assert (int(row["depth"]), int(row["count"])) == (total.depth, total.count)
        amount = row["measure_amount"] if form == "csv" else row["measures"]["amount"]
        assert isinstance(amount, str)
        assert Decimal(amount) == total.sums["amount"]
        assert amount == str(total.sums["amount"]), "every digit, no separators"


def test_json_says_what_it_is(run: Run, store: Path) -> None:
    document = json.loads(run("query", "FR", "--format", "json", "-s", store)[1])
    assert document.pop("lag_seconds") > 0
    assert document == {
        "commit": 2,
        "commit_time": "2026-03-02T09:00:01.123456789Z",
        "newest_event": "2026-03-03T08:40:00Z",
        "rollup": "place",
        "path": "FR",
        "levels": ["country", "city"],
        "scales": {"amount": 2},
        "rows": [
            {"path": "FR", "depth": 1, "label": "FR", "count": 2, "children": 1, "measures": {"amount": "201.00"}},
            {
                "path": "FR/Paris",
                "depth": 2,
                "label": "Paris",
                "count": 2,
                "children": 0,
                "measures": {"amount": "201.00"},
            },
        ],
        "more": False,
    }


def test_parquet_and_files(run: Run, awkward: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    target.write_text("an old file")
    status, out, _ = run("query", "--depth", "all", "--output", target, "-s", awkward)
    assert (status, out) == (0, "")
    with StoreReader.open(awkward) as ask:
        assert pq.read_table(target).to_pylist() == ask.query(depth=None).to_dicts()
    for name in ("out.json", "out.jsonl", "out.csv", "out.txt"):
        assert run("query", "-o", tmp_path / name, "-s", awkward)[0] == 0
    assert json.loads((tmp_path / "out.json").read_text())["commit"] == 1
    assert (tmp_path / "out.txt").read_text() == run("query", "-s", awkward)[1]
    assert not list(tmp_path.glob(".*")), "nothing unfinished is left"


def test_a_failed_answer_leaves_the_old_file(run: Run, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    assert run("query", "nowhere", "-o", target, "-s", store)[0] == 2
    assert target.read_text() == "old"


def test_parquet_to_a_pipe(store: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["query", "--format", "parquet", "--store", str(store)]) == 0
    assert pq.read_table(io.BytesIO(capfdbinary.readouterr().out)).num_rows == 3


# verify, check-store


def test_verify_says_what_was_compared(run: Run, store: Path) -> None:
    status, out, _ = run("verify", "--store", store)
    assert status == 0
    assert out == f"compared 7 nodes with 5 keys at commit 2, 2026-03-02T09:00:01.123456789Z\nexact\n{NOT_EXAMINED}\n"
    document = json.loads(run("verify", "--store", store, "--format", "json")[1])
    assert (document["exact"], document["nodes"], document["keys"], document["rows"]) == (True, 7, 5, [])


def test_verify_names_the_first_wrong_node_and_exits_1(run: Run, store: Path) -> None:
    alter(store, "UPDATE total SET sum_amount = '201.01' WHERE node = (SELECT id FROM node WHERE path = 'FR/Paris')")
    alter(store, "UPDATE total SET count = 3 WHERE node = (SELECT id FROM node WHERE path = 'US')")
    status, out, _ = run("verify", "--store", store)
    assert status == 1
    assert table(out)[1:] == [
        ["WRONG: FR/Paris of place"],
        ["stored", "recomputed"],
        ["count", "2", "2"],
        ["amount", "201.01", "201.00"],
        ["and 1 more wrong node; --format json lists all"],
    ]
    status, out, _ = run("verify", "--store", store, "--format", "json")
    document = json.loads(out)
    assert (status, document["exact"]) == (1, False)
    assert [wrong["path"] for wrong in document["rows"]] == ["FR/Paris", "US"]
    assert document["rows"][0]["stored"] == {"count": 2, "measures": {"amount": "201.01"}}


def test_verify_deep_also_examines_the_file(run: Run, store: Path) -> None:
    status, out, _ = run("verify", "--deep", "--store", store)
    assert status == 0
    assert "not looked at" not in out
    assert out.splitlines()[1] == "exact"
    assert f"{store}: sound, commit 2" in out
    alter(store, "UPDATE counters SET events = events + 1 WHERE outcome = 'inserted'")
    assert run("verify", "--store", store)[0] == 0
    status, out, _ = run("verify", "--deep", "--store", store)
    assert status == 1
    assert "counters: inserted is" in out
    status, out, _ = run("verify", "--deep", "--store", store, "--format", "json")
    assert (status, json.loads(out)["exact"], json.loads(out)["deep"]["sound"]) == (1, True, False)


def test_check_store_groups_what_it_finds() -> None:
    found = grouped(["page 1: bad", "page 2: bad", "node: the path of 3 is 'a'", "node: the path of 4 is 'b'", "x"])
    assert found == [("page 1: bad", 1), ("node: the path of 3 is 'a'", 1), ("x", 0)]


def test_verify_of_a_total_that_is_no_number(run: Run, store: Path) -> None:
    alter(store, "UPDATE total SET sum_amount = 'much' WHERE node = 0")
    status, out, _ = run("verify", "--store", store)
    assert status == 1
    assert "WRONG: (root) of place" in out
    assert "the stored total is no number: 'much' is not a number" in out
    assert run("query", "--store", store)[0] == 2


def test_check_store(run: Run, store: Path, tmp_path: Path) -> None:
    status, out, _ = run("check-store", "--store", store)
    assert (status, out) == (0, f"{store}: sound, commit 2, 2026-03-02T09:00:01.123456789Z\n")
    assert json.loads(run("check-store", "-s", store, "-f", "json")[1])["findings"] == []
    alter(store, "UPDATE total SET count = 3 WHERE node = 0")
    status, out, _ = run("check-store", "--store", store)
    assert status == 1
    assert "total of place (root)" in out
    assert "1 finding" in out
    assert run("check-store", "--store", tmp_path / "none.db")[0] == 2


# explain, history


def test_explain_prints_the_keys(run: Run, store: Path) -> None:
    status, out, _ = run("explain", "FR", "--store", store)
    assert status == 0
    assert table(out) == [
        ["FR of place: 2 keys"],
        ["amount 201.00"],
        ["key", "version", "leaf", "amount"],
        ["A-1", "2026-03-02T09:00:00Z", "FR/Paris", "120.00"],
        ["A-2", "2026-03-03T08:00:00.250000001Z", "FR/Paris", "81.00"],
        ["All keys are listed; their values add up to the total exactly."],
        ["as of commit 2, 2026-03-02T09:00:01.123456789Z"],
    ]
    out = run("explain", "", "--limit", "3", "--store", store)[1]
    assert "3 of 4 keys are listed; --limit all lists every one." in out
    assert "add up" not in out
    assert "No keys count here." in run("explain", "FR/Lyon", "--store", store)[1]


def test_explain_in_machine_forms(run: Run, store: Path) -> None:
    document = json.loads(run("explain", "", "--limit", "all", "-f", "json", "-s", store)[1])
    assert (document["count"], document["complete"], document["adds_up"]) == (4, True, True)
    assert document["measures"] == document["total"]["measures"] == {"amount": "100002201.00"}
    assert sum(Decimal(row["measures"]["amount"]) for row in document["rows"]) == Decimal("100002201.00")
    status, out, err = run("explain", "", "--limit", "3", "-f", "csv", "-s", store)
    assert (status, len(parsed("csv", out))) == (0, 3)
    assert err == "oncefold: 3 of 4 keys are listed; --limit all lists every one\n"
    assert parsed("csv", out)[1]["version"] == "2026-03-03T08:00:00.250000001Z"


def test_explain_of_what_does_not_add_up_exits_1(run: Run, store: Path) -> None:
    alter(store, "UPDATE total SET sum_amount = '0.01' WHERE node = (SELECT id FROM node WHERE path = 'FR')")
    status, out, _ = run("explain", "FR", "--store", store)
    assert status == 1
    assert "do NOT add up" in out


def test_history_prints_what_was_accepted(run: Run, store: Path) -> None:
    status, out, _ = run("history", "A-2", "--every", "--store", store)
    assert status == 0
    first, second = "2026-03-02T09:00:00.123456789Z", "2026-03-02T09:00:01.123456789Z"
    assert table(out) == [
        ["A-2 counts at version 2026-03-03T08:00:00.250000001Z in FR/Paris"],
        ["commit", "time", "outcome", "version", "leaf", "amount"],
        ["1", first, "inserted", "2026-03-02T09:05:00Z", "FR/Lyon", "80.50"],
        ["2", second, "corrected", "2026-03-03T08:00:00.250000001Z", "FR/Paris", "81.00"],
        ["2", second, "stale", "2026-03-02T09:01:00Z", "FR/Lyon", "79.00"],
        ["This is all that ever arrived."],
        [f"as of commit 2, {second}"],
    ]
    assert "stale" not in run("history", "A-2", "--store", store)[1]
    deleted = run("history", "A-5", "--store", store)[1]
    assert "A-5 is deleted at version 2026-03-03T08:30:00Z" in deleted
    assert "(delete)" in deleted


def test_history_in_machine_forms(run: Run, store: Path) -> None:
    document = json.loads(run("history", "A-5", "-f", "json", "-s", store)[1])
    assert document["current"] == {"deleted": True, "version": "2026-03-03T08:30:00Z", "leaf": None, "measures": {}}
    assert document["rows"][1]["measures"] == {"amount": None}
    inserted, deleted = parsed("csv", run("history", "A-5", "-f", "csv", "-s", store)[1])
    assert (inserted["measure_amount"], deleted["measure_amount"], deleted["leaf"]) == ("15.00", "", "")


def test_history_says_what_is_beyond_the_retention(run: Run, store: Path) -> None:
    alter(store, "UPDATE meta SET value = '1' WHERE key = 'changes_from'")
    out = run("history", "A-2", "--store", store)[1]
    assert (
        "What arrived up to commit 1, 2026-03-02T09:00:00.123456789Z, is not shown: it is beyond the retention" in out
    )


def test_whole_versions_are_text_in_json(run: Run, tmp_path: Path) -> None:
    record = {"book": "US", "id": "Texas", "v": 2**53 + 1, "type": "x", "region": "y", "value": 1}
    path = build(tmp_path / "s.db", TWO_TREES, lines([record]))
    (row,) = parsed("jsonl", run("history", "US/Texas", "-f", "jsonl", "-s", path)[1])
    assert row["version"] == "9007199254740993"


# rejects, conflicts


def test_rejects_are_cut_unless_asked_whole(run: Run, tmp_path: Path) -> None:
    long = b"x" * 300
    path = build(tmp_path / "s.db", SHOP, long + b"\n" + b"\x1b[31mred\n")
    out = run("rejects", "list", "--store", path)[1]
    assert "x" * 59 + "…" in out
    assert "x" * 60 not in out
    assert r"\x1b[31mred" in out
    assert "2 rejected events." in out
    assert long.decode() in run("rejects", "list", "--raw", "--store", path)[1]
    assert "1 of 2 rejected events are listed" in run("rejects", "list", "--limit", "1", "--store", path)[1]


def test_rejects_in_machine_forms_are_whole(run: Run, tmp_path: Path) -> None:
    path = build(tmp_path / "s.db", SHOP, b'a "quoted", text\n\xff\xfe\n')
    for form in ("json", "jsonl", "csv"):
        text, binary = parsed(form, run("rejects", "list", "--format", form, "--store", path)[1])
        assert text["raw"] == 'a "quoted", text'
        assert not binary["raw"]
        assert (text["raw_base64"] or "", binary["raw_base64"]) == ("", "//4=")
    assert run("rejects", "list", "-o", tmp_path / "r.parquet", "--store", path)[0] == 0
    assert pq.read_table(tmp_path / "r.parquet").column("raw").to_pylist() == [b'a "quoted", text', b"\xff\xfe"]


def test_no_rejects_and_no_conflicts(run: Run, tmp_path: Path) -> None:
    path = build(tmp_path / "s.db", SHOP, lines(MONDAY[:1]))
    assert run("rejects", "list", "-s", path)[1].startswith("0 rejected events.\n")
    assert run("conflicts", "-s", path)[1].startswith("0 conflicts.\n")
    heading = "id,commit,time,source,position,unit,reason,raw,raw_base64,size,format,context\n"
    assert run("rejects", "list", "-f", "csv", "-s", path)[1] == heading


def test_conflicts_print_both_sides(run: Run, store: Path) -> None:
    out = run("conflicts", "--store", store)[1]
    assert table(out)[1] == [
        "2", "A-3", "2026-03-02T09:07:00Z", r"US/St. Louis\/MO amount=1,999.99", r"US/St. Louis\/MO amount=1,999.98",
    ]  # fmt: skip
    (row,) = parsed("jsonl", run("conflicts", "-f", "jsonl", "--store", store)[1])
    assert (row["kept_measures"], row["dropped_measures"]) == ({"amount": "1999.99"}, {"amount": "1999.98"})


# status


def test_status_prints_the_store(run: Run, store: Path) -> None:
    status, out, _ = run("status", "--store", store)
    assert status == 0
    assert "pipeline shop" in out
    assert re.search(r"^last +commit 2, 2026-03-02T09:00:01.123456789Z$", out, re.MULTILINE)
    assert re.search(r"^newest event +2026-03-03T08:40:00Z, .* ago$", out, re.MULTILINE)
    assert "keys         4 counted, 5 ever met; 7 nodes" in out
    assert "1 conflict lost, 1 rejected" in out
    assert "rejects      1; see: oncefold rejects" in out
    assert "kept for 30 d" in out
    document = json.loads(run("status", "-f", "json", "-s", store)[1])
    assert document["commit"] == 2
    assert document["counts"]["inserted"] == 5
    assert document["behind_seconds"] > 0
    assert document["sources"][0]["source"] == "events.jsonl"


def test_status_shows_the_lag_of_files(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"x" * 4096)
    half = FileState("text", 2048, 2048, "", "").position(str(file))
    gone = FileState("text", 10, 10, "", "").position(str(tmp_path / "gone.jsonl"))
    done = FileState("parquet", 7, 4096, "", "", done=True).position(str(file) + ".parquet")
    (tmp_path / "events.jsonl.parquet").write_bytes(b"x" * 4096)
    path = build(tmp_path / "s.db", SHOP, lines(MONDAY), positions={1: [half, gone, done]})
    rows = table(run("status", "-s", path)[1])
    assert [str(file), "byte 2,048", "50.0 %", "2.0 KiB", "1"] in rows
    assert [str(tmp_path / "gone.jsonl"), "byte 10", "the file is gone", "1"] in rows
    assert [f"{file}.parquet", "row 7", "100 %", "none", "1"] in rows


# screens and words


def test_a_terminal_gets_boxes_and_a_pipe_plain_text(monkeypatch: pytest.MonkeyPatch, run: Run, store: Path) -> None:
    plain = run("query", "-s", store)[1]
    assert "─" not in plain
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    dressed = run("query", "-s", store)[1]
    assert "─" in dressed
    assert "100,002,201.00" in dressed
    status, _, err = run("query", "-f", "parquet", "-s", store)
    assert (status, "not for a terminal" in err) == (2, True)
    monkeypatch.setattr(screen, "_DRESSED_ROWS", 2)
    assert "─" not in run("query", "-s", store)[1]


def test_wide_and_unprintable_labels_stay_in_line(run: Run, tmp_path: Path) -> None:
    records = [
        {"order": i, "updated": 1, "country": c, "city": "x", "amount": 1}
        for i, c in enumerate(("日本", "\x1b[0m", ""))
    ]
    out = run("query", "-s", build(tmp_path / "s.db", SHOP, lines(records)))[1]
    assert out.splitlines()[1:5] == [
        "(root)         3    3.00",
        r"  \e           1    1.00",
        r"  \x1b[0m      1    1.00",
        "  日本         1    1.00",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("-1234567.05"), "-1,234,567.05"),
        (Decimal("0.00"), "0.00"),
        (Decimal("-0.50"), "-0.50"),
        (Decimal("0E-18"), "0.000000000000000000"),
        (Decimal("39614081257132168796771975167.00"), "39,614,081,257,132,168,796,771,975,167.00"),
        (-1234567, "-1,234,567"),
    ],
)
def test_numbers_keep_every_digit(value: Decimal | int, text: str) -> None:
    assert formatting.number(value) == text


def test_sizes_and_spans() -> None:
    assert [formatting.size(n) for n in (0, 1023, 1024, 5 * 2**30)] == ["0 B", "1,023 B", "1.0 KiB", "5.0 GiB"]
    spans = {0.25: "0.25 s", 59.9: "59.9 s", 60: "1 min", 3_661: "1 h 1 min", 90_000: "1 d 1 h", -86_400: "1 d"}
    assert {seconds: formatting.span(timedelta(seconds=seconds)) for seconds in spans} == spans


def test_texts_that_a_spreadsheet_would_compute_have_an_apostrophe_where_asked(run: Run, tmp_path: Path) -> None:
    odd = ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "plain"]
    events = [{**MONDAY[0], "order": f"{label}-{number}", "country": label} for number, label in enumerate(odd)]
    store = build(tmp_path / "odd.db", SHOP, lines(events))
    for command, column in (("query", "label"), ("explain", "key")):
        arguments = [command, *([""] if command == "explain" else []), "--store", store, "--format", "csv"]
        plain, safe = (
            [row[column] for row in csv.DictReader(io.StringIO(run(*arguments, *more)[1], newline=""))]
            for more in ([], ["--csv-safe"])
        )
        assert [f"'{text}" if text.startswith(("=", "+", "-", "@")) else text for text in plain] == safe
        assert any(text.startswith("'=") for text in safe)
    assert run("query", "--store", store, "--format", "json", "--csv-safe")[0] == 0


def test_children_come_in_parts(run: Run, store: Path) -> None:
    status, out, _ = run("query", "--limit", "1", "--store", store)
    assert status == 0
    assert "FR" in out
    assert "US" not in out
    assert "There are more children; --after 'FR' shows those that follow." in out
    assert "US" in run("query", "--limit", "1", "--after", "FR", "--store", store)[1]
    assert "there are more children" in run("query", "--limit", "1", "--format", "csv", "--store", store)[2]
