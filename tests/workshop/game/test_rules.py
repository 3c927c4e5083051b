"""Modes by points, troubles by turns, and the times of a round."""

from itertools import pairwise

import pytest

from oncefold_workshop.game.rules import Calendar, GameRules, Mode, Round, Trouble


@pytest.mark.parametrize(
    ("leading", "mode"),
    [(0, "easy"), (299, "easy"), (300, "hard"), (999, "hard"), (1000, "expert"), (5000, "expert")],
)
def test_the_mode_follows_the_leading_players_points(leading: int, mode: str) -> None:
    assert GameRules().mode(leading) == mode


def test_whoever_takes_all_plays_three_easy_and_seven_hard_rounds() -> None:
    calendar = Calendar(1, GameRules())
    played = [calendar.next(100 * number) for number in range(15)]
    assert [one.mode for one in played] == [Mode.EASY] * 3 + [Mode.HARD] * 7 + [Mode.EXPERT] * 5
    assert all((one.trouble is not None) == (one.mode is Mode.EXPERT) for one in played)
    assert all((one.cut is not None) == (one.trouble is Trouble.RECUT) for one in played)
    assert all(one.end == other.start for one, other in pairwise(played))


@pytest.mark.parametrize("seed", range(5))
def test_every_trouble_comes_before_any_comes_again(seed: int) -> None:
    calendar = Calendar(seed, GameRules(expert_from=0))
    troubles = [calendar.next(0).trouble for _ in range(12)]
    for first in range(0, 12, len(Trouble)):
        assert {*troubles[first : first + len(Trouble)]} == {*Trouble}


def test_seeds_have_troubles_of_their_own() -> None:
    assert len({Calendar(seed, GameRules(expert_from=0)).next(0).trouble for seed in range(9)}) > 1


def test_a_round_of_ten_thousand_is_the_workshops_minute() -> None:
    played = Round(1, Mode.HARD, 0.0, 10_000)
    assert (played.sending, played.end, played.judged_from) == (10.0, 60.0, 10.0)


def test_an_outage_is_judged_from_its_end() -> None:
    played = Round(1, Mode.EXPERT, 0.0, 10_000, Trouble.TRIM)
    assert played.judged_from == 60.0 + 25 * 3600.0
    assert played.end == played.judged_from + 60.0
