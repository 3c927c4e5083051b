"""Makes a failure smaller: leaves out parts, lines and mishaps for as long as the run still fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from oncefold_lab.search.cuts import CUTTABLE, Cuts
from oncefold_lab.search.scenario import Scenario
from oncefold_lab.search.trial import Build, Result, run

RUNS = 1_500
"""Runs that shrinking may take, at most."""
_LUCKS = 5
"""Courses of events that are tried for a smaller scenario: leaving something out makes chance fall otherwise."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest failure that was found."""

    cuts: Cuts
    result: Result
    runs: int


class Shrinker:
    """Shrinks one failing scenario."""

    def __init__(self, scenario: Scenario, build: Build, tell: Callable[[int], object], runs: int = RUNS) -> None:
        """`tell` gets the number of runs so far."""
        self._scenario = scenario
        self._build = build
        self._tell = tell
        self._most = runs
        self._runs = 0
        self._cuts = Cuts()
        self._result = run(scenario, build)

    def shrink(self) -> Shrunk:
        """The smallest failure that so many runs find."""
        assert self._result.failure is not None, "there is nothing to shrink"
        self._leave_out()
        self._fewer_lines()
        self._leave_out()
        self._fewer_mishaps()
        self._fewer_lines()
        self._leave_out()
        return Shrunk(self._cuts, self._result, self._runs)

    def _leave_out(self) -> None:
        for name in CUTTABLE:
            if name not in self._cuts.without:
                smaller = replace(self._cuts, without=self._cuts.without | {name})
                # What changes nothing is left alone, so that the text stays short.
                if smaller.of(self._scenario) != self._cuts.of(self._scenario):
                    self._try(smaller)

    def _fewer_lines(self) -> None:
        sends = self._scenario.sends
        count = sum(len(send.lines) for send in sends)
        lines = range(count) if self._cuts.lines is None else sorted(self._cuts.lines)
        fewest(lines, lambda some: self._try(replace(self._cuts, lines=frozenset(some))))

    def _fewer_mishaps(self) -> None:
        # The luck stays: numbers mean other mishaps in another course of events.
        fewest(self._result.admitted, lambda some: self._try(replace(self._cuts, mishaps=frozenset(some)), lucks=1))

    def _try(self, cuts: Cuts, lucks: int = _LUCKS) -> bool:
        """Whether a smaller scenario fails too; it is taken then."""
        for luck in range(cuts.luck, cuts.luck + lucks):
            if self._runs >= self._most:
                return False
            self._runs += 1
            self._tell(self._runs)
            tried = replace(cuts, luck=luck)
            result = run(tried.of(self._scenario), self._build)
            if result.failure is not None:
                self._cuts, self._result = tried, result
                return True
        return False


def fewest(things: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """A smaller list that fails too, by leaving out runs of things, half of them at first, single ones in the end."""
    left = list(things)
    size = len(left)
    while size >= 1:
        start = 0
        while start < len(left):
            smaller = left[:start] + left[start + size :]
            if fails(smaller):
                left = smaller
            else:
                start += size
        size //= 2
    return left
