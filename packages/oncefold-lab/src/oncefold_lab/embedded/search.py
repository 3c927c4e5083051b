"""The search: trial after trial on all cores, and the failing case made smaller."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing import get_context
from typing import TypeVar

from oncefold_lab.disk.faults import Survival, Traits
from oncefold_lab.embedded.case import Case, Ending, draw
from oncefold_lab.embedded.trial import DiskTrialResult, attempt


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What to search: seeds from the first on, so many, or for so long; both None goes on until one fails."""

    first: int
    seeds: int | None
    seconds: float | None
    jobs: int
    lies: bool = False

    def numbers(self) -> Iterator[int]:
        """The seeds in order."""
        return count(self.first) if self.seeds is None else iter(range(self.first, self.first + self.seeds))


@dataclass(slots=True)
class DiskSearchResult:
    """What a search has found so far."""

    seeds: int = 0
    steps: int = 0
    commits: int = 0
    lives: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    """By seed."""

    def add(self, result: DiskTrialResult) -> None:
        """Take in one more trial."""
        self.seeds += 1
        self.steps += result.steps
        self.commits += result.commits
        self.lives += result.lives
        self.happened.update(result.happened)
        if result.failure:
            self.failures[result.seed] = result.failure


def try_seed(seed: int, lies: bool) -> DiskTrialResult:  # noqa: FBT001 - handed to another process
    """The trial of one seed."""
    return attempt(draw(seed, lies=lies))


def search(
    wanted: SearchOptions,
    progress: Callable[[DiskSearchResult], object],
    monotonic: Callable[[], float] = time.monotonic,
) -> DiskSearchResult:
    """Try seeds until one fails, or all that is wanted is done; `progress` gets how far it is."""
    ends = None if wanted.seconds is None else monotonic() + wanted.seconds
    seeds, found = wanted.numbers(), DiskSearchResult()

    def following() -> Iterator[int]:
        """The next seed, unless the search is over."""
        if not found.failures and (ends is None or monotonic() < ends):
            yield from (seed for seed in [next(seeds, None)] if seed is not None)

    if wanted.jobs == 1:
        while some := list(following()):
            found.add(try_seed(some[0], wanted.lies))
            progress(found)
        return found
    with ProcessPoolExecutor(wanted.jobs, get_context("spawn"), _ignore_interrupts) as workers:
        running: set[Future[DiskTrialResult]] = set()
        try:
            while True:
                while len(running) <= wanted.jobs and (some := list(following())):
                    running.add(workers.submit(try_seed, some[0], wanted.lies))
                if not running:
                    return found
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    found.add(future.result())
                progress(found)
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    """Ctrl-C is dealt with by the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


TRIALS = 300
"""Trials that shrinking may take."""

_PLAIN = (Survival.NOTHING, Survival.ALL)

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class ShrunkCase:
    """The smallest failing case that was found."""

    case: Case
    result: DiskTrialResult
    trials: int

    @property
    def schedule(self) -> tuple[str, ...]:
        """Its lives as text, then what it is run on."""
        work = self.case.workload
        sizes = f"{work.records} records in {len(work.batches)} batches and {len(work.files)} files"
        lives = [f"life {number}: {life}" for number, life in enumerate(self.case.lives, 1)]
        return (*lives, "then: no faults until all is done", f"workload: {sizes}", f"disk: {self.case.traits}")


def shrink(
    case: Case,
    failed: DiskTrialResult,
    trials: int = TRIALS,
    *,
    progress: Callable[[int], object] = lambda _: None,
    attempt: Callable[[Case], DiskTrialResult] = attempt,
) -> ShrunkCase:
    """The smallest case that still fails, in whatever way; `progress` gets the trials so far."""
    best, result, made = case, failed, 0
    found = True
    while found:
        found = False
        for smaller in _smaller(best):
            if made == trials:
                break
            made += 1
            progress(made)
            tried = attempt(smaller)
            if tried.failure:
                best, result, found = smaller, tried, True
                break
    return ShrunkCase(best, result, made)


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
