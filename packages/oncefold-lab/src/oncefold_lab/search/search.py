"""Many seeds on many cores: which faults they had, and the first that failed."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count, islice
from multiprocessing import get_context

from oncefold.core.errors import OncefoldError
from oncefold_lab.search.trial import Build, draw_for, run

_TOGETHER = 2
"""Seeds that a process is given at a time."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What came of some seeds."""

    seeds: int
    coverage: dict[str, int]
    failures: tuple[tuple[int, str], ...]
    """Seeds that failed, and how."""


@dataclass
class FaultSearchResult:
    """What came of a search."""

    seeds: int = 0
    coverage: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, played: SeedResult) -> None:
        """Take in what came of some more seeds."""
        self.seeds += played.seeds
        self.coverage.update(played.coverage)
        self.failures.update(played.failures)


def load_system(where: str) -> Build:
    """The system that `module:name` means. Raises OncefoldError."""
    module, _, name = where.partition(":")
    try:
        build: Build = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise OncefoldError(f"there is no system {where}: {error}; name it as module:class") from None
    return build


def run_seed(seeds: Sequence[int], system: str) -> SeedResult:
    """Run some seeds here, up to the first that fails."""
    build = load_system(system)
    coverage: Counter[str] = Counter()
    for number, seed in enumerate(seeds, 1):
        result = run(draw_for(build, seed), build)
        coverage.update(result.coverage)
        if result.failure is not None:
            return SeedResult(number, dict(coverage), ((seed, result.failure),))
    return SeedResult(len(seeds), dict(coverage), ())


def search(
    first: int,
    seeds: int | None,
    seconds: float | None,
    jobs: int,
    system: str,
    progress: Callable[[FaultSearchResult], object],
) -> FaultSearchResult:
    """Run seeds from the first on: so many, or for so long, or until one fails.

    `progress` gets how far it is. Without a number of seeds and a time it goes on until one fails.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    numbers = count(first) if seeds is None else iter(range(first, first + seeds))
    load_system(system)
    found = FaultSearchResult()
    if jobs == 1:
        while not found.failures and (some := _next(numbers, ends)):
            found.add(run_seed(some, system))
            progress(found)
        return found
    with ProcessPoolExecutor(jobs, get_context("spawn")) as workers:
        running: set[Future[SeedResult]] = set()
        try:
            while True:
                while len(running) < jobs + 1 and not found.failures and (some := _next(numbers, ends)):
                    with _uninterrupted():
                        running.add(workers.submit(run_seed, some, system))
                if not running:
                    return found
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    found.add(future.result())
                progress(found)
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _next(numbers: Iterator[int], ends: float | None) -> list[int]:
    return [] if ends is not None and time.monotonic() >= ends else list(islice(numbers, _TOGETHER))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C is ignored meanwhile, and for ever by processes that start meanwhile: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
