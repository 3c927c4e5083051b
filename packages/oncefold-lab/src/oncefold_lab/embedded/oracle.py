"""What a store must answer after each commit, computed plainly, and the store compared with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from oncefold.core import nodepath
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, nodes_of
from oncefold.store import StoreFile, rows
from oncefold.store.answers import StoredStatus
from oncefold.store.check import check_store

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
class ExpectedStep:
    """One commit: what arrives with it (None for what cannot be read), and the source that is further after it."""

    source: str
    state: str
    events: tuple[Event | None, ...]


class Oracle:
    """The facts after every prefix of the steps."""

    def __init__(self, pipeline: Pipeline, steps: Sequence[ExpectedStep]) -> None:
        self.steps = tuple(steps)
        self._pipeline = pipeline
        self._known: dict[int, Facts] = {}

    def after(self, commits: int) -> Facts:
        """The facts after so many commits."""
        if commits not in self._known:
            self._known[commits] = self._facts(self.steps[:commits])
        return self._known[commits]

    def _facts(self, steps: Sequence[ExpectedStep]) -> Facts:
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
        current = winners.get(event.key)
        if current is None or (event.version, event.content.rank) > (current.version, current.content.rank):
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


_MOST_SHOWN = 3
STUMBLED = "check-store ends in"
"""How damage begins that made check-store itself fail, where it should have reported it."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a store says."""

    commits: int
    """Its last commit, 0 if that cannot be read."""
    refusal: str = ""
    """Why it cannot be opened, or queried."""
    damage: tuple[str, ...] = ()
    """What check-store says."""
    wrong: tuple[str, ...] = ()
    """How what it answers differs from the oracle after so many commits."""
    forgot: bool = False
    """Whether the oldest commits can no longer be queried."""


def lay_down(files: Mapping[str, bytes], folder: Path) -> None:
    """Make these the files of a folder."""
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def examine(path: Path, oracle: Oracle, rng: Random) -> Examined:
    """Everything about a store that can be right or wrong; `rng` chooses which past commit is queried."""
    damage, seq, oldest = _damage(path), 0, 0
    try:
        with StoreFile.open(path) as reader:
            status = reader.status()
            seq, oldest = status.last.seq, status.oldest.seq
            wrong = [*_wrong(reader, status, oracle), *_wrong_in_the_past(reader, oracle, rng.randint(oldest, seq))]
    except OncefoldError as error:
        return Examined(seq, refusal=str(error), damage=damage)
    except Exception as error:
        wrong = [f"a question ends in {type(error).__name__}: {error}"]
    return Examined(seq, damage=damage, wrong=tuple(wrong), forgot=oldest > 0)


def _damage(path: Path) -> tuple[str, ...]:
    try:
        return tuple(check_store(path))
    except Exception as error:
        return (f"{STUMBLED} {type(error).__name__}: {error}",)


def _wrong(reader: StoreFile, status: StoredStatus, oracle: Oracle) -> list[str]:
    seq = status.last.seq
    if seq > len(oracle.steps):
        return [f"it is at commit {seq}, and there are {len(oracle.steps)}"]
    facts = oracle.after(seq)
    counts = Counter({outcome: number for outcome, number in status.counts.items() if number})
    positions = {position.source: position.state for position in status.positions}
    return [
        *_unequal("the events by outcome", facts.counts, counts),
        *_unequal("the positions", facts.positions, positions),
        *_unequal("the length of the reject list", facts.counts[Outcome.REJECTED], status.rejects),
        *_unequal("the number of conflicts", facts.conflicts, status.conflicts),
        *_unequal_totals(reader, facts, None),
        *(f"verify: {found}" for found in reader.verify().differences[:_MOST_SHOWN]),
    ]


def _wrong_in_the_past(reader: StoreFile, oracle: Oracle, commit: int) -> list[str]:
    return _unequal_totals(reader, oracle.after(commit), commit) if commit <= len(oracle.steps) else []


def _unequal(what: str, expected: object, found: object) -> list[str]:
    return [] if expected == found else [f"{what}: {found} instead of {expected}"]


def _unequal_totals(reader: StoreFile, facts: Facts, commit: int | None) -> list[str]:
    found: Totals = {
        Node(index, rows.labels_of(row.path)): Total(row.count, row.sums)
        for index, rollup in enumerate(reader.pipeline.rollups)
        for row in reader.totals(rollup.name, commit=commit).rows
    }
    at = "" if commit is None else f" as of commit {commit}"
    wrong = sorted(node for node in found.keys() | facts.totals.keys() if not _same(found, facts.totals, node))
    return [
        f"{reader.pipeline.rollups[node.rollup].name} {nodepath.join(node.labels) or '(root)'}{at}: "
        f"{found.get(node)} instead of {facts.totals.get(node)}"
        for node in wrong[:_MOST_SHOWN]
    ]


def _same(found: Totals, expected: Totals, node: Node) -> bool:
    """A node that is absent equals one that is zero."""
    one, other = found.get(node), expected.get(node)
    return one == other or not (one or other)
