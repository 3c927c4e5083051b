"""The rules: modes, points, how long a round takes, and what one of expert mode adds."""

from dataclasses import dataclass
from enum import StrEnum

from oncefold_lab.world.scheduler import random_source

POINTS = 100
WINDOW_SECONDS = 30.0
"""A round counts if every node is right in some sample within so long after its last message."""
SAMPLE_SECONDS = 0.5
"""Totals are looked at twice a second, as the workshop's front end does."""
REST_SECONDS = 50.0
"""From a round's last message to its end; 10,000 messages and this are the workshop's minute."""
MESSAGES = 10_000
MESSAGES_PER_SECOND = 1_000
HARD_FROM, EXPERT_FROM = 300, 1_000
ROUNDS = 15
_MINUTE, _HOUR = 60.0, 3_600.0


class Mode(StrEnum):
    """How hard a round is."""

    EASY = "easy"
    HARD = "hard"
    EXPERT = "expert"


class Trouble(StrEnum):
    """What a round of expert mode adds to hard mode."""

    RECUT = "recut"
    REPLAY = "replay"
    ZOMBIE = "zombie"
    TRIM = "trim"

    @property
    def text(self) -> str:
        """What happens, for a person."""
        return _TROUBLES[self][0]

    @property
    def skip(self) -> float:
        """Seconds that pass after the round's minute."""
        return _TROUBLES[self][1]


_TROUBLES = {
    Trouble.RECUT: ("batches come again with other boundaries", 0.0),
    Trouble.REPLAY: ("the last batches come again after 11 minutes", 11 * _MINUTE),
    Trouble.ZOMBIE: ("invocations that were given up go on 11 minutes later", 12 * _MINUTE),
    Trouble.TRIM: ("no function reads the tables' streams for 25 hours", 25 * _HOUR),
}


class BatchCut(StrEnum):
    """How batches come again in a round of re-cut batches."""

    HALVES = "failed batches come again in halves"
    GROWN = "failed batches come again together with later records"
    BACK = "finished batches come again in two, the later half first"


@dataclass(frozen=True, slots=True)
class Round:
    """One round, the same for all players."""

    number: int
    mode: Mode
    start: float
    """Seconds since the game began."""
    messages: int
    trouble: Trouble | None = None
    cut: BatchCut | None = None

    @property
    def sending(self) -> float:
        """Seconds that its messages take."""
        return self.messages / MESSAGES_PER_SECOND

    @property
    def minute(self) -> float:
        """Seconds from its first message to its end, if no time passes beside."""
        return self.sending + REST_SECONDS

    @property
    def skip(self) -> float:
        """Seconds that pass beside."""
        return 0.0 if self.trouble is None else self.trouble.skip

    @property
    def judged_from(self) -> float:
        """Seconds since the game began, from which on it can be won: its last message, or the end of an outage."""
        outage = self.minute + self.skip if self.trouble is Trouble.TRIM else self.sending
        return self.start + outage

    @property
    def end(self) -> float:
        """When the next one begins; after time has passed there is another minute for what comes of it."""
        return self.start + self.minute + (self.skip + self.minute if self.skip else 0.0)

    @property
    def text(self) -> str:
        """Mode and trouble, for a person."""
        trouble = "" if self.trouble is None else f": {self.trouble.text}"
        return f"{self.mode}{trouble}" + (f" ({self.cut})" if self.cut else "")


@dataclass(frozen=True, slots=True)
class GameRules:
    """What can be chosen of a game."""

    messages: int = MESSAGES
    hard_from: int = HARD_FROM
    expert_from: int = EXPERT_FROM

    def mode(self, leading: int) -> Mode:
        """The mode when the leading player has so many points."""
        if leading >= self.expert_from:
            return Mode.EXPERT
        return Mode.HARD if leading >= self.hard_from else Mode.EASY


class Calendar:
    """Which round comes next: the mode follows the leading player's points, troubles come by the seed."""

    def __init__(self, seed: int, rules: GameRules) -> None:
        self._random = random_source(seed, "troubles")
        self._rules = rules
        self._number = 0
        self._start = 0.0
        self._troubles: list[Trouble] = []
        self._cuts: list[BatchCut] = []

    def next(self, leading: int) -> Round:
        """The next round; every trouble comes once before any comes again."""
        self._number += 1
        mode = self._rules.mode(leading)
        trouble = self._trouble() if mode is Mode.EXPERT else None
        cut = self._cut() if trouble is Trouble.RECUT else None
        following = Round(self._number, mode, self._start, self._rules.messages, trouble, cut)
        self._start = following.end
        return following

    def _trouble(self) -> Trouble:
        if not self._troubles:
            self._troubles = self._random.sample(list(Trouble), len(Trouble))
        return self._troubles.pop()

    def _cut(self) -> BatchCut:
        if not self._cuts:
            self._cuts = self._random.sample(list(BatchCut), len(BatchCut))
        return self._cuts.pop()
