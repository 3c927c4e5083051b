"""The search: trial after trial on all cores, until one fails or the time is up."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context

from oncefold_lab.embedded.case import draw
from oncefold_lab.embedded.trial import Result, attempt


@dataclass(frozen=True, slots=True)
class Wanted:
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
class Searched:
    """What a search has found so far."""

    seeds: int = 0
    steps: int = 0
    commits: int = 0
    lives: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    """By seed."""

    def add(self, result: Result) -> None:
        """Take in one more trial."""
        self.seeds += 1
        self.steps += result.steps
        self.commits += result.commits
        self.lives += result.lives
        self.happened.update(result.happened)
        if result.failure:
            self.failures[result.seed] = result.failure


def try_seed(seed: int, lies: bool) -> Result:  # noqa: FBT001 - handed to another process
    """The trial of one seed."""
    return attempt(draw(seed, lies=lies))


def search(
    wanted: Wanted, tell: Callable[[Searched], object], monotonic: Callable[[], float] = time.monotonic
) -> Searched:
    """Try seeds until one fails, or all that is wanted is done; `tell` gets how far it is."""
    ends = None if wanted.seconds is None else monotonic() + wanted.seconds
    seeds, found = wanted.numbers(), Searched()

    def following() -> Iterator[int]:
        """The next seed, unless the search is over."""
        if not found.failures and (ends is None or monotonic() < ends):
            yield from (seed for seed in [next(seeds, None)] if seed is not None)

    if wanted.jobs == 1:
        while some := list(following()):
            found.add(try_seed(some[0], wanted.lies))
            tell(found)
        return found
    with ProcessPoolExecutor(wanted.jobs, get_context("spawn"), _ignore_interrupts) as workers:
        running: set[Future[Result]] = set()
        try:
            while True:
                while len(running) <= wanted.jobs and (some := list(following())):
                    running.add(workers.submit(try_seed, some[0], wanted.lies))
                if not running:
                    return found
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    found.add(future.result())
                tell(found)
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    """Ctrl-C is dealt with by the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
