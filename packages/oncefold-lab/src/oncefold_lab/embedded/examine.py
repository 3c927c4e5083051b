"""A store, as its files lie on the disk, held against the truth; read with the standard library's SQLite."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from oncefold.core import nodepath
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node, Outcome, Total
from oncefold.store import Reader, rows
from oncefold.store.answers import Status
from oncefold.store.check import check_store
from oncefold_lab.embedded.truth import Facts, Totals, Truth

_MOST_TOLD = 3
STUMBLED = "check-store ends in"
"""How damage begins that made check-store itself fail, where it should have told."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a store says."""

    commits: int
    """Its last commit, 0 if that cannot be read."""
    refusal: str = ""
    """Why it cannot be opened, or not be asked."""
    damage: tuple[str, ...] = ()
    """What check-store says."""
    wrong: tuple[str, ...] = ()
    """How what it answers differs from the truth after so many commits."""
    forgot: bool = False
    """Whether the oldest commits can no longer be asked."""


def lay_down(files: Mapping[str, bytes], folder: Path) -> None:
    """Make these the files of a folder."""
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def examine(path: Path, truth: Truth, rng: Random) -> Examined:
    """Everything about a store that can be right or wrong; `rng` chooses which past commit is asked about."""
    damage, seq, oldest = _damage(path), 0, 0
    try:
        with Reader.open(path) as reader:
            status = reader.status()
            seq, oldest = status.last.seq, status.oldest.seq
            wrong = [*_wrong(reader, status, truth), *_wrong_in_the_past(reader, truth, rng.randint(oldest, seq))]
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


def _wrong(reader: Reader, status: Status, truth: Truth) -> list[str]:
    seq = status.last.seq
    if seq > len(truth.steps):
        return [f"it is at commit {seq}, and there are {len(truth.steps)}"]
    facts = truth.after(seq)
    counts = Counter({outcome: number for outcome, number in status.counts.items() if number})
    positions = {position.source: position.state for position in status.positions}
    return [
        *_unequal("the events by outcome", facts.counts, counts),
        *_unequal("the positions", facts.positions, positions),
        *_unequal("the length of the reject list", facts.counts[Outcome.REJECTED], status.rejects),
        *_unequal("the number of conflicts", facts.conflicts, status.conflicts),
        *_unequal_totals(reader, facts, None),
        *(f"verify: {found}" for found in reader.verify().differences[:_MOST_TOLD]),
    ]


def _wrong_in_the_past(reader: Reader, truth: Truth, commit: int) -> list[str]:
    return _unequal_totals(reader, truth.after(commit), commit) if commit <= len(truth.steps) else []


def _unequal(what: str, expected: object, found: object) -> list[str]:
    return [] if expected == found else [f"{what}: {found} instead of {expected}"]


def _unequal_totals(reader: Reader, facts: Facts, commit: int | None) -> list[str]:
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
        for node in wrong[:_MOST_TOLD]
    ]


def _same(found: Totals, expected: Totals, node: Node) -> bool:
    """A node that is absent equals one that is zero."""
    one, other = found.get(node), expected.get(node)
    return one == other or not (one or other)
