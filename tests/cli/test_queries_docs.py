"""The guide to the questions is held to the code: its commands are run, and its outputs compared."""

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from oncefold.cli.main import main, oncefold
from tests.queries.stores import alter

PAGE = Path(__file__).parents[2] / "docs" / "QUERIES.md"
TEXT = PAGE.read_text(encoding="utf-8")
ALTERED = " # after that"

_CHANGING = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{4,9}Z", "TIME"),
    (r"[\d,.]+ (?:d|h|min|s)(?: \d+ (?:h|min|s))? (ago|before|after)", r"SPAN \1"),
    (r"[\d,.]+ [KMG]iB", "SIZE"),
    (r'"lag_seconds": [\d.]+', "LAG"),
    (r"\S*/(?=(?:mon|tues)day\.jsonl)", "/"),
]
"""What differs from run to run, and what stands for it: commit times, how long ago, file sizes, folders."""


def fenced(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def examples() -> Iterator[tuple[str, str]]:
    """The commands of the guide, each with the output that it shows."""
    for block in fenced("console"):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            yield command, output


def settled(output: str) -> list[list[str]]:
    """The words of each line, without what differs from run to run."""
    for pattern, stand_in in _CHANGING:
        output = re.sub(pattern, stand_in, output)
    return [line.split() for line in output.splitlines() if line.strip()]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """The guide's example, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONCEFOLD_STORE", raising=False)
    Path("shop.toml").write_text(fenced("toml")[0])
    monday, tuesday = fenced("json")
    Path("monday.jsonl").write_text(monday)
    Path("tuesday.jsonl").write_text(tuesday)
    for day in ("monday", "tuesday"):
        assert main(["run", "shop.toml", f"{day}.jsonl", "--store", "shop.db"]) == 0
    capsys.readouterr()
    return tmp_path / "shop.db"


def test_the_commands_print_what_the_guide_shows(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, output in examples():
        if command.endswith(ALTERED):
            alter(
                shop,
                "UPDATE total SET sum_amount = '201.01' WHERE node = (SELECT id FROM node WHERE path = 'FR/Paris')",
            )
        main(shlex.split(command.removesuffix(ALTERED))[1:])
        shown = capsys.readouterr()
        assert settled(shown.out + shown.err) == settled(output), command


def test_the_python_examples_give_what_the_guide_shows(shop: Path) -> None:
    session = doctest.DocTestParser().get_doctest("".join(fenced("python")), {}, PAGE.name, str(PAGE), 0)
    assert len(session.examples) > 20
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(session)
    assert runner.failures == 0


def test_the_guide_has_every_question() -> None:
    sections = set(re.findall(r"^## (\S+)$", TEXT, re.MULTILINE))
    shown = {shlex.split(command)[1] for command, _ in examples()}
    asked = {"query", "explain", "history", "rejects", "conflicts", "status", "verify", "check-store"}
    assert asked <= sections
    assert asked == shown
    assert asked <= set(oncefold.list_commands(None))  # type: ignore[arg-type]
