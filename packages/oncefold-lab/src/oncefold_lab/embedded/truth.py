"""What a store must say after each of its commits, in the plainest words: no kernels, no nets, no files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from oncefold.core.definition import Pipeline
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, nodes_of

Totals = dict[Node, Total]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is right after a commit."""

    totals: Totals
    """Of every node that has a live key below it."""
    counts: Counter[Outcome]
    positions: dict[str, str]
    conflicts: int


@dataclass(frozen=True, slots=True)
class Step:
    """One commit: what arrives with it (None for what cannot be read), and the source that is further after it."""

    source: str
    state: str
    events: tuple[Event | None, ...]


class Truth:
    """The facts after every prefix of the steps."""

    def __init__(self, pipeline: Pipeline, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self._pipeline = pipeline
        self._known: dict[int, Facts] = {}

    def after(self, commits: int) -> Facts:
        """The facts after so many commits."""
        if commits not in self._known:
            self._known[commits] = self._facts(self.steps[:commits])
        return self._known[commits]

    def _facts(self, steps: Sequence[Step]) -> Facts:
        arrived = [event for step in steps for event in step.events]
        events = [event for event in arrived if event is not None]
        counts, conflicts = _outcomes(events)
        counts[Outcome.REJECTED] = len(arrived) - len(events)
        return Facts(
            totals=totals(self._pipeline, events),
            counts=+counts,
            positions={step.source: step.state for step in steps},
            conflicts=conflicts,
        )


def totals(pipeline: Pipeline, events: Sequence[Event]) -> Totals:
    """The totals of a set of events: of each key, the greatest version and content counts, wherever it belongs."""
    winners: dict[str, Event] = {}
    for event in events:
        stands = winners.get(event.key)
        if stands is None or (event.version, event.content.rank) > (stands.version, stands.content.rank):
            winners[event.key] = event
    found: Totals = {}
    for event in winners.values():
        if event.content.labels is not None:
            for node in nodes_of(pipeline, event.content.labels):
                one = Total(1, event.content.measures)
                found[node] = found[node] + one if node in found else one
    return found


def _outcomes(events: Sequence[Event]) -> tuple[Counter[Outcome], int]:
    """What becomes of events that arrive in this order, and how many different conflicts they make."""
    states: dict[str, Stored] = {}
    counts: Counter[Outcome] = Counter()
    conflicts: set[tuple[str, int, Content, Content]] = set()
    for event in events:
        was = states.get(event.key)
        outcome, states[event.key] = fold(was, event)
        counts[outcome] += 1
        if was is not None and outcome in {Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST}:
            kept = states[event.key].content
            dropped = was.content if outcome is Outcome.CONFLICT_WON else event.content
            conflicts.add((event.key, event.version, kept, dropped))
    return counts, len(conflicts)
