"""`oncefold lab play`: the workshop's game in a terminal, round by round."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from oncefold.core.errors import OncefoldError
from oncefold.queries.render.screen import Screen

if TYPE_CHECKING:
    from oncefold.core.fold import Node
    from oncefold_workshop.game.expected import Row
    from oncefold_workshop.game.match import Game, Match, RoundResult, Samples
    from oncefold_workshop.game.players import PlayerEntry
    from oncefold_workshop.game.rules import GameRules, Round
    from oncefold_workshop.game.screen import GameClock

_INTERRUPTED = 130

_EPILOG = """\b
Examples:
  # the workshop before its fixes, after them, and Oncefold, at the speed of the workshop
  oncefold lab play
\b
  # the same at once
  oncefold lab play --fast
\b
  # expert mode from the first round on, smaller rounds, another seed
  oncefold lab play --fast --hard-from 0 --expert-from 0 --messages 2000 --seed 7
\b
  # your own pipeline; the workshop's functions know only theirs, so Oncefold plays alone
  oncefold lab play --fast --pipeline yours.toml
\b
  # your own Lambda handlers, with hints; `oncefold lab course` writes some to begin with
  oncefold lab play --fast --functions functions:state,map,reduce
\b
  # the functions of a checkout of the workshop, as they are
  oncefold lab play --fast --functions amazon-dynamodb-labs/event-driven

A round is 10,000 messages; 100 points if every node has grown by the right amount within 30 seconds after the last.
From 300 points of the leading player on it is hard mode, from 1,000 on expert mode. All worlds are simulated, on
virtual time, from one seed: no account, no network. docs/GAME.md has the rules.

\b
Exit status: 0 played to the end, 2 it cannot be played, 130 ended by Ctrl-C, with the scoreboard."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a game is shown."""

    fast: bool
    round_seconds: float
    as_json: bool
    jobs: int

    @property
    def live(self) -> bool:
        """Whether there is a screen that is redrawn."""
        return not self.fast and not self.as_json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@click.command(epilog=_EPILOG)
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True, help="How many rounds.")
@click.option("--messages", type=click.IntRange(40, 20_000), default=10_000, show_default=True, help="Of each round.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same game.")
@click.option(
    "--players",
    metavar="NAMES",
    help="Who plays, with commas between; docs/GAME.md names them.  [default: before,after,oncefold]",
)
@click.option("--hard-from", type=click.IntRange(0), default=300, show_default=True, help="Points for hard mode.")
@click.option("--expert-from", type=click.IntRange(0), default=1_000, show_default=True, help="Points for expert mode.")
@click.option("--fast", is_flag=True, help="Do not wait for the clock.")
@click.option(
    "--round-seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="How long a round takes."
)
@click.option("--jobs", type=click.IntRange(1), help="How many processes.  [default: one for each core]")
@click.option(
    "--pipeline", type=click.Path(path_type=Path), metavar="FILE", help="Play with this definition's own messages."
)
@click.option(
    "--functions",
    metavar="MODULE:STATE,MAP,REDUCE",
    help="Play your own Lambda handlers, of a module or of three folders or zips; docs/COURSE.md.",
)
@click.option("--stack", type=click.Path(path_type=Path), metavar="FILE", help="How your functions are connected.")
@click.option("--logs", type=click.Path(path_type=Path), metavar="DIR", help="Keep a log of each of your functions.")
@click.option(
    "--hints", type=click.Choice(["on", "off"]), default="on", show_default=True, help="After a round they lost."
)
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object for each round, and one for the end.")
def play(  # noqa: PLR0913 - an option each
    *,
    rounds: int,
    messages: int,
    seed: int,
    players: str | None,
    hard_from: int,
    expert_from: int,
    fast: bool,
    round_seconds: float,
    jobs: int | None,
    pipeline: Path | None,
    functions: str | None,
    stack: Path | None,
    logs: Path | None,
    hints: str,
    as_json: bool,
) -> None:
    """Play the workshop's game: pipelines side by side, round by round."""
    from oncefold.pipeline_file import load_pipeline
    from oncefold_workshop.game.match import Game
    from oncefold_workshop.game.rules import GameRules

    definition = None if pipeline is None else load_pipeline(pipeline)
    if functions is None and (stack or logs):
        raise click.UsageError("--stack and --logs go with --functions.")
    if functions is None:
        entries = _entries(players, own=definition is not None)
    elif definition is None:
        entries = _learners(functions, players, hinted=hints == "on", stack=stack, logs=logs)
    else:
        raise click.UsageError("--functions play with the workshop's messages: leave --pipeline out.")
    game = Game(seed, entries, definition)
    way = _Way(fast, round_seconds, as_json, jobs or os.cpu_count() or 1)
    if not _play(game, GameRules(messages, hard_from, expert_from), rounds, way):
        click.get_current_context().exit(_INTERRUPTED)


def _entries(names: str | None, *, own: bool) -> tuple[PlayerEntry, ...]:
    """Who plays. The workshop's functions cannot be given another pipeline."""
    from oncefold_workshop.game.players import PLAYERS, choose

    entries = choose(PLAYERS if names is None and not own else (names or "oncefold").split(","))
    unable = [entry.name for entry in entries if own and not entry.any_pipeline]
    if unable:
        raise OncefoldError(
            f"--players {','.join(unable)}: the workshop's functions know their own messages and tree only; "
            "with --pipeline leave --players out, and Oncefold plays alone"
        )
    return entries


def _learners(
    functions: str, names: str | None, *, hinted: bool, stack: Path | None, logs: Path | None
) -> tuple[PlayerEntry, ...]:
    """A learner's functions, alone or beside others."""
    from oncefold_workshop.course.player import NAME, LearnerOptions, entry
    from oncefold_workshop.game.players import choose

    others = [name for name in (names or NAME).split(",") if name != NAME]
    return (entry(functions, Path.cwd(), LearnerOptions(hinted, stack, logs)), *(choose(others) if others else ()))


def _play(game: Game, rules: GameRules, rounds: int, way: _Way) -> bool:
    """Play and show it; whether it came to its end."""
    from oncefold_workshop.game.match import Match, Playing
    from oncefold_workshop.game.tournament import tune_collector

    tune_collector()
    with Playing(game, way.jobs) as team:
        match = Match(game, rules, team)
        show = _shown(match, rounds, way)
        try:
            with show:
                for result in match.rounds(rounds, show.watch):
                    show.round(result)
        except KeyboardInterrupt:
            show.end(complete=False)
            return False
        show.end(complete=True)
    return True


def _shown(match: Match, rounds: int, way: _Way) -> _JsonOutput | _PlainOutput:
    from oncefold_workshop.game.screen import GameClock

    clock = None if way.fast else GameClock(way.round_seconds, time.monotonic, time.sleep)
    if way.as_json:
        return _JsonOutput(match, clock)
    return _LiveOutput(match, clock, rounds) if clock is not None and way.live else _PlainOutput(match, clock)


class _PlainOutput:
    """A game in plain lines. With a clock, a round is announced as it begins, and time that passes as it does."""

    def __init__(self, match: Match, clock: GameClock | None) -> None:
        self._match = match
        from oncefold_workshop.game.report import ErrorRates

        self._announced = self._rounds = 0
        self._errors = ErrorRates()
        self.watch = None if clock is None else clock.then(self._sample)

    def __enter__(self) -> Self:
        pipeline = self._match.game.pipeline
        alone = "" if pipeline is None else f" {pipeline.name!r}, which the workshop's functions cannot"
        for entry in self._match.game.entries:
            self._line(f"{entry.name} plays{alone}: {entry.title}")
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def _line(self, text: str, style: str = "") -> None:
        Screen().line(text, style)

    def _sample(self, played: Round, expected: dict[Node, Row], samples: Samples) -> None:  # noqa: ARG002 - a Watch
        from oncefold_workshop.game.report import skipped_rounds

        self._begun(played)
        passed = next(iter(samples.values())).skipped
        if passed:
            self._line(f"  {skipped_rounds(passed)}")
            sys.stdout.flush()

    def _begun(self, played: Round) -> None:
        from oncefold_workshop.game.report import round_begins

        if played.number != self._announced:
            self._announced = played.number
            self._line(round_begins(played), "bold")
            sys.stdout.flush()

    def round(self, result: RoundResult) -> None:
        """Show what became of a round."""
        from oncefold_workshop.game.report import round_result

        self._rounds += 1
        self._errors.add(result)
        self._begun(result.round)
        for line in round_result(result):
            self._line(line)
        sys.stdout.flush()

    def end(self, *, complete: bool) -> None:
        """Show the scores."""
        from oncefold_workshop.game.report import scoreboard

        screen = Screen()
        if not complete:
            screen.line("stopped")
        for line in scoreboard(self._match.game.entries, self._match.points, self._rounds):
            screen.line(line, "bold")
        for line in self._errors.lines("yours"):
            screen.line(line)


class _LiveOutput(_PlainOutput):
    """The same, above a screen that is redrawn."""

    def __init__(self, match: Match, clock: GameClock, rounds: int) -> None:
        from oncefold_workshop.game.screen import GameScreen

        super().__init__(match, clock)
        self._screen = GameScreen(match, rounds)
        self.watch = clock.then(self._screen.sample)

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        self._screen.__exit__()

    def _line(self, text: str, style: str = "") -> None:
        self._screen.line(text, style)


class _JsonOutput:
    """A game as JSON."""

    def __init__(self, match: Match, clock: GameClock | None) -> None:
        from oncefold_workshop.game.report import GameRecord

        self._match = match
        self._rounds = 0
        self._record = GameRecord()
        self.watch = None if clock is None else clock.then(_nothing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def round(self, result: RoundResult) -> None:
        """Write a round."""
        from oncefold_workshop.game.report import round_document

        self._rounds += 1
        click.echo(self._record.line(round_document(result)))

    def end(self, *, complete: bool) -> None:
        """Write the scores, and what another machine has to arrive at."""
        document = {
            "final": True,
            "complete": complete,
            "seed": self._match.game.seed,
            "rounds": self._rounds,
            "points": self._match.points,
            "digest": self._record.digest,
        }
        click.echo(json.dumps(document))


def _nothing(played: Round, expected: dict[Node, Row], samples: Samples) -> None:
    """Samples are not shown."""
