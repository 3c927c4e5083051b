"""Epochs: which totals a stack has, which a rebuild is making, and which of them a key counts in.

A rebuild makes the totals anew under an epoch of their own, beside those that are read. An epoch is a number, greater
than all before it; 0 is that of a stack that never was rebuilt. The item `definition` names the live epoch, which is
read, and the one that is being made. Every state says the greatest epoch that its key was brought into, and this is the
one rule: **a key counts in an epoch exactly if its mark is that epoch or a later one.** A mark never goes back.

Functions know the epochs for EPOCH_SECONDS, so they may not know yet that a rebuild has begun. That is safe:

- a mark later than any epoch that a function knows makes it read them again before it writes;
- a state is put on the condition that its mark is the one that was read, so no mark that was set meanwhile is lost;
- what a function that did not know wrote has an earlier mark, and is brought in by the rebuild's last pass, which
  begins when no such function can be under way any more, or by whoever is given the same record again.

An epoch has one definition from its beginning to its end, and a rebuild may make its totals under a new one
(`oncefold.core.view`). Keys are kept as they always were, so a function needs no other code for it: it finds the
definition of each epoch where it finds the epochs.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.view import View, view_of
from oncefold.dynamodb.calls import Dynamo

EPOCH_SECONDS = 30.0
"""How long a function goes on with the epochs that it has read."""


@dataclass(frozen=True, slots=True)
class Epochs:
    """The epochs of a stack at some moment."""

    live: int = 0
    """Whose totals are read."""
    building: int | None = None
    """Whose totals a rebuild is making; greater than the live one."""
    definitions: tuple[tuple[int, str], ...] = ()
    """Of epochs whose definition is another one than that which keys are kept under: its text.

    Also of one that is announced."""

    def view(self, epoch: int, kept: Pipeline) -> View:
        """What an epoch's totals are of keys that are kept under a definition."""
        text = dict(self.definitions).get(epoch)
        return View(kept) if text is None else view_of(kept, _parsed(text))

    def others(self, kept: Pipeline) -> tuple[Pipeline, ...]:
        """The definitions of epochs, beside the one that keys are kept under."""
        return tuple(self.view(epoch, kept).pipeline for epoch, _ in self.definitions)

    @property
    def kept(self) -> tuple[int, ...]:
        """Those whose totals have to be right: what changes a key changes both."""
        return (self.live,) if self.building is None else (self.live, self.building)

    @property
    def latest(self) -> int:
        """The greatest of them: a key with this mark counts in all."""
        return self.live if self.building is None else self.building


def counts_in(epoch: int, mark: int) -> bool:
    """Whether a key with this mark counts in an epoch."""
    return mark >= epoch


DELETING = "delete"
"""The phase of a rebuild in which its totals are live, or it was given up: what is left is to delete others."""
ANNOUNCED = "announced"
"""The phase in which its definition is known and its totals are not made yet: functions take what it can hold alone.

Economy mode needs it: there a state is written unread, so a function that does not know the definition would not learn
of it from the key's mark, and NetLambda could not net what it wrote (`oncefold.aws.operations.rebuild`).
"""


def epochs_of(definition: Mapping[str, Any]) -> Epochs:
    """What the item `definition` says."""
    live = int(definition["epoch"]["N"]) if "epoch" in definition else 0
    replaced = definition["toml"]["S"] if "kept" in definition else ""
    rebuild = definition.get("rebuild", {}).get("M")
    phase = DELETING if rebuild is None else rebuild["phase"]["S"]
    if rebuild is None or phase == DELETING:
        made, text = None, ""
    else:
        made, text = int(rebuild["epoch"]["N"]), rebuild.get("toml", {}).get("S", replaced)
    definitions = tuple((epoch, said) for epoch, said in ((live, replaced), (made, text)) if epoch is not None and said)
    return Epochs(live, None if phase == ANNOUNCED else made, definitions)


def kept_under(definition: Mapping[str, Any]) -> str:
    """The text of the definition that keys are kept under: the first one, whatever replaced it."""
    text: str = definition.get("kept", definition["toml"])["S"]
    return text


@lru_cache(maxsize=4)
def _parsed(text: str) -> Pipeline:
    return parse_toml(text, "the definition of an epoch")


class EpochCache:
    """The epochs of one stack, read again when they are too old."""

    def __init__(
        self,
        names: Names,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = EPOCH_SECONDS,
    ) -> None:
        """Both clocks in seconds: the one that an environment's pauses stop may be the one or the other."""
        self._names = names
        self._wall_clock = wall_clock
        self._clock = clock
        self._seconds = seconds
        self._known: tuple[float, float, Epochs] | None = None

    def current(self, dynamo: Dynamo) -> Epochs:
        """The epochs as they were at most so many seconds ago. Raises OutOfTime."""
        if self._known is not None:
            wall, clock, epochs = self._known
            if 0 <= self._wall_clock() - wall < self._seconds and self._clock() - clock < self._seconds:
                return epochs
        return self.read(dynamo)

    def restored_apart(self, keys: Sequence[str]) -> None:
        """Called with keys of which the outbox has a delta that their states know nothing of.

        State and delta are one transaction, so tables were put back to different moments. A function tries again: the
        delta goes when it is applied, and only new totals can be trusted then.
        """

    def read(self, dynamo: Dynamo) -> Epochs:
        """The epochs as they are now. Raises OutOfTime."""
        since = self._wall_clock(), self._clock()
        item = dynamo.get(self._names.aggregate_table, DEFINITION_KEY)
        epochs = Epochs() if item is None else epochs_of(item)
        self._known = (*since, epochs)
        return epochs
