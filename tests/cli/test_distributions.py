"""The commands of other distributions: found when they are installed, and what is said when they are not."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oncefold import __version__
from oncefold.cli import lazy
from oncefold.cli.aws.group import aws
from oncefold.cli.lab import lab
from oncefold.cli.main import main
from oncefold.cli.workshop import workshop

ROOT = Path(__file__).parents[2]
PROJECTS = (ROOT, ROOT / "packages" / "oncefold-lab", ROOT / "packages" / "oncefold-workshop")
COMMANDS = {
    "search": "oncefold-lab",
    "disk": "oncefold-lab",
    "model": "oncefold-lab",
    "play": "oncefold-workshop",
    "course": "oncefold-workshop",
    "tournament": "oncefold-workshop",
}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other distribution is installed."""
    for group in (lab, aws, workshop):
        monkeypatch.delitem(group.__dict__, "_sections", raising=False)
    monkeypatch.setattr(lazy.LazyGroup, "_sections", property(lambda group: group._own))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("group", "command", "distribution"),
    [
        *(("lab", command, distribution) for command, distribution in COMMANDS.items()),
        ("aws", "local", "oncefold-lab"),
        ("workshop", "run", "oncefold-workshop"),
        ("workshop", "scoreboard", "oncefold-workshop"),
    ],
)
def test_a_command_of_a_missing_distribution_says_what_to_install(
    group: str, command: str, distribution: str, run: Run
) -> None:
    status, said, failure = run(group, command, "anything")
    assert (status, said) == (2, "")
    assert (
        f"{command} is in the distribution {distribution}, which is not installed: pip install {distribution} "
        f"(in a clone of the repository: pip install ./packages/{distribution})"
    ) in " ".join(failure.split())


@pytest.mark.usefixtures("alone")
def test_help_names_what_is_missing(run: Run) -> None:
    status, said, _ = run("lab", "--help")
    assert status == 0
    missing = said.partition("Not installed:")[2]
    for command, distribution in COMMANDS.items():
        assert f"{command:<10}  pip install {distribution}" in missing
    assert "pip install oncefold-lab" in run("aws", "--help")[1].partition("Not installed:")[2]


def test_help_of_what_is_installed_names_nothing_as_missing(run: Run) -> None:
    status, said, _ = run("lab", "--help")
    assert status == 0
    assert "Not installed" not in said
    assert all(f"\n  {command}" in said for command in COMMANDS)


def project(folder: Path) -> dict[str, Any]:
    return dict(tomllib.loads((folder / "pyproject.toml").read_text())["project"])


def test_the_distributions_have_one_version_and_require_it_of_each_other() -> None:
    product, proof, workshop = map(project, PROJECTS)
    assert product["version"] == proof["version"] == workshop["version"] == __version__
    assert f"oncefold[aws]=={__version__}" in proof["dependencies"]
    assert workshop["dependencies"] == [f"oncefold-lab=={__version__}"]


def test_the_product_packs_and_imports_nothing_of_the_others() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/oncefold"]
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import oncefold_lab" not in text, path
        assert "from oncefold_lab" not in text, path
        assert "oncefold_workshop" not in text, path
