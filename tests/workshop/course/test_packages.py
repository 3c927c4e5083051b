"""Functions in three folders or zips, as Lambda gets them and as the workshop publishes its own."""

import re
import shutil
from pathlib import Path

import pytest

from oncefold.core.errors import OncefoldError
from oncefold_workshop.course.functions import parse
from oncefold_workshop.course.player import LearnerOptions, entry
from oncefold_workshop.game.match import Game, Match, Playing, RoundResult
from oncefold_workshop.game.rules import GameRules
from tests.tools.sizes import full_only
from tests.workshop.course.learner import points
from tests.workshop.course.packages import write


def played(
    functions: str, folder: Path, rounds: int, hard_from: int = 200, seed: int = 3, logs: Path | None = None
) -> list[RoundResult]:
    game = Game(seed, (entry(functions, folder, LearnerOptions(logs=logs)),))
    with Playing(game, 1) as team:
        return list(Match(game, GameRules(200, hard_from, 5_000), team).rounds(rounds))


@full_only("3 s")
def test_functions_of_the_workshops_shape_win_easy_rounds_and_with_two_edits_hard_ones(tmp_path: Path) -> None:
    write(tmp_path / "as handed out", fixed=False)
    found = points(played("as handed out", tmp_path, 5))
    assert found[:2] == [100, 100]
    assert 0 in found[2:]
    write(tmp_path / "fixed", fixed=True)
    results = played("fixed", tmp_path, 5)
    assert points(results) == [100] * 5
    failed = sum(counts.failed for result in results for counts in result.scored[0].played.invocations.values())
    assert failed > 0, "the error rate does not drop to zero"


def test_zips_play_as_folders_do(tmp_path: Path) -> None:
    write(tmp_path / "all", fixed=True)
    for name in ("State", "Map", "Reduce"):
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path / "all" / f"{name}LambdaPackage")
    one, other = (
        [result.scored[0].played.totals for result in played(functions, tmp_path, 2)]
        for functions in ("State.zip,Map.zip,Reduce.zip", "all")
    )
    assert one == other


def test_each_function_has_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "all", fixed=True)
    played("all", tmp_path, 3, hard_from=0, logs=tmp_path / "logs")
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {
        f"{name}Lambda.log" for name in ("State", "Map", "Reduce")
    }
    text = (tmp_path / "logs" / "StateLambda.log").read_text(encoding="utf-8")
    assert re.search(r"^ +\d+\.\d{3} s  StateLambda \d+: got \d+$", text, re.MULTILINE)
    assert "[ERROR] Traceback (your own code):" in text
    assert "Exception: on purpose" in text
    assert re.search(r"END after 0\.\d{3} s", text)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("empty", "there is no folder or zip whose name begins with StateLambda"),
        ("empty,empty,empty", "there is no lambda_function.py in"),
    ],
)
def test_what_is_missing_is_said(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OncefoldError, match=message):
        parse(text, tmp_path)
