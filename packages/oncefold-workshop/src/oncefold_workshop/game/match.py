"""The rounds of a game: who has how many points, and what becomes of each round."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from oncefold.core.fold import Node
from oncefold_workshop.game.rules import POINTS, Calendar, Round, Rules
from oncefold_workshop.game.stage import Played
from oncefold_workshop.game.team import Game, Looks, Team
from oncefold_workshop.game.truth import Row


@dataclass(frozen=True, slots=True)
class Scored:
    """A player's round."""

    name: str
    played: Played
    total: int
    """Points after it."""

    @property
    def points(self) -> int:
        """Points for it."""
        return POINTS if self.played.taken else 0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a round."""

    round: Round
    scored: tuple[Scored, ...]


Watch = Callable[[Round, dict[Node, Row], Looks], None]
"""Gets the round, its truth, and every look."""


@dataclass
class Match:
    """A game round by round."""

    game: Game
    rules: Rules
    team: Team
    points: dict[str, int] = field(init=False)
    """Of every player so far."""

    def __post_init__(self) -> None:
        self.points = {entry.name: 0 for entry in self.game.entries}
        self._calendar = Calendar(self.game.seed, self.rules)

    def rounds(self, most: int, watch: Watch | None = None) -> Iterator[Result]:
        """Play so many rounds; without someone who watches, no look is shown."""
        for _ in range(most):
            yield self._play(self._calendar.next(max(self.points.values())), watch)

    def _play(self, played: Round, watch: Watch | None) -> Result:
        expected = self.team.begin(played)
        if watch is not None:
            while (looks := self.team.step()) is not None:
                watch(played, expected, looks)
        scored = []
        found = self.team.finish()
        for name in self.points:
            one = found[name]
            self.points[name] += POINTS if one.taken else 0
            scored.append(Scored(name, one, self.points[name]))
        return Result(played, tuple(scored))
