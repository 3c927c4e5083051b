"""`oncefold workshop scoreboard`: the points of several teams, in a terminal and on a page."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold_workshop.classroom.teams import Standing

_INTERRUPTED = 130
_ROUNDS = 12
"""The last rounds that a line has."""

_EPILOG = """\b
Examples:
  # two stacks on this machine (oncefold workshop run), one on AWS
  oncefold workshop scoreboard red=http://127.0.0.1:4566 blue=http://127.0.0.1:4567 green=aws:green@eu-central-1
\b
  # teams that play in the lab: oncefold lab play --functions ... --json > red.jsonl
  oncefold workshop scoreboard red=red.jsonl blue=blue.jsonl
\b
  # and as a page, on this machine alone
  oncefold workshop scoreboard --port 8099 red=aws:red blue=aws:blue
\b
  # once, for a script
  oncefold workshop scoreboard --once --json red=red.jsonl

A stack's points are in its ParameterTable: SCORE, and round by round in ROUNDS where the generator of this distribution
keeps them. Of the workshop's own generator, which keeps the sum alone, rounds are shown as they are seen. Reading takes
dynamodb:Scan on the table.

\b
Exit status: 0 shown, 2 it cannot be shown, 130 ended by Ctrl-C."""


@click.command(epilog=_EPILOG)
@click.argument("teams", metavar="TEAM=SOURCE ...", nargs=-1, required=True)
@click.option("--table", default="ParameterTable", show_default=True, help="The table that has the points.")
@click.option("--interval", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Seconds between looks.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Serve a page too, on 127.0.0.1; 0 is a free port.")
@click.option("--once", is_flag=True, help="Look once, and end.")
@click.option("--json", "as_json", is_flag=True, help="Write each look as one JSON object.")
def scoreboard(
    *, teams: tuple[str, ...], table: str, interval: float, port: int | None, once: bool, as_json: bool
) -> None:
    """Show the points of several teams, round by round."""
    from oncefold_workshop.classroom.page import serve_page
    from oncefold_workshop.classroom.teams import Board, parse_team

    board = Board([parse_team(team, table) for team in teams])
    standings = board.refresh()
    page = nullcontext("") if port is None else serve_page(port, lambda: standings)
    shown: Sequence[Standing] = ()
    with page as address:
        if address:
            click.echo(f"oncefold: the scoreboard is at {address}", err=True)
        try:
            while True:
                if standings != shown:
                    _show(standings, as_json=as_json)
                shown = standings
                if once:
                    return
                time.sleep(interval)
                standings = board.refresh()
        except KeyboardInterrupt:
            click.get_current_context().exit(_INTERRUPTED)


def _show(standings: Sequence[Standing], *, as_json: bool) -> None:
    from oncefold_workshop.classroom.page import document

    if as_json:
        click.echo(json.dumps(document(standings)))
        return
    grid = Grid(["team", "points", "rounds", "the last of them"], frozenset(["points", "rounds"]))
    for standing in standings:
        rounds = standing.scores.rounds
        last = " ".join(str(points) for points in rounds[-_ROUNDS:])
        grid.add(standing.name, f"{standing.scores.total:,}", f"{len(rounds):,}", standing.error or last)
    screen = Screen()
    screen.grid(grid)
    screen.line()
