"""A request's events on their way through the writer: counted part by part, acknowledged when the last is durable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from oncefold.commit import Reject
from oncefold.core.fold import Outcome
from oncefold.serve.channel.messages import Acknowledgement, BodyError, BodyFormat, ShownReject

SHOWN_REJECTS: Final = 100
"""Rejects that a response lists; the others are on the reject list all the same."""
RAW_CHARACTERS: Final = 200
"""Characters of a rejected event that are shown."""


@dataclass(slots=True, eq=False)
class PendingRequest:
    """One request. The ingest thread counts; once it is acknowledged nothing changes any more."""

    number: int
    """By which both processes know it."""
    format: BodyFormat = field(default_factory=BodyFormat)
    body: bytes = b""
    """The whole of a small body of JSON Lines; else it comes in parts."""
    counts: dict[Outcome, int] = field(default_factory=dict)
    rejects: list[ShownReject] = field(default_factory=list)
    """The first of them."""
    rejects_left_out: int = 0
    notes: list[str] = field(default_factory=list)
    """What else its client should know."""
    commit: int = 0
    """Number of the commit that holds its last event, 0 until that is durable."""
    committed_events: int = 0
    """Events that are durable."""
    error: BodyError | None = None
    """Why not all of the body could be read; what was whole before that is committed."""
    failure: str = ""
    """Why it could not be committed; nothing more of it is taken then."""

    @property
    def events(self) -> int:
        """Events folded, rejects included."""
        return sum(self.counts.values())

    def add(self, counts: Mapping[Outcome, int], rejects: Iterable[Reject]) -> None:
        """Count a part that was folded."""
        for outcome, count in counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + count
        for reject in rejects:
            if len(self.rejects) < SHOWN_REJECTS:
                self.rejects.append(_shown(reject))
            else:
                self.rejects_left_out += 1

    def acknowledgement(self) -> Acknowledgement:
        """What became of it."""
        counts = self.counts
        return Acknowledgement(
            tuple([(int(outcome), counts[outcome]) for outcome in sorted(counts)]),
            self.commit,
            self.committed_events,
            tuple(self.rejects),
            self.rejects_left_out,
            self.error,
            self.failure,
            tuple(self.notes),
        )


def grouped(requests: Iterable[PendingRequest]) -> list[tuple[Acknowledgement, list[int]]]:
    """The acknowledgements of requests with their numbers, equal ones together."""
    groups: dict[Acknowledgement, list[int]] = {}
    for request in requests:
        groups.setdefault(request.acknowledgement(), []).append(request.number)
    return list(groups.items())


def _shown(reject: Reject) -> ShownReject:
    raw = reject.raw[: 4 * RAW_CHARACTERS].decode("utf-8", "replace")
    return ShownReject(reject.position, reject.reason, raw[:RAW_CHARACTERS])
