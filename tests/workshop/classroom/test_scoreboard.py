"""The scoreboard of several teams: what it reads, what it shows, and to whom."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from oncefold.cli.main import oncefold
from oncefold.core.errors import OncefoldError
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_workshop.classroom.page import document, serve_page
from oncefold_workshop.classroom.teams import Board, GameSource, StackSource, Standing, Team, parse_team
from oncefold_workshop.cli.scoreboard import scoreboard
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.generator import SCORE, Scores
from oncefold_workshop.pipelines.settings import TABLES, ParameterTable


def game(path: Path, *points: int) -> Path:
    """A file of a game in which a learner has these points."""
    rounds = [{"round": 1, "players": [{"name": "after", "points": 7}, {"name": "yours", "points": p}]} for p in points]
    path.write_text("".join(json.dumps(one) + "\n" for one in [*rounds, {"final": True}]), encoding="utf-8")
    return path


@dataclass
class Fixed:
    """A source with these points, or an error."""

    scores: list[Scores | str] = field(default_factory=list)

    def read(self) -> Scores:
        found = self.scores.pop(0)
        if isinstance(found, str):
            raise OncefoldError(found)
        return found


def test_a_board_of_several_teams(tmp_path: Path) -> None:
    dynamodb = DynamoDB(lambda: 0.0)
    make_tables(TABLES, dynamodb)
    red = Team("red", StackSource(dynamodb, TABLES.parameter))
    blue = Team("blue", GameSource(game(tmp_path / "blue.jsonl", 100, 0, 100)))
    board = Board([red, blue])
    assert board.refresh() == (Standing("blue", Scores(200, (100, 0, 100))), Standing("red", Scores(0)))
    ParameterTable(dynamodb, TABLES.parameter).put({SCORE: 300})
    assert board.refresh()[0] == Standing("red", Scores(300, (300,)))


def test_rounds_of_a_stack_that_keeps_the_sum_alone_are_seen_one_by_one() -> None:
    board = Board([Team("a", Fixed([Scores(500), Scores(500), Scores(600), "gone", Scores(700)]))])
    shown = [board.refresh()[0] for _ in range(5)]
    assert [standing.scores.rounds for standing in shown] == [(), (), (100,), (100,), (100, 100)]
    assert [standing.error for standing in shown] == ["", "", "", "gone", ""]


def test_two_teams_of_one_name_are_refused() -> None:
    with pytest.raises(OncefoldError, match="a name of its own"):
        Board([Team("a", Fixed()), Team("a", Fixed())])


@pytest.mark.parametrize("text", ["red", "=x.jsonl", "red="])
def test_a_team_needs_a_name_and_a_source(text: str) -> None:
    with pytest.raises(OncefoldError, match="write NAME=http"):
        parse_team(text)


def test_what_is_no_game_is_said(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text("[1]\n", encoding="utf-8")
    for name, message in (("odd.jsonl", "no lines of oncefold lab play"), ("none.jsonl", "cannot be read")):
        with pytest.raises(OncefoldError, match=message):
            GameSource(tmp_path / name).read()


def test_the_page_is_for_this_machine_alone_and_shows_names_as_text() -> None:
    standings = (Standing("<b>red</b>", Scores(100, (100,))),)
    with serve_page(0, lambda: standings) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            page, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
        assert "innerHTML" not in page
        nonce = policy.rpartition("nonce-")[2].rstrip("'")
        assert f'<script nonce="{nonce}">' in page
        with urllib.request.urlopen(f"{address}scores.json") as answer:
            assert json.load(answer) == document(standings)
        for request, status in (
            (urllib.request.Request(address, headers={"Host": "scores.example"}), 403),
            (urllib.request.Request(f"{address}other"), 404),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            assert refused.value.code == status
            refused.value.close()


def test_the_command_shows_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teams = [f"{name}={game(tmp_path / f'{name}.jsonl', *points)}" for name, points in (("red", [0]), ("blue", [100]))]
    scoreboard.main(["--once", *teams], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line][-2:] == [["blue", "100", "1", "100"], ["red", "0", "1", "0"]]
    scoreboard.main(["--once", "--json", *teams], standalone_mode=False)
    assert [team["name"] for team in json.loads(capsys.readouterr().out)["teams"]] == ["blue", "red"]


def test_the_group_is_there() -> None:
    assert "workshop" in oncefold.list_commands(None)  # type: ignore[arg-type]
