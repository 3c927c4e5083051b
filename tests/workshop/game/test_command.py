"""`oncefold lab play` and `oncefold lab tournament` from outside."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oncefold.cli.main import main
from tests.tools.sizes import full_only, sized

SMALL = ["--messages", "200", "--hard-from", "100", "--expert-from", "200", "--jobs", "1"]
COMMAND = [sys.executable, "-c", "import sys; from oncefold.cli.main import main; sys.exit(main())"]
DIGEST = "b84f18d95d38284c239703f3a004497c7d7c82ea4b3f9514a5ac7147c0cb59e1"
"""Of the game of `SMALL`, six rounds, seed 1. Every machine has to arrive at it."""
GAMES = 2
WAYS = sized(short=[("2", "3")], full=[("1", "1"), ("2", "3")])
"""PYTHONHASHSEED and --jobs of processes that play the same game; each has to arrive at DIGEST."""
OWN = 'name = "orders"\n[event]\nkey = "id"\nversion = "v"\n[rollups]\nplace = ["a", "b"]\n'


def game(*arguments: str) -> list[str]:
    return ["lab", "play", "--fast", *SMALL, *arguments]


@full_only("games in processes, 8 s")
def test_json_is_the_same_bytes_in_every_process() -> None:
    arguments = [*COMMAND, *game("--rounds", "6", "--json")]
    found = [
        subprocess.run(
            [*arguments, "--jobs", jobs], env={**os.environ, "PYTHONHASHSEED": hashes}, capture_output=True, check=True
        ).stdout
        for hashes, jobs in WAYS
    ]
    assert len({*found}) == 1
    *rounds, last = map(json.loads, found[0].splitlines())
    assert [one["mode"] for one in rounds] == ["easy", "hard", "expert", "expert", "expert", "expert"]
    assert {one["trouble"] for one in rounds[2:]} == {"recut", "replay", "zombie", "trim"}
    assert last["final"]
    assert last["complete"]
    assert last["points"] == {"before": 100, "after": 200, "oncefold": 600}
    assert last["digest"] == DIGEST
    for player in (player for one in rounds for player in one["players"] if player["wrong"]):
        assert abs(float(player["account"]["unexplained"])) < 0.00001


def test_another_seed_is_another_game(capsys: pytest.CaptureFixture[str]) -> None:
    digests = set()
    for seed in ("1", "2"):
        assert main(game("--rounds", "1", "--json", "--seed", seed, "--players", "oncefold")) == 0
        digests.add(json.loads(capsys.readouterr().out.splitlines()[-1])["digest"])
    assert len(digests) == 2


def test_lines_have_rounds_reasons_and_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(game("--rounds", "3", "--players", "after,oncefold")) == 0
    out = capsys.readouterr().out
    assert "round 1, easy: 200 messages" in out
    assert "every node right" in out
    assert "events counted more than once" in out or "events lost" in out
    assert "together they are the difference" in out
    assert "after 3 rounds:\n     300 points  oncefold: Oncefold\n" in out


@full_only("rounds that last, 7 s")
def test_at_a_pace_a_round_is_announced_as_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["lab", "play", *SMALL, "--expert-from", "0", "--rounds", "4", "--round-seconds", "1"]
    assert main([*arguments, "--players", "oncefold"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines if line.startswith("round")] == [f"round {n}" for n in range(1, 5)]
    assert "  25 hours pass" in lines
    assert "  11 minutes pass" in lines


@full_only("three processes, 8 s")
def test_ctrl_c_ends_with_the_scores() -> None:
    arguments = [*COMMAND, "lab", "play", *SMALL, "--round-seconds", "600", "--jobs", "2"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("round 1"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.startswith("stopped\nafter 0 rounds:\n")
    assert err == ""


def test_a_pipeline_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "yours.toml"
    path.write_text(OWN)
    assert main(game("--rounds", "4", "--pipeline", str(path))) == 0
    out = capsys.readouterr().out
    assert "oncefold plays 'orders', which the workshop's functions cannot" in out
    assert "400 points  oncefold" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--players", "before,nobody"],
            "there is no player 'nobody'; there are before, after, blog, stateless, oncefold",
        ),
        (["--players", "after,after"], "only once"),
        (["--players", "after", "--pipeline", "own.toml"], "leave --players out"),
        (["--pipeline", "missing.toml"], "no such file"),
        (["--pipeline", "odd.toml"], "cannot make messages of this definition"),
        (["--messages", "7"], "40<=x<=20000"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(OWN)
    Path("odd.toml").write_text('name = "x"\n[event]\nkey = "a"\n[rollups]\nr = ["a.b"]')
    assert main(game(*arguments)) == 2
    assert message in capsys.readouterr().err


def test_a_tournament(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "tournament", *SMALL, "--seeds", "1", "--rounds", "1"]) == 0
    assert "oncefold" in capsys.readouterr().out


@full_only("games of six rounds, 4 s")
def test_a_tournament_counts_what_was_taken(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["lab", "tournament", *SMALL, "--seeds", str(GAMES), "--rounds", "6"]
    assert main([*arguments, "--log", "--json"]) == 0
    out, err = capsys.readouterr()
    assert DIGEST in err, "a game of a tournament is the game that play plays"
    document = json.loads(out)
    taken = {(row["mode"], row["player"]): (row["taken"], row["rounds"]) for row in document["modes"]}
    assert taken["easy", "before"] == (GAMES, GAMES)
    assert taken["hard", "after"] == (GAMES, GAMES)
    assert taken["expert", "after"][1] == 4 * GAMES
    assert taken["expert", "after"][0] < 4 * GAMES
    assert taken["expert", "oncefold"] == (4 * GAMES, 4 * GAMES)
    assert document["unexplained"] == 0
