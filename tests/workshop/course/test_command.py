"""`oncefold lab course`, and `oncefold lab play --functions`."""

import json
from pathlib import Path

import pytest

from oncefold.cli.main import main
from tests.tools.sizes import full_only
from tests.workshop.course.learner import THREE, after

PLAY = ["lab", "play", "--fast", "--functions", THREE, "--messages", "200", "--rounds", "2", "--hard-from", "0"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "functions.py").write_text(after(1), encoding="utf-8")
    return tmp_path


def test_the_kit_is_written_and_nothing_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "course"]) == 0
    assert (tmp_path / "course" / "functions.py").read_text(encoding="utf-8") == after(0)
    assert "COURSE.md" in (tmp_path / "course" / "README.md").read_text(encoding="utf-8")
    (tmp_path / "course" / "functions.py").write_text("mine", encoding="utf-8")
    assert main(["lab", "course"]) == 2
    assert "already there" in capsys.readouterr().err
    assert (tmp_path / "course" / "functions.py").read_text(encoding="utf-8") == "mine"
    assert main(["lab", "course", "--force"]) == 0
    assert (tmp_path / "course" / "functions.py").read_text(encoding="utf-8") == after(0)


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["lab", "course", str(tmp_path / "file" / "below")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_hints_can_be_left_out(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PLAY) == 0
    assert "hint: StateLambda" in capsys.readouterr().out
    assert main([*PLAY, "--hints", "off"]) == 0
    assert "hint" not in capsys.readouterr().out


def test_the_same_seed_is_the_same_game(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for _ in range(2):
        assert main([*PLAY, "--json"]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    first = json.loads(found[0].splitlines()[0])
    assert first["players"][0]["account"]["hints"]


@full_only("3 s")
def test_others_can_play_beside_in_processes_of_their_own(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PLAY, "--players", "yours,oncefold", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "200 points  oncefold: Oncefold" in out
    assert f"points  yours: {THREE}" in out
    (desk / "functions.py").write_text(
        "def state(event, context):\n    {}['x']\n\n\ndef map(a, b): ...\n\n\nreduce = map\n"
    )
    assert main([*PLAY, "--players", "yours,oncefold", "--jobs", "2"]) == 2
    assert "KeyError: 'x'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--players", "yours,nobody"], "there is no player 'nobody'"),
        (["--pipeline", "p.toml"], "leave --pipeline out"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str], message: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "p.toml").write_text('name = "a"\n[event]\nkey = "k"\n[rollups]\nall = []\n')
    assert main([*PLAY, *arguments]) == 2
    assert message in capsys.readouterr().err
