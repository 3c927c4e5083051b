"""The pace of a game that is watched: virtual time at so many real seconds a round."""

from collections.abc import Callable

from oncefold.core.fold import Node
from oncefold_workshop.game.match import Watch
from oncefold_workshop.game.rules import Round
from oncefold_workshop.game.team import Looks
from oncefold_workshop.game.truth import Row


class Pace:
    """Holds looks back until their time; time that passes unseen is not waited for."""

    def __init__(self, round_seconds: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._round_seconds = round_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._number = 0
        self._began = 0.0
        self._skipped = 0.0

    def then(self, watch: Watch) -> Watch:
        """The same watch, each look at its time."""

        def paced(played: Round, expected: dict[Node, Row], looks: Looks) -> None:
            self._wait(played, looks)
            watch(played, expected, looks)

        return paced

    def _wait(self, played: Round, looks: Looks) -> None:
        if played.number != self._number:
            self._number, self._began, self._skipped = played.number, self._monotonic(), 0.0
        look = next(iter(looks.values()))
        self._skipped += look.skipped
        shown = (look.at - played.start - self._skipped) * self._round_seconds / played.minute
        left = self._began + shown - self._monotonic()
        if left > 0:
            self._sleep(left)
