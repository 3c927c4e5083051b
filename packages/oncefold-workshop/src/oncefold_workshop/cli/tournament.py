"""`oncefold lab tournament`: games of many seeds on all cores, and their sums."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import click

from oncefold.cli.progress import ProgressLine
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from oncefold_workshop.game.tournament import GameOutcome, Sums

_EPILOG = """\b
Examples:
  # a thousand rounds: fifty games of twenty rounds, on all cores; about an hour on two
  oncefold lab tournament
\b
  # a small one, a line for every game
  oncefold lab tournament --seeds 6 --rounds 12 --messages 1000 --log

Each seed is a game of its own, as `oncefold lab play --fast --seed SEED --rounds ROUNDS` plays it; the digest of a game
is the one that play --json ends with.

\b
Exit status: 0 played to the end, 2 it cannot be played, 130 ended by Ctrl-C."""


@click.command(epilog=_EPILOG)
@click.option("--seeds", type=click.IntRange(1), default=50, show_default=True, help="How many games.")
@click.option("--first", type=click.IntRange(0), default=1, show_default=True, help="The first seed.")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="Of each game.")
@click.option("--messages", type=click.IntRange(40, 20_000), default=10_000, show_default=True, help="Of each round.")
@click.option("--hard-from", type=click.IntRange(0), default=300, show_default=True, help="Points for hard mode.")
@click.option("--expert-from", type=click.IntRange(0), default=1_000, show_default=True, help="Points for expert mode.")
@click.option("--jobs", type=click.IntRange(1), help="How many processes.  [default: one for each core]")
@click.option("--log", is_flag=True, help="Show every game on stderr as it ends.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def tournament(  # noqa: PLR0913 - an option each
    *,
    seeds: int,
    first: int,
    rounds: int,
    messages: int,
    hard_from: int,
    expert_from: int,
    jobs: int | None,
    log: bool,
    as_json: bool,
) -> None:
    """Play games of many seeds, and add them up by mode and by trouble."""
    from oncefold_workshop.game.players import PLAYERS, choose
    from oncefold_workshop.game.rules import GameRules
    from oncefold_workshop.game.tournament import play_many

    began = time.monotonic()
    done = 0
    with ProgressLine() as progress:

        def report(outcome: GameOutcome) -> None:
            nonlocal done
            done += 1
            if log:
                click.echo(_line(outcome, time.monotonic() - began), err=True)
            else:
                progress(f"of {seeds:,} games", done)

        rules = GameRules(messages, hard_from, expert_from)
        chosen = range(first, first + seeds)
        sums = play_many(chosen, choose(PLAYERS), rules, rounds, jobs or os.cpu_count() or 1, report)
    if as_json:
        click.echo(json.dumps(sums.document()))
        return
    _show(sums, time.monotonic() - began)
    sys.stdout.flush()


def _line(outcome: GameOutcome, seconds: float) -> str:
    """A game, for a log."""
    points: dict[str, int] = {}
    for line in outcome.lines:
        points[line.player] = points.get(line.player, 0) + line.points
    scores = ", ".join(f"{name} {number:,}" for name, number in points.items())
    return (
        f"{seconds:8.1f} s  seed {outcome.seed}, {formatting.many(outcome.rounds, 'round')}: {scores}; {outcome.digest}"
    )


def _show(sums: Sums, seconds: float) -> None:
    from oncefold_workshop.game.tournament import losses_table, mode_table

    screen = Screen()
    screen.line(f"{formatting.many(sums.games, 'game')}, {formatting.many(sums.rounds, 'round')} in {seconds:,.0f} s")
    for headings, rows in (mode_table(sums), losses_table(sums)):
        grid = Grid(headings, frozenset(headings[1:]))
        for row in rows:
            grid.add(*row)
        screen.grid(grid)
    screen.line(f"lost rounds whose causes do not add up to the difference: {sums.unexplained:,}")
