"""`oncefold lab disk`, as it is used."""

import json

import pytest

from oncefold.cli.main import main
from oncefold.store import opening, writer


def test_a_search_tells_what_it_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "disk", "--seeds", "3", "--jobs", "1"]) == 0
    reported = capsys.readouterr().out
    assert reported.startswith("3 seeds from 0 on in ")
    assert "none failed" in reported
    assert " power lost, nothing survived\n" in reported


def test_a_search_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "disk", "--seeds", "2", "--first", "7", "--jobs", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["first"], document["seeds"], document["failures"]) == (7, 2, [])
    assert document["coverage"]
    assert document["shrunk"] is None


def test_a_replay_shows_every_life_and_is_the_same_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    reported = []
    for _ in range(2):
        assert main(["lab", "disk", "--replay", "3"]) == 0
        reported.append(capsys.readouterr().out)
    assert reported[0] == reported[1]
    assert "acknowledged up to " in reported[0]
    assert "seed 3 is exact after " in reported[0]


def test_a_failure_is_told_with_the_way_to_replay_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(connection: object, *rest: object) -> None:
        opening.prepare(connection, *rest)  # type: ignore[arg-type]
        connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]

    monkeypatch.setattr(writer, "prepare", prepare)
    monkeypatch.setattr("oncefold_lab.embedded.search.shrink.__defaults__", (20,))
    assert main(["lab", "disk", "--seeds", "50", "--jobs", "1"]) == 1
    reported = capsys.readouterr().out
    assert "FAILED: " in reported
    assert "to replay it: oncefold lab disk --replay " in reported
    seed = reported.rsplit(" ", 1)[1].strip()
    assert main(["lab", "disk", "--replay", seed, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["failure"]
    assert document["shrunk"]["schedule"]
