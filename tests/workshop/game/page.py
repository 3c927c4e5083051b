"""Writes the tables of many rounds in docs/GAME.md: `python -m tests.workshop.game.page [FILE ...]`.

Each FILE is what `oncefold lab tournament --json` wrote; without one a thousand rounds are played, which takes an hour.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from oncefold_workshop.game.players import PLAYERS, choose
from oncefold_workshop.game.rules import GameRules
from oncefold_workshop.game.tournament import GameOutcome, Sums, Table, losses_table, mode_table, play_many

PAGE = Path(__file__).parents[3] / "docs" / "GAME.md"
BEGIN, END = "<!-- rounds: begin -->\n", "<!-- rounds: end -->\n"
GAMES, ROUNDS = 50, 20


def rows(sums: Sums) -> list[str]:
    count = f"{sums.games:,} games of {sums.rounds // sums.games} rounds each, seeds 1 to {sums.games}: points"
    losses = "rounds in which totals grew by wrong amounts, by what the round had"
    unexplained = f"Lost rounds whose causes do not add up to the difference: {sums.unexplained:,}."
    return [f"{count}", "", *_markdown(mode_table(sums)), "", f"And {losses}:", "", *_markdown(losses_table(sums)), "",
            unexplained]  # fmt: skip


def _markdown(table: Table) -> list[str]:
    headings, lines = table
    rule = ["---", *("---:" for _ in headings[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines)]


def parts() -> tuple[str, str, str]:
    """The page before, within and after the tables."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def played() -> Sums:
    def progress(outcome: GameOutcome) -> None:
        print(f"seed {outcome.seed}: {outcome.digest}", flush=True)

    return play_many(range(1, GAMES + 1), choose(PLAYERS), GameRules(), ROUNDS, os.cpu_count() or 1, progress)


def joined(files: Sequence[str]) -> Sums:
    """The sums of several tournaments together."""
    sums = Sums()
    for file in files:
        sums.join(Sums.of(json.loads(Path(file).read_text(encoding="utf-8"))))
    return sums


if __name__ == "__main__":
    sums = joined(sys.argv[1:]) if sys.argv[1:] else played()
    before, _, after = parts()
    PAGE.write_text(before + BEGIN + "\n".join(rows(sums)) + "\n" + END + after, encoding="utf-8")
