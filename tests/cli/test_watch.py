"""`oncefold watch`: on a terminal, as lines and as JSON."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.names import Names
from oncefold.cli.main import main
from tests.aws.conftest import aws, emulator, stack  # noqa: F401 - fixtures
from tests.aws.reader.stacks import fill
from tests.queries.stores import MONDAY, SHOP, TUESDAY, build, events, lines
from tests.tools.processes import COMMAND
from tests.tools.sizes import full_only, in_full
from tests.watch.terminal import LEAVE, Terminal, plain

Run = Callable[..., tuple[int, str, str]]

LIT = "\x1b[1;33m"
"""Before a number that changed."""
CLEAR = "\x1b[2J"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ONCEFOLD_STORE", "ONCEFOLD_STACK", "ONCEFOLD_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shop.db"


@pytest.fixture
def run(path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `oncefold watch ...`, with looks in quick succession: its exit status, output and errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["watch", *map(str, arguments), "--every", "0.01"])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


def monday(path: Path) -> Path:
    return build(path, SHOP, lines(MONDAY))


def tuesday(path: Path) -> Path:
    """Afterwards 4 keys are left, and Lyon has none."""
    return build(path, SHOP, lines(TUESDAY))


# lines and JSON


def test_each_look_whose_totals_changed_is_a_block_of_lines(run: Run, path: Path) -> None:
    monday(path)
    status, out, err = run("--looks", 3)
    assert (status, err) == (0, "")
    first, second, empty, *table = out.splitlines()
    assert first == "5 events in 1 commit; pipeline shop, shop.db"
    assert second.startswith("commit 1, 2026-03-02T09:00:00.123456789Z; newest event 2026-03-02T09:11:00Z, ")
    assert [line.split() for line in [empty, *table]] == [
        ["place", "count", "amount"],
        ["(root)", "4", "2,215.49"],
        ["FR", "3", "215.50"],
        ["Lyon", "1", "80.50"],
        ["Paris", "2", "135.00"],
        ["US", "1", "1,999.99"],
        ["St.", "Louis\\/MO", "1", "1,999.99"],
        [],
    ]


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_one_object_a_look_with_the_rows_of_query(
    run: Run, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monday(path)
    assert main(["query", "--depth", "all", "--format", "json"]) == 0
    query = json.loads(capsys.readouterr().out)
    status, out, _ = run("--json", "--looks", 2)
    (document,) = documents(out)
    assert status == 0
    assert document.pop("lag_seconds") >= query.pop("lag_seconds")
    assert {key: document[key] for key in query} == query
    assert (document["events"], document["events_per_second"], document["changed"]) == (5, None, {})


def test_scripts_see_every_change_of_a_store_that_is_made_and_replaced(path: Path) -> None:
    command = [*COMMAND, "watch", "--json", "--every", "0.02", "--store", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        try:
            assert "waiting: " in (line := watch.stderr.readline())
            assert "no such store" in line
            monday(path)
            made = next(document for line in watch.stdout if (document := json.loads(line))["commit"])
            tuesday(path)
            changed = json.loads(watch.stdout.readline())
            assert (made["commit"], changed["commit"]) == (1, 2)
            assert changed["changed"]["FR/Paris"] == ["measure_amount"]
            assert changed["changed"][""] == ["measure_amount"]
            assert changed["changed"]["US"] == ["count", "measure_amount"]
            assert "FR/Lyon" not in {row["path"] for row in changed["rows"]}

            build(path.with_name("new.db"), SHOP, lines(MONDAY[:1])).replace(path)
            assert [row["measures"]["amount"] for row in json.loads(watch.stdout.readline())["rows"]] == ["120.00"] * 3
        finally:
            watch.send_signal(signal.SIGINT)
            rest = watch.stderr.read()
        assert watch.wait() == 0
        assert all(line.startswith("oncefold: waiting: ") for line in rest.splitlines())


def test_it_ends_when_nobody_reads_any_more(path: Path) -> None:
    monday(path)
    command = [*COMMAND, "watch", "--store", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert "pipeline shop" in watch.stdout.readline()
        watch.stdout.close()
        assert watch.stderr.read() == ""
        assert watch.wait() == 0


def test_a_stack_is_watched_by_name_or_environment(
    run: Run,
    stack: Names,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY)))
    status, out, _ = run("--aws", stack.stack, "--looks", 2)
    assert status == 0
    assert out.startswith(f"4 keys; pipeline shop, stack {stack.stack}\nat ")
    assert "nothing is pending" in out
    assert "events" not in out

    monkeypatch.setenv("ONCEFOLD_STACK", stack.stack)
    _, out, _ = run("FR", "--depth", 0, "--json", "--looks", 1)
    (document,) = documents(out)
    assert (document["stack"], document["pending"]["deltas"]) == (stack.stack, 0)
    assert [row["measures"]["amount"] for row in document["rows"]] == ["215.50"]


def test_a_typed_name_counts_before_one_of_the_environment(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday(path)
    monkeypatch.setenv("ONCEFOLD_STACK", "elsewhere")
    assert run("--store", path, "--looks", 1)[0] == 0
    for arguments in (["--store", path, "--aws", "other"], []):
        monkeypatch.setenv("ONCEFOLD_STORE", str(path))
        status, out, err = run(*arguments, "--looks", 1)
        assert (status, out) == (2, "")
        assert "which?" in err


def test_looks_that_saw_nothing_end_with_status_1(run: Run, path: Path) -> None:
    status, out, err = run("--store", path, "--looks", 3)
    assert (status, out) == (1, "")
    assert err == f"oncefold: waiting: {path}: no such store; `oncefold run` creates one\n"
    monday(path)
    assert run("ES", "--looks", 1) == (
        1,
        "",
        "oncefold: waiting: there is no node ES: at the top there is FR, US\n",
    )


def test_what_cannot_be_watched_is_told_in_one_line(run: Run, path: Path) -> None:
    path.write_text("no store, and never was one\n" * 100)
    cases: list[tuple[list[object], str]] = [
        (["--store", path], "not a store"),
        (["--store", path.parent], "this is a directory"),
        (["--store", path / "nowhere" / "shop.db"], "there is no folder"),
        (["--aws", "no stack"], "is no name for a stack"),
    ]
    for arguments, words in cases:
        status, out, err = run(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert words in err


# on a terminal


def test_a_terminal_shows_totals_as_they_move_until_q(path: Path) -> None:
    with Terminal("watch", "--store", path, "--every", "0.05", lines=20, columns=90) as terminal:
        terminal.shows("waiting: ", "oncefold run", "q ends")
        monday(path)
        terminal.shows("5 events in 1 commit", "2,215.49", "Lyon", "q ends")
        tuesday(path)
        terminal.shows("11 events in 2 commits", "100,002,201.00")

        terminal.resize(8, 60)
        terminal.shows("(root)", "more lies below")
        terminal.until(lambda: len(terminal.screen) == 8, "a picture of the new height")
        assert "Paris" not in "\n".join(terminal.screen)
        assert all(len(line) <= 60 for line in terminal.screen)
        terminal.resize(20, 90)
        terminal.shows("Paris")

        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.left_in_order
        assert "100,002,201.00" in plain(terminal.written.rpartition(LEAVE)[2])


@full_only("a terminal, 1 s")
def test_numbers_that_changed_are_highlighted_and_nothing_flickers(path: Path) -> None:
    monday(path)
    with Terminal("watch", "--store", path, "--every", "0.05", lines=20, columns=90) as terminal:
        terminal.shows("2,215.49")
        assert not any(LIT in frame for frame in terminal.frames)
        tuesday(path)
        terminal.until(lambda: any(LIT in frame for frame in terminal.frames[:-1]), "a highlighted number")
        frame = next(frame for frame in terminal.frames if LIT in frame)
        lit = {plain(line).split()[0]: line.count(LIT) for line in plain_but_lit(frame)}
        assert lit["(root)"] == 1
        assert lit["US"] == 2
        assert lit["place"] == 0
        terminal.until(lambda: LIT not in terminal.frames[-2], "the next picture without them")
        # Each picture is written over the last, from the corner and over the whole screen: nothing is ever cleared.
        assert CLEAR not in "".join(terminal.frames)
        assert all(len(plain(frame).split("\n")) >= 20 for frame in terminal.frames[1:-1] if frame)
        terminal.press("\x03")
        assert terminal.end() == 0
        assert terminal.left_in_order


def plain_but_lit(frame: str) -> list[str]:
    return [line for line in frame.replace("\r", "").split("\n") if plain(line).strip()]


@pytest.mark.parametrize("number", [signal.SIGINT, *in_full("1 s", signal.SIGTERM)])
def test_a_signal_leaves_the_terminal_in_order(path: Path, number: signal.Signals) -> None:
    with Terminal("watch", "--store", path) as terminal:
        terminal.shows("waiting: ")
        terminal.process.send_signal(number)
        assert terminal.end() == 0
        assert terminal.left_in_order


@full_only("a terminal, 1 s")
def test_an_error_is_told_on_the_terminal_as_it_was_found(path: Path) -> None:
    monday(path)
    with Terminal("watch", "--store", path, "--rollup", "nothing") as terminal:
        assert terminal.end() == 2
        assert terminal.left_in_order
        assert "oncefold: there is no rollup 'nothing'; there is: place" in terminal.written


@full_only("a terminal, 1 s")
def test_looks_end_on_a_terminal_too(path: Path) -> None:
    monday(path)
    with Terminal("watch", "--store", path, "--looks", 2, "--every", "0.01") as terminal:
        assert terminal.end() == 0
        assert "2,215.49" in terminal.written.rpartition(LEAVE)[2]
