"""A learner's modules in tests: as they are after each lab, changed in one place, and played."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from oncefold_workshop.course.functions import kit_text
from oncefold_workshop.course.player import LearnerOptions, entry
from oncefold_workshop.game.match import Game, Match, Playing, RoundResult
from oncefold_workshop.game.rules import GameRules
from tests.workshop.course.page import PAGE, blocks, put

THREE, TWO = "functions:state,map,reduce", "functions:state,reduce,sweep@minute"
EASY, HARD, EXPERT = GameRules(400), GameRules(400, 0), GameRules(400, 0, 0)


@cache
def after(lab: int) -> str:
    """The module at the end of a lab; 0: the starting kit."""
    module = kit_text("functions.py")
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.kind == "python" and block.lab <= lab:
            module = put(module, block.text)
    return module


def changed(module: str, old: str, new: str) -> str:
    """A module with a mistake."""
    assert module.count(old) == 1, module.count(old)
    return module.replace(old, new)


def play(
    module: str,
    folder: Path,
    functions: str,
    rules: GameRules = EASY,
    rounds: int = 1,
    seed: int = 1,
    hinted: bool = True,
) -> list[RoundResult]:
    """A game of a learner alone."""
    (folder / "functions.py").write_text(module, encoding="utf-8")
    game = Game(seed, (entry(functions, folder, LearnerOptions(hinted)),))
    with Playing(game, 1) as team:
        return list(Match(game, rules, team).rounds(rounds))


def points(results: Sequence[RoundResult]) -> list[int]:
    return [result.scored[0].points for result in results]


def hints_of(results: Sequence[RoundResult]) -> str:
    """All hints of a game."""
    rounds = [result.scored[0].played for result in results]
    found = [one.hints if one.account is None else one.account.hints for one in rounds]
    return "\n".join(hint for hints in found for hint in hints)
