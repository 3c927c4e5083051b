"""The events of one request on their way: counted part by part, settled when the last of them is durable."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from oncefold.commit import Reject
from oncefold.core.fold import Outcome
from oncefold.serve.ingest.forms import Form
from oncefold.serve.ingest.pipe import Rest

TOLD_REJECTS: Final = 100
"""Rejects that an answer lists; the others are on the reject list all the same."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One request's events. The ingest thread counts; once it is settled nothing changes any more."""

    tell: "Callable[[Delivery], None]"
    """Called once, in the event loop, when the answer can be written."""
    number: int = 0
    """Under which the two processes speak of it."""
    settled: bool = False
    """Whether that was told."""
    form: Form = field(default_factory=Form)
    begun: bool = False
    """Whether any of its events were handed over."""
    body: bytes = b""
    """The whole of a small body of JSON Lines; else it comes in parts."""
    counts: dict[Outcome, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    """The first of them."""
    rejects_left_out: int = 0
    commit: int = 0
    """Number of the commit that holds its last event, 0 until that is durable."""
    committed_events: int = 0
    """Events that are durable."""
    fault: Exception | None = None
    """Why not all of the body could be read; what was whole before that is committed."""
    why_not: str = ""
    """Why it could not be committed; nothing more of it is taken then."""
    rest: Rest = field(default_factory=Rest)
    """What became of the part of the body that was streamed, if any was."""

    @property
    def source(self) -> str:
        """What its rejects name as their source."""
        return self.form.source

    @property
    def events(self) -> int:
        """Events folded, rejects included."""
        return sum(self.counts.values())

    def add(self, counts: Mapping[Outcome, int], rejects: Iterable[Reject]) -> None:
        """Count a part that was folded."""
        for outcome, count in counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + count
        for reject in rejects:
            if len(self.rejects) < TOLD_REJECTS:
                self.rejects.append(reject)
            else:
                self.rejects_left_out += 1

    def result(self) -> "Result":
        """All that its answer needs, for another process."""
        counts = {int(outcome): count for outcome, count in self.counts.items()}
        listed = (self.rejects, self.rejects_left_out)
        return counts, self.commit, self.committed_events, listed, self.fault, self.why_not, self.rest

    def take(self, result: "Result") -> None:
        """It is settled like this, in another process."""
        counts, self.commit, self.committed_events, listed, self.fault, self.why_not, self.rest = result
        self.counts = {Outcome(code): count for code, count in counts.items()}
        self.rejects, self.rejects_left_out = listed


Result = tuple[dict[int, int], int, int, tuple[list[Reject], int], Exception | None, str, Rest]
