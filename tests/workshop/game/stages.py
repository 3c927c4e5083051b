"""Single players through rounds that are made for a purpose."""

from collections.abc import Sequence
from dataclasses import replace

from oncefold_workshop.game.expected import ExpectedTotals
from oncefold_workshop.game.generator import WorkshopSource
from oncefold_workshop.game.players import ENTRIES, Player
from oncefold_workshop.game.rules import BatchCut, Mode, Round, Trouble
from oncefold_workshop.game.stage import PlayedRound, Stage, TotalsSample

MESSAGES = 400


def rounds(*wanted: Mode | Trouble | BatchCut, messages: int = MESSAGES) -> list[Round]:
    """Rounds one after the other, each of a mode, or of expert mode with a trouble."""
    found: list[Round] = []
    for number, what in enumerate(wanted, 1):
        start = found[-1].end if found else 0.0
        played = Round(number, what if isinstance(what, Mode) else Mode.EXPERT, start, messages)
        if isinstance(what, Trouble):
            played = replace(played, trouble=what)
        elif isinstance(what, BatchCut):
            played = replace(played, trouble=Trouble.RECUT, cut=what)
        found.append(played)
    return found


def made(name: str) -> Player:
    """A player by its name."""
    return ENTRIES[name].make(WorkshopSource(0).pipeline)


def through(player: Player, played: Sequence[Round], seed: int = 5) -> list[tuple[PlayedRound, list[TotalsSample]]]:
    """How a player does in each of the rounds, and all looks at it."""
    source = WorkshopSource(seed)
    expected = ExpectedTotals(source.pipeline)
    stage = Stage(player, seed)
    found = []
    try:
        for one in played:
            sends = source.sends(one)
            expected.begin()
            expected.add(line.event for send in sends for line in send.lines if line.event is not None)
            samples = list(stage.samples(one, sends, expected))
            assert stage.played is not None
            found.append((stage.played, samples))
    finally:
        stage.close()
    return found
