"""The players that can be chosen by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold_workshop.game.oncefold import OncefoldPlayer
from oncefold_workshop.game.players import Player
from oncefold_workshop.game.workshop import WorkshopPlayer
from oncefold_workshop.pipelines.forms import after_fixes, before_fixes


@dataclass(frozen=True, slots=True)
class Entry:
    """A player as it can be chosen. Another process has to be able to get it, so `make` is a module's function."""

    name: str
    title: str
    make: Callable[[Pipeline], Player]
    any_pipeline: bool = False
    """Whether it can play with another pipeline than the workshop's."""


def _before(_: Pipeline) -> Player:
    return WorkshopPlayer("before", before_fixes)


def _after(_: Pipeline) -> Player:
    return WorkshopPlayer("after", after_fixes)


ENTRIES: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("before", "the workshop before its fixes", _before),
        Entry("after", "the workshop after its fixes", _after),
        Entry("oncefold", "Oncefold", OncefoldPlayer, any_pipeline=True),
    )
}
"""In the order in which they are shown."""


def choose(names: Sequence[str]) -> tuple[Entry, ...]:
    """The players of these names. Raises OncefoldError."""
    unknown = [name for name in names if name not in ENTRIES]
    if unknown or not names or len({*names}) < len(names):
        amiss = f"there is no player {unknown[0]!r}" if unknown else "a player has to be named, and only once"
        raise OncefoldError(f"--players: {amiss}; there are {', '.join(ENTRIES)}")
    return tuple(ENTRIES[name] for name in names)
