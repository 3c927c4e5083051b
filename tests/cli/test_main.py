"""The command `oncefold` as a whole: its help, its errors, how quickly it starts."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from oncefold.cli import lazy, main
from oncefold.cli.main import SECTIONS, oncefold
from oncefold.core.errors import StoreError
from tests.queries.stores import shop


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None, f"{name} cannot be loaded"
            yield from commands(found, (*path, name))


ALL = list(commands(oncefold))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(("oncefold", *path)) for path, _ in ALL])
def test_the_help_of_every_command_has_an_example(
    path: tuple[str, ...], command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    examples = text[text.index("Examples:") :]
    if path:
        assert f"oncefold {' '.join(path)}" in examples
    for option in re.findall(r"(?<= )--[a-z][a-z-]*", "\n".join(re.findall(r"^ *oncefold .*", examples, re.MULTILINE))):
        assert option in {name for _, known in ALL for parameter in known.params for name in parameter.opts}, option


def test_the_help_lists_every_command_in_its_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert re.findall(r"^(\w+):$", text, re.MULTILINE) == ["Options", "Define", "Run", "Query", "Tools"]
    names = [command.name for section in SECTIONS for command in section.commands]
    assert len(names) == len(set(names)) >= 11
    assert all(re.search(rf"^  {name} +[A-Z].*\.$", text, re.MULTILINE) for name in names)


def test_a_lazy_command_has_its_own_name() -> None:
    for path, command in ALL:
        if path:
            assert command.name == path[-1]


def test_version_and_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--version"]) == 0
    version = capsys.readouterr().out
    assert re.fullmatch(r"oncefold \d+\.\d+\.\d+.*\n", version)
    again = subprocess.run([sys.executable, "-m", "oncefold", "--version"], capture_output=True, text=True, check=True)
    assert again.stdout == version


def test_errors_are_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["query", "--store", str(tmp_path / "none.db")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"oncefold: {tmp_path / 'none.db'}: no such store; `oncefold run` creates one\n"
    assert main.main(["query", "--nonsense"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main.main(["nonsense"]) == 2


def raising(error: BaseException) -> click.Command:
    @click.command()
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (StoreError("the words"), 2, "oncefold: the words\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.ClickException("the words"), 1, "Error: the words\n"),
    ],
)
def test_what_becomes_of_errors(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    shown: str,
) -> None:
    monkeypatch.setattr(lazy.Lazy, "load", lambda _: raising(error))
    assert main.main(["query"]) == status
    assert capsys.readouterr().err.strip() == shown.strip()


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy.Lazy, "load", lambda _: raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main.main(["query"])


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m oncefold query --depth all --store {shop(tmp_path)} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


IMPORTED = """
import sys
from oncefold.cli.main import program
commands = sys.argv[1:]
for command in commands:
    sys.argv[1:] = command.split()
    assert program() == 0, command
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(*commands: str) -> set[str]:
    """The top-level modules that commands import."""
    done = subprocess.run([sys.executable, "-c", IMPORTED, *commands], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_little() -> None:
    assert not imported("--help", "query --help") & {"llvmlite", "numba", "numpy", "pandas", "pyarrow", "rich"}


def test_a_command_ends_without_collecting_all_objects() -> None:
    end = "import gc, sys; from oncefold.cli.main import program; program(); print(gc.get_freeze_count() > 1000)"
    done = subprocess.run([sys.executable, "-c", end, "check", "none.toml"], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_run_of_few_events_leaves_slow_modules_alone(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        'name = "p"\n[event]\nkey = "k"\n[rollups]\nby = ["c"]\n[measures]\na = { sum = "a", scale = 0 }\n'
    )
    (tmp_path / "e.csv").write_text("k,c,a\nx,DE,1\ny,FR,2\n")
    run = ["run", tmp_path / "p.toml", tmp_path / "e.csv", "--store", tmp_path / "s.db", "--quiet"]
    command = [sys.executable, "-X", "importtime", "-m", "oncefold", *run]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "oncefold.engine.run" in loaded
    assert sys.platform != "linux" or platform.machine() != "x86_64" or "llvmlite" not in loaded
    assert sys.platform == "win32" or "filelock" not in loaded
    assert not loaded & {
        "difflib",
        "numba",
        "pandas",
        "pyarrow.compute",
        "pyarrow.parquet",
        "rich",
        "sqlglot",
        "importlib.metadata",
        "subprocess",
        "oncefold.kernels.compiler",
        "oncefold.queries.model",
        "oncefold.store.reader",
        "oncefold.store.replacement",
    }


def test_queries_load_no_kernels(tmp_path: Path) -> None:
    store = f"--store {shop(tmp_path)}"
    queries = ["query", "verify", "explain FR", "history A-1", "rejects", "conflicts", "status", "check-store"]
    assert not imported(*(f"{query} {store}" for query in queries)) & {"llvmlite", "numba", "pandas"}


def test_a_run_compiles_nothing_and_looks_for_no_data_frames(tmp_path: Path) -> None:
    """It runs compiled kernels: a checkout's tests compile them before."""
    pipeline, events, store = tmp_path / "p.toml", tmp_path / "e.jsonl", tmp_path / "s.db"
    pipeline.write_text(
        'name = "p"\n[event]\nkey = "k"\n[rollups]\nr = ["l"]\n[measures]\nm = { sum = "m", scale = 2 }\n'
    )
    events.write_text("".join(f'{{"k": "{n}", "l": "x", "m": {n}.5}}\n' for n in range(5)))
    modules = imported(f"run {pipeline} {events} --store {store}", f"query --store {store}")
    assert "numpy" in modules
    assert not modules & {"numba", "pandas", "granian"}


def test_the_store_is_named_or_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ONCEFOLD_STORE", raising=False)
    (tmp_path / "empty").mkdir()
    path = shop(tmp_path)
    monkeypatch.chdir(tmp_path / "empty")
    assert main.main(["query"]) == 2
    assert "There is no *.db file in this folder; name one with --store" in capsys.readouterr().err
    monkeypatch.setenv("ONCEFOLD_STORE", str(path))
    assert main.main(["query"]) == 0
    monkeypatch.delenv("ONCEFOLD_STORE")
    monkeypatch.chdir(tmp_path)
    assert main.main(["query"]) == 0
    (tmp_path / "other.db").touch()
    capsys.readouterr()
    assert main.main(["query"]) == 2
    assert "several *.db files in this folder: other.db, shop.db; name one" in capsys.readouterr().err
    assert main.main(["query", "-s", "shop.db"]) == 0
    capsys.readouterr()
    assert main.main(["query", "-s", "other.db"]) == 2
    assert "other.db: the file is empty, no store yet" in capsys.readouterr().err


def test_rejects_alone_lists_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(shop(tmp_path))
    assert main.main(["rejects", "list", "--store", path]) == 0
    listed = capsys.readouterr().out
    assert main.main(["rejects", "--store", path]) == 0
    assert capsys.readouterr().out == listed
    assert main.main(["rejects", "nonsense"]) == 2
    assert "No such command 'nonsense'" in capsys.readouterr().err


def test_the_environment_of_the_tests_is_clean() -> None:
    assert "ONCEFOLD_STORE" not in os.environ
