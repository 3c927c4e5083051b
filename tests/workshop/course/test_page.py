"""docs/COURSE.md, worked through: its code plays as it says, and its outputs are what is printed."""

import re
from pathlib import Path

import pytest

from oncefold_workshop.course import hints
from oncefold_workshop.game.rules import GameRules, Mode, Trouble
from tests.tools.sizes import full_only, sized
from tests.workshop.course.learner import EASY, HARD, THREE, TWO, after, play, points
from tests.workshop.course.page import PAGE, Desk, blocks

TEXT = PAGE.read_text(encoding="utf-8")


@full_only("the whole course, 11 s")
def test_every_output_is_what_the_command_prints(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for block in blocks(TEXT):
        printed = desk.follow(block)
        if printed is not None:
            assert printed == block.output, f"line {block.line}; python -m tests.workshop.course.page writes it anew"


@full_only("2 s")
def test_after_lab_1_easy_rounds_are_won_and_hard_ones_lost(tmp_path: Path) -> None:
    assert points(play(after(1), tmp_path, THREE, EASY, 3)) == [100] * 3
    assert points(play(after(1), tmp_path, THREE, HARD, 3)).count(0) >= 2, "of so few messages a round may be lucky"


@pytest.mark.parametrize("seed", [1, 2])
@full_only("ten rounds, 5 s")
def test_after_lab_2_hard_rounds_are_won_and_expert_ones_lost(seed: int, tmp_path: Path) -> None:
    results = play(after(2), tmp_path, THREE, GameRules(400, 100, 600), 10, seed)
    assert [result.round.mode for result in results] == [Mode.EASY] + [Mode.HARD] * 5 + [Mode.EXPERT] * 4
    assert points(results)[:6] == [100] * 6
    assert points(results)[6:].count(0) >= 3, "batches of so small a round may have nothing to grow by"


@full_only("a whole course, 9 s")
@pytest.mark.parametrize("seed", sized([1], [1, 2, 3]))
def test_after_lab_3_all_are_won(seed: int, tmp_path: Path) -> None:
    results = play(after(3), tmp_path, TWO, GameRules(400, 100, 300), 11, seed)
    assert {result.round.trouble for result in results} == {None, *Trouble}
    assert points(results) == [100] * 11


def test_the_page_has_every_step_that_a_hint_names() -> None:
    named = set(re.findall(r'"(\d\.\d)"', Path(hints.__file__).read_text(encoding="utf-8")))
    assert named
    steps = {
        f"{lab}.{step}"
        for lab, body in re.findall(r"^## Lab (\d)(.*?)(?=^## )", TEXT, re.DOTALL | re.MULTILINE)
        for step in re.findall(r"^### Step (\d)", body, re.MULTILINE)
    }
    assert named <= steps


def test_each_lab_says_what_it_is_for_and_what_is_left() -> None:
    for _, body in re.findall(r"^## Lab (\d)(.*?)(?=^## )", TEXT, re.DOTALL | re.MULTILINE):
        assert "**Goal.**" in body
        assert "### What you have, and what is still" in body
        assert "### Exercises" in body
        assert "**AWS's pages:**" in body
