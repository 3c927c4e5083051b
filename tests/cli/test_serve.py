"""`oncefold serve`: its help, and what it refuses before it listens."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oncefold.cli.definition import EXAMPLE
from oncefold.cli.main import main
from oncefold.serve.security.tokens import Scope
from oncefold.serve.server import service as server
from oncefold.serve.settings import Settings

SECRET = "a-token-that-is-long-enough"
Run = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline file, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("STORE", "INGEST_TOKEN", "READ_TOKEN", "ADMIN_TOKEN"):
        monkeypatch.delenv(f"ONCEFOLD_{name}", raising=False)
    Path("pipeline.toml").write_text(EXAMPLE)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of servers, which are not started."""
    found: list[Settings] = []
    monkeypatch.setattr(server, "serve", found.append)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str]:
        status = main(["serve", *map(str, arguments)])
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return call


def test_help_groups_the_options_and_has_examples(run: Run) -> None:
    status, words = run("--help")
    assert status == 0
    headings = ["Store and address:", "Who may use it:", "Sources read beside it:", "Limits:", "Other:", "Examples:"]
    assert sorted(headings, key=words.index) == headings
    for option in ("--store", "--host", "--port", "--token-file", "--source", "--follow", "--max-body", "--log"):
        assert words.count(f"{option} ") + words.count(f"{option}\n") >= 1
    assert "PIPELINE\n  --log" not in words


def test_settings_are_those_that_were_typed(run: Run, served: list[Settings]) -> None:
    tokens = Path("tokens")
    tokens.write_text(f"read {SECRET}\n")
    tokens.chmod(0o600)
    options = [
        "--store",
        "x.db",
        "--host",
        "0.0.0.0",
        "--port",
        0,
        "--token-file",
        tokens,
        "--source",
        "a",
        "--source",
        "b",
    ]
    options += ["--follow", "--max-body", "2MB", "--max-line", "1MiB", "--host-name", "t.example.com", "--log", "json"]
    assert run("pipeline.toml", *options)[0] == 0
    (settings,) = served
    assert (settings.store, settings.host, settings.port, settings.log) == (Path("x.db"), "0.0.0.0", 0, "json")
    assert (settings.sources, settings.follow) == (("a", "b"), True)
    assert (settings.max_body, settings.max_line) == (2_000_000, 2**20)
    assert settings.access.tokens.scopes_of(SECRET.encode()) == {Scope.READ}
    assert settings.access.host_names == {"t.example.com"}
    assert SECRET not in repr(settings)


def test_without_options_it_serves_this_machine_alone(run: Run, served: list[Settings]) -> None:
    assert run("pipeline.toml")[0] == 0
    (settings,) = served
    assert (settings.host, settings.store, settings.access.loopback) == ("127.0.0.1", Path("risk.db"), True)
    assert not settings.access.tokens
    assert settings.log == "json"  # no terminal here


def test_tokens_come_from_the_environment_too(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCEFOLD_INGEST_TOKEN", SECRET)
    assert run("pipeline.toml", "--host", "::")[0] == 0
    assert served[0].access.tokens.scopes == {Scope.INGEST}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["none.toml"], "none.toml"),
        (["pipeline.toml", "--host", "0.0.0.0"], "there is no token: give --token-file FILE"),
        (["pipeline.toml", "--host-name", "a.example"], "--host-name lets requests in"),
        (["pipeline.toml", "--cors-origin", "*"], "--cors-origin *: give one origin"),
        (["pipeline.toml", "--token-file", "none"], "none: the token file cannot be read: No such file"),
        (["pipeline.toml", "--max-body", "lots"], "'lots' is no size; write 500kB"),
        (["pipeline.toml", "--max-body", "0"], "is no size"),
        (["pipeline.toml", "--max-line", "1GB"], "--max-line: an event may have"),
        (["pipeline.toml", "--port", "65536"], "--port"),
        (["pipeline.toml", "--follow"], "name them with --source"),
        (["pipeline.toml", "--retention", "soon"], "--retention"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_made(
    run: Run, served: list[Settings], here: Path, options: list[str], words: str
) -> None:
    status, said = run(*options)
    assert status == 2
    assert words in said
    assert "Traceback" not in said
    assert not served
    assert [path.name for path in here.iterdir()] == ["pipeline.toml"]


def test_a_missing_extra_is_told_with_the_way_to_install_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name == "granian" or name.startswith(("granian.", "oncefold.serve.server", "oncefold.serve.transport")):
            monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == "granian":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    status, said = run("pipeline.toml")
    assert (status, said) == (2, "oncefold: the server needs granian: pip install 'oncefold[serve]'\n")
