"""The rounds of a game: all players, each in its world, and the points each has."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node
from oncefold_workshop.game.expected import ExpectedTotals, Row
from oncefold_workshop.game.generator import MessageSource, OwnSource, WorkshopSource
from oncefold_workshop.game.players import PlayerEntry
from oncefold_workshop.game.rules import POINTS, Calendar, GameRules, Round
from oncefold_workshop.game.stage import PlayedRound, Stage, TotalsSample

Samples = dict[str, TotalsSample]
"""A sample of every player's totals, by name."""


@dataclass(frozen=True, slots=True)
class Game:
    """Who plays what, from which seed."""

    seed: int
    entries: tuple[PlayerEntry, ...]
    pipeline: Pipeline | None = None
    """None: the workshop's."""

    def source(self) -> MessageSource:
        """What is sent."""
        return WorkshopSource(self.seed) if self.pipeline is None else OwnSource(self.seed, self.pipeline)


class Team(Protocol):
    """The players of a game."""

    def begin(self, played: Round) -> dict[Node, Row]:
        """Begin a round; the expected rows at its end."""

    def step(self) -> Samples | None:
        """Go on to the next sample; None when the round is over."""

    def finish(self) -> dict[str, PlayedRound]:
        """Play the rest of the round; how it went."""

    def close(self) -> None:
        """End everything that runs."""


class LocalTeam:
    """Players in this process."""

    def __init__(self, game: Game) -> None:
        self._source = game.source()
        self._expected = ExpectedTotals(self._source.pipeline)
        self._stages = {
            entry.name: Stage(entry.make(self._source.pipeline), game.seed) for entry in game.entries
        }  # fmt: skip
        self._samples: dict[str, Iterator[TotalsSample]] = {}

    def begin(self, played: Round) -> dict[Node, Row]:
        """See Team."""
        sends = self._source.sends(played)
        self._expected.begin()
        self._expected.add(line.event for send in sends for line in send.lines if line.event is not None)
        self._samples = {name: stage.samples(played, sends, self._expected) for name, stage in self._stages.items()}
        return self._expected.rows()

    def step(self) -> Samples | None:
        """See Team. All players are sampled at the same moments."""
        found = {name: sample for name, samples in self._samples.items() if (sample := next(samples, None)) is not None}
        return found or None

    def finish(self) -> dict[str, PlayedRound]:
        """See Team."""
        for samples in self._samples.values():
            for _ in samples:
                pass
        played = {name: stage.played for name, stage in self._stages.items()}
        return {name: one for name, one in played.items() if one is not None}

    def close(self) -> None:
        """See Team."""
        for stage in self._stages.values():
            stage.close()


@dataclass(frozen=True, slots=True)
class _Broken:
    """What a process says that cannot go on."""

    error: str


class ProcessTeam:
    """Players in several processes."""

    def __init__(self, game: Game, jobs: int) -> None:
        context = get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(jobs):
            ours, theirs = context.Pipe()
            some = Game(game.seed, game.entries[number::jobs], game.pipeline)
            process = context.Process(target=_serve, args=(some, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def begin(self, played: Round) -> dict[Node, Row]:
        """See Team."""
        rows: dict[Node, Row] = self._request("begin", played)[0]
        return rows

    def step(self) -> Samples | None:
        """See Team."""
        found = [some for some in self._request("step") if some is not None]
        return _joined(found) if found else None

    def finish(self) -> dict[str, PlayedRound]:
        """See Team."""
        return _joined(self._request("finish"))

    def close(self) -> None:
        """See Team."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def _request(self, method: str, *arguments: Any) -> list[Any]:
        for pipe in self._pipes:
            pipe.send((method, arguments))
        try:
            answers = [pipe.recv() for pipe in self._pipes]
        except EOFError:
            raise OncefoldError("a process of the game has ended; begin it again, with fewer --jobs") from None
        for answer in answers:
            if isinstance(answer, _Broken):
                raise OncefoldError(answer.error)
        return answers


def _joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


def _serve(game: Game, pipe: Connection) -> None:
    """Carry out requests until the pipe ends. Ctrl-C is for the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):
        try:
            team = LocalTeam(game)
        except OncefoldError as error:
            pipe.recv()
            pipe.send(_Broken(str(error)))
            return
        methods: dict[str, Callable[..., Any]] = {"begin": team.begin, "step": team.step, "finish": team.finish}
        while True:
            method, arguments = pipe.recv()
            try:
                answer = methods[method](*arguments)
            except OncefoldError as error:
                answer = _Broken(str(error))
            pipe.send(answer)


class Playing:
    """A team for as long as it plays: `with Playing(game, jobs) as team`."""

    def __init__(self, game: Game, jobs: int) -> None:
        self._game = game
        self._jobs = min(jobs, len(game.entries))

    def __enter__(self) -> Team:
        self.team: Team = LocalTeam(self._game) if self._jobs == 1 else ProcessTeam(self._game, self._jobs)
        return self.team

    def __exit__(self, *_: object) -> None:
        self.team.close()


@dataclass(frozen=True, slots=True)
class Scored:
    """A player's round."""

    name: str
    played: PlayedRound
    total: int
    """Points after it."""

    @property
    def points(self) -> int:
        """Points for it."""
        return POINTS if self.played.taken else 0


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What became of a round."""

    round: Round
    scored: tuple[Scored, ...]


Watch = Callable[[Round, dict[Node, Row], Samples], None]
"""Gets the round, its expected rows, and every sample."""


@dataclass
class Match:
    """A game round by round."""

    game: Game
    rules: GameRules
    team: Team
    points: dict[str, int] = field(init=False)
    """Of every player so far."""

    def __post_init__(self) -> None:
        self.points = {entry.name: 0 for entry in self.game.entries}
        self._calendar = Calendar(self.game.seed, self.rules)

    def rounds(self, most: int, watch: Watch | None = None) -> Iterator[RoundResult]:
        """Play so many rounds; without someone who watches, no sample is shown."""
        for _ in range(most):
            yield self._play(self._calendar.next(max(self.points.values())), watch)

    def _play(self, played: Round, watch: Watch | None) -> RoundResult:
        expected = self.team.begin(played)
        if watch is not None:
            while (samples := self.team.step()) is not None:
                watch(played, expected, samples)
        scored = []
        found = self.team.finish()
        for name in self.points:
            one = found[name]
            self.points[name] += POINTS if one.taken else 0
            scored.append(Scored(name, one, self.points[name]))
        return RoundResult(played, tuple(scored))
