"""Games of many seeds on all cores, their sums and the tables of them."""

import gc
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from oncefold_workshop.game.match import Game, Match, Playing
from oncefold_workshop.game.players import PlayerEntry
from oncefold_workshop.game.report import GameRecord, round_document
from oncefold_workshop.game.rules import POINTS, GameRules, Mode, Trouble

_COLLECT_AFTER = (100_000, 20, 100)
"""Of the garbage collector: a world only grows, and to look through all of it often takes a third of the time."""


def tune_collector() -> None:
    """Let garbage be collected seldom in this process, which plays and does nothing else."""
    gc.set_threshold(*_COLLECT_AFTER)


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """A player's round in a sum."""

    player: str
    mode: Mode
    trouble: Trouble | None
    points: int
    wrong: bool
    explained: bool
    """Whether it was right, or its account adds up to the difference."""


@dataclass(frozen=True, slots=True)
class GameOutcome:
    """What came of one game."""

    seed: int
    rounds: int
    lines: tuple[OutcomeLine, ...]
    digest: str
    """Of the game's lines, as `oncefold lab play --json` prints it."""


def play(game: Game, rules: GameRules, rounds: int) -> GameOutcome:
    """Play one game here."""
    lines: list[OutcomeLine] = []
    record = GameRecord()
    with Playing(game, 1) as team:
        for result in Match(game, rules, team).rounds(rounds):
            record.line(round_document(result))
            for scored in result.scored:
                account = scored.played.account
                explained = account is None or abs(account.left) < 1
                played = result.round
                wrong = scored.played.wrong is not None
                lines.append(OutcomeLine(scored.name, played.mode, played.trouble, scored.points, wrong, explained))
    return GameOutcome(game.seed, rounds, tuple(lines), record.digest)


@dataclass
class Sums:
    """What came of many games."""

    games: int = 0
    rounds: int = 0
    played: Counter[tuple[Mode, str]] = field(default_factory=Counter)
    """Rounds by mode and player; and so on."""
    taken: Counter[tuple[Mode, str]] = field(default_factory=Counter)
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rounds in which a player's totals grew by wrong amounts, by trouble (or mode) and player."""
    faced: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rounds of a trouble, or of a mode without one, by player."""
    unexplained: int = 0

    def add(self, outcome: GameOutcome) -> None:
        """Take in one more game."""
        self.games += 1
        self.rounds += outcome.rounds
        for line in outcome.lines:
            kind = line.mode.value if line.trouble is None else line.trouble.value
            self.played[line.mode, line.player] += 1
            self.taken[line.mode, line.player] += bool(line.points)
            self.faced[kind, line.player] += 1
            self.wrong[kind, line.player] += line.wrong
            self.unexplained += not line.explained

    def join(self, other: "Sums") -> None:
        """Take in the games of another sum."""
        self.games += other.games
        self.rounds += other.rounds
        self.unexplained += other.unexplained
        for name in ("played", "taken", "wrong", "faced"):
            getattr(self, name).update(getattr(other, name))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "games": self.games,
            "rounds": self.rounds,
            "modes": [
                {"mode": mode.value, "player": player, "rounds": rounds, "taken": self.taken[mode, player]}
                for (mode, player), rounds in self.played.items()
            ],
            "wrong": [
                {"by": kind, "player": player, "rounds": rounds, "wrong": self.wrong[kind, player]}
                for (kind, player), rounds in self.faced.items()
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
        for row in document["wrong"]:
            kind = row["by"], row["player"]
            sums.faced[kind], sums.wrong[kind] = row["rounds"], row["wrong"]
        return sums


def play_many(
    seeds: Sequence[int], entries: tuple[PlayerEntry, ...], rules: GameRules, rounds: int, jobs: int,
    progress: Callable[[GameOutcome], object],
) -> Sums:  # fmt: skip
    """Play a game for each seed; `progress` gets each as it ends. KeyboardInterrupt ends all of them."""
    sums = Sums()
    games = (Game(seed, entries) for seed in seeds)
    outcomes = (play(game, rules, rounds) for game in games) if jobs == 1 else _spread(games, rules, rounds, jobs)
    for outcome in outcomes:
        sums.add(outcome)
        progress(outcome)
    return sums


def _spread(games: Iterator[Game], rules: GameRules, rounds: int, jobs: int) -> Iterator[GameOutcome]:
    with ProcessPoolExecutor(jobs, get_context("spawn"), _prepare, max_tasks_per_child=1) as workers:
        running: set[Future[GameOutcome]] = set()
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


Table = tuple[list[str], list[list[str]]]
"""Headings, and rows of text."""


def players(sums: Sums) -> list[str]:
    """Who played, in their order."""
    return list(dict.fromkeys(player for _, player in sums.played))


def mode_table(sums: Sums) -> Table:
    """Points by mode."""
    names = players(sums)
    rows = []
    for mode in Mode:
        rounds = max((sums.played[mode, name] for name in names), default=0)
        if rounds:
            rows.append([mode.value, f"{rounds:,}", *(_points(sums, mode, name, rounds) for name in names)])
    total = sums.rounds
    taken = {name: sum(sums.taken[mode, name] for mode in Mode) for name in names}
    rows.append(["all", f"{total:,}", *(_of(taken[name], total) for name in names)])
    return ["mode", "rounds", *names], rows


def _points(sums: Sums, mode: Mode, name: str, rounds: int) -> str:
    return _of(sums.taken[mode, name], rounds)


def _of(taken: int, rounds: int) -> str:
    return f"{taken * POINTS:,} of {rounds * POINTS:,}"


def losses_table(sums: Sums) -> Table:
    """Rounds in which totals grew by wrong amounts, by what the round had."""
    names = players(sums)
    rows = []
    for kind in ("easy", "hard", *(trouble.value for trouble in Trouble)):
        rounds = max((sums.faced[kind, name] for name in names), default=0)
        if rounds:
            rows.append([kind, f"{rounds:,}", *(f"{sums.wrong[kind, name]:,}" for name in names)])
    return ["wrong rounds", "rounds", *names], rows
