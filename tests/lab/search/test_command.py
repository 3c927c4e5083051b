"""`oncefold lab search`: what it prints, answers and exits with."""

import json
import shlex

import pytest

from oncefold.cli.main import main
from tests.tools.sizes import full_only

STALE = "oncefold_lab.planted.state_bugs:StaleAccepted"


def test_seeds_that_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--seeds", "3", "--first", "40", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 seeds from 40 on in ")
    assert "none failed" in out
    assert "TransactWriteItems" in out


def test_a_failure_is_shown_small_and_the_command_brings_it_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--jobs", "1", "--seeds", "10", "--system", STALE]) == 1
    out = capsys.readouterr().out
    assert "FAILED: a state did not grow" in out
    command = shlex.split(out.splitlines()[-1].removeprefix("to replay it: "))
    assert command[0] == "oncefold"
    assert main(command[1:]) == 1
    assert "FAILED: a state did not grow" in capsys.readouterr().out


def test_a_replay_shows_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--replay", "3"]) == 0
    out = capsys.readouterr().out
    assert "transact_write_items: ok" in out
    assert "seed 3 is exact after" in out


@full_only("2 s")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", "--seeds", "10", "--jobs", "1", "--json", "--system", STALE]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["failures"][0]["seed"] == document["shrunk"]["seed"]
    assert document["shrunk"]["trace"]
    assert main(["lab", "search", "--replay", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failure"] is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--shrunk", "lines=1"], "--replay"),
        (["--replay", "1", "--shrunk", "lines=x"], "as the search printed it"),
        (["--system", "nowhere:Nothing"], "there is no system nowhere:Nothing"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "search", *arguments]) == 2
    assert text in capsys.readouterr().err
