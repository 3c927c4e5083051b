"""Answers that are kept: of the newest commit, or of a past one, which never change; bounded by their bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from oncefold.serve.answers.fresh import Freshness

KEPT_BYTES = 64 * 2**20
MOST_OF_ONE = 4 * 2**20
_OVERHEAD = 512
"""Bytes that an answer takes beside its own, about."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it is sent, but for the members that say how fresh it is: they go on with the clock."""

    fresh: Freshness
    content_type: str
    body: bytes
    """What follows the members of `Freshness` in a JSON document; else all of it."""
    document: bool
    """Whether it is a JSON document."""


class Cache:
    """The answers last used, by question; one is given only if it is of the commit that is asked for, or later."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, Answered] = OrderedDict()
        self.size = 0
        """Bytes that are kept, about."""

    def get(self, question: Hashable, commit: int) -> Answered | None:
        """The answer to a question, unless it is older than this commit."""
        found = self._kept.get(question)
        if found is None or found.fresh.commit < commit:
            return None
        self._kept.move_to_end(question)
        return found

    def put(self, question: Hashable, answer: Answered) -> None:
        """Keep an answer, in place of an older one to the same question."""
        before = self._kept.get(question)
        if len(answer.body) > MOST_OF_ONE or (before is not None and before.fresh.commit > answer.fresh.commit):
            return
        if before is not None:
            self._drop(question)
        self._kept[question] = answer
        self.size += len(answer.body) + _OVERHEAD
        while self.size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, question: Hashable) -> None:
        self.size -= len(self._kept.pop(question).body) + _OVERHEAD
