"""Makes a failing case smaller, step by step, as long as it goes on failing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from oncefold_lab.disk.faults import Survival, Traits
from oncefold_lab.embedded.case import Case, Ending
from oncefold_lab.embedded.trial import Result, attempt

TRIALS = 300
"""Trials that shrinking may take."""

_PLAIN = (Survival.NOTHING, Survival.ALL)

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest failing case that was found."""

    case: Case
    result: Result
    trials: int

    @property
    def schedule(self) -> tuple[str, ...]:
        """Its lives in words, then what it is run on."""
        work = self.case.workload
        sizes = f"{work.records} records in {len(work.batches)} batches and {len(work.files)} files"
        lives = [f"life {number}: {life}" for number, life in enumerate(self.case.lives, 1)]
        return (*lives, "then: no faults until all is done", f"workload: {sizes}", f"disk: {self.case.traits}")


def shrink(
    case: Case,
    failed: Result,
    trials: int = TRIALS,
    *,
    tell: Callable[[int], object] = lambda _: None,
    attempt: Callable[[Case], Result] = attempt,
) -> Shrunk:
    """The smallest case that still fails, in whatever way; `tell` gets the trials so far."""
    best, result, made = case, failed, 0
    found = True
    while found:
        found = False
        for smaller in _smaller(best):
            if made == trials:
                break
            made += 1
            tell(made)
            tried = attempt(smaller)
            if tried.failure:
                best, result, found = smaller, tried, True
                break
    return Shrunk(best, result, made)


def _smaller(case: Case) -> Iterator[Case]:
    """Cases one step smaller, those that take most away first."""
    for lives in _without_one(case.lives):
        yield replace(case, lives=lives)
    yield from _smaller_workloads(case)
    for number, life in enumerate(case.lives):
        easier = [replace(life, faults=faults) for faults in _without_one(life.faults)]
        easier += [replace(life, ending=Ending.CLOSE)] if life.ending is not Ending.CLOSE else []
        easier += [replace(life, commits=1)] if life.commits > 1 else []
        easier += [replace(life, survival=plain) for plain in _PLAIN if life.survival not in _PLAIN]
        for fault in life.faults:
            if fault.times > 1:
                once = replace(fault, times=1)
                easier.append(replace(life, faults=tuple(once if each is fault else each for each in life.faults)))
        for changed in easier:
            yield replace(case, lives=(*case.lives[:number], changed, *case.lives[number + 1 :]))
    if case.traits != Traits():
        yield replace(case, traits=Traits())


def _smaller_workloads(case: Case) -> Iterator[Case]:
    work = case.workload
    for batches in _halved(work.batches):
        yield replace(case, workload=replace(work, batches=batches))
    for files in _without_one(work.files):
        names = {file.name for file in work.files} - {file.name for file in files}
        turns = tuple(turn for turn in work.turns if turn not in names)
        yield replace(case, workload=replace(work, files=files, turns=turns))
    for number, batch in enumerate(work.batches):
        for records in _halved(batch.records):
            changed = replace(batch, records=records)
            batches = (*work.batches[:number], changed, *work.batches[number + 1 :])
            yield replace(case, workload=replace(work, batches=batches))
    for number, file in enumerate(work.files):
        for records in _halved(file.records):
            shorter = replace(file, records=records)
            files = (*work.files[:number], shorter, *work.files[number + 1 :])
            yield replace(case, workload=replace(work, files=files))


def _without_one(parts: tuple[_Part, ...]) -> Iterator[tuple[_Part, ...]]:
    for number in range(len(parts)):
        yield parts[:number] + parts[number + 1 :]


def _halved(parts: Sequence[_Part]) -> Iterator[tuple[_Part, ...]]:
    """Half of them, in either way, or none of one."""
    half = len(parts) // 2
    if parts:
        yield tuple(parts[:half])
    if half:
        yield tuple(parts[half:])
