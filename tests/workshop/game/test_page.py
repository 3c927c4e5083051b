"""docs/GAME.md has the tables of many games, and they say what the page says of them."""

import re

from oncefold_workshop.game.rules import Trouble
from oncefold_workshop.game.tournament import Sums
from tests.workshop.game.page import PAGE, parts, rows

TABLE = parts()[1]
POINTS = re.compile(
    r"^\| (easy|hard|expert) \| ([\d,]+) \| ([\d,]+) of ([\d,]+) \| ([\d,]+) of \S+ \| ([\d,]+) of", re.MULTILINE
)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_before_takes_easy_mode_after_hard_mode_and_oncefold_all() -> None:
    found = {mode: [number(text) for text in rest] for mode, *rest in POINTS.findall(TABLE)}
    assert set(found) == {"easy", "hard", "expert"}
    for mode, (_, before, most, after, oncefold) in found.items():
        assert oncefold == most
        assert (after == most) is (mode != "expert")
        assert (before == most) is (mode == "easy")


def test_every_trouble_hurt_the_workshop_and_none_hurt_oncefold() -> None:
    for trouble in Trouble:
        row = re.search(rf"^\| {trouble} \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", TABLE, re.MULTILINE)
        assert row is not None
        rounds, before, after, oncefold = map(number, row.groups())
        assert before > 0
        assert 0 < after <= rounds
        assert oncefold == 0


def test_every_lost_round_is_explained() -> None:
    assert "do not add up to the difference: 0." in TABLE


def test_the_page_names_every_trouble_and_the_tables_come_back_from_json() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{trouble}` |" in text for trouble in Trouble)
    sums = Sums(1, 2)
    assert rows(Sums.of(sums.document())) == rows(sums)
    sums.join(Sums(3, 60, unexplained=1))
    assert (sums.games, sums.rounds, sums.unexplained) == (4, 62, 1)
