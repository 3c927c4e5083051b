"""The workshop's pipeline with a ReduceLambda that counts once takes every round, through expert mode."""

import re
from pathlib import Path

import pytest

from oncefold_workshop.game.rules import BatchCut, Mode, Trouble
from oncefold_workshop.once import reduce_lambda
from oncefold_workshop.once.player import OncePlayer
from tests.tools.sizes import in_full
from tests.workshop.game.stages import rounds, through

PAGE = Path(__file__).parents[3] / "docs" / "ONCE.md"
TROUBLES = [
    *(BatchCut.HALVES, Trouble.ZOMBIE),
    *in_full("2 s each", *(cut for cut in BatchCut if cut is not BatchCut.HALVES), Trouble.REPLAY, Trouble.TRIM),
]


@pytest.mark.parametrize("hard", [1, *in_full("2 s", 4)])
def test_it_takes_easy_and_hard_mode(hard: int) -> None:
    found = through(OncePlayer(), rounds(Mode.EASY, Mode.EASY, *[Mode.HARD] * hard))
    assert [played.taken for played, _ in found] == [True] * (2 + hard)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_takes_expert_mode(trouble: Trouble | BatchCut) -> None:
    assert all(played.taken for played, _ in through(OncePlayer(), rounds(Mode.HARD, trouble, Mode.HARD)))


def test_the_page_shows_the_lines_that_play() -> None:
    """The function of the page is the one that plays, but for types and what the game passes in."""
    block = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[3]
    lines = block[block.index("    with counters") :].splitlines()
    played = Path(reduce_lambda.__file__).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line] == [line for line in played if line in lines and line]
