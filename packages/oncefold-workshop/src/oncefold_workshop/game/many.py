"""Games of many seeds on all cores, and their sums: points by mode, and which trouble hurt whom."""

import gc
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from oncefold_workshop.game.cast import Entry
from oncefold_workshop.game.document import Record, round_document
from oncefold_workshop.game.match import Match
from oncefold_workshop.game.rules import Mode, Rules, Trouble
from oncefold_workshop.game.team import Game, Playing

_COLLECT_AFTER = (100_000, 20, 100)
"""Of the garbage collector: a world only grows, and looking through all of it often takes a third of the time."""


def tune_collector() -> None:
    """Let garbage be collected seldom in this process, which plays and does nothing else."""
    gc.set_threshold(*_COLLECT_AFTER)


@dataclass(frozen=True, slots=True)
class Line:
    """A player's round in a sum."""

    player: str
    mode: Mode
    trouble: Trouble | None
    points: int
    hurt: bool
    explained: bool
    """Whether it was right, or its account adds up to the difference."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one game."""

    seed: int
    rounds: int
    lines: tuple[Line, ...]
    digest: str
    """Of the game's lines, as `oncefold lab play --json` prints it."""


def play(game: Game, rules: Rules, rounds: int) -> Outcome:
    """Play one game here."""
    lines: list[Line] = []
    record = Record()
    with Playing(game, 1) as team:
        for result in Match(game, rules, team).rounds(rounds):
            record.line(round_document(result))
            for scored in result.scored:
                account = scored.played.account
                explained = account is None or abs(account.left) < 1
                played = result.round
                lines.append(
                    Line(scored.name, played.mode, played.trouble, scored.points, scored.played.hurt, explained)
                )
    return Outcome(game.seed, rounds, tuple(lines), record.digest)


@dataclass
class Sums:
    """What came of many games."""

    games: int = 0
    rounds: int = 0
    played: Counter[tuple[Mode, str]] = field(default_factory=Counter)
    """Rounds by mode and player; and so on."""
    taken: Counter[tuple[Mode, str]] = field(default_factory=Counter)
    hurt: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rounds that made a player's totals wrong, or wrong in another way, by trouble (or mode) and player."""
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rounds of a trouble, or of a mode without one, by player."""
    unexplained: int = 0

    def add(self, outcome: Outcome) -> None:
        """Take in one more game."""
        self.games += 1
        self.rounds += outcome.rounds
        for line in outcome.lines:
            kind = line.mode.value if line.trouble is None else line.trouble.value
            self.played[line.mode, line.player] += 1
            self.taken[line.mode, line.player] += bool(line.points)
            self.met[kind, line.player] += 1
            self.hurt[kind, line.player] += line.hurt
            self.unexplained += not line.explained

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "games": self.games,
            "rounds": self.rounds,
            "modes": [
                {"mode": mode.value, "player": player, "rounds": rounds, "taken": self.taken[mode, player]}
                for (mode, player), rounds in self.played.items()
            ],
            "hurt": [
                {"by": kind, "player": player, "rounds": rounds, "hurt": self.hurt[kind, player]}
                for (kind, player), rounds in self.met.items()
            ],
            "unexplained": self.unexplained,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Sums":
        """The inverse of `document`."""
        sums = cls(document["games"], document["rounds"], unexplained=document["unexplained"])
        for row in document["modes"]:
            place = Mode(row["mode"]), row["player"]
            sums.played[place], sums.taken[place] = row["rounds"], row["taken"]
        for row in document["hurt"]:
            kind = row["by"], row["player"]
            sums.met[kind], sums.hurt[kind] = row["rounds"], row["hurt"]
        return sums


def play_many(
    seeds: Sequence[int], entries: tuple[Entry, ...], rules: Rules, rounds: int, jobs: int,
    tell: Callable[[Outcome], object],
) -> Sums:  # fmt: skip
    """Play a game for each seed; `tell` gets each as it ends. KeyboardInterrupt ends all of them."""
    sums = Sums()
    games = (Game(seed, entries) for seed in seeds)
    outcomes = (play(game, rules, rounds) for game in games) if jobs == 1 else _spread(games, rules, rounds, jobs)
    for outcome in outcomes:
        sums.add(outcome)
        tell(outcome)
    return sums


def _spread(games: Iterator[Game], rules: Rules, rounds: int, jobs: int) -> Iterator[Outcome]:
    with ProcessPoolExecutor(jobs, get_context("spawn"), _prepare, max_tasks_per_child=1) as workers:
        running: set[Future[Outcome]] = set()
        try:
            while True:
                while len(running) < jobs and (game := next(games, None)) is not None:
                    running.add(workers.submit(play, game, rules, rounds))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            for process in list(workers._processes.values()):  # noqa: SLF001 - a game takes minutes
                process.terminate()
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_collector()
