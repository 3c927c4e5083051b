"""Makes a failure smaller: leaves out parts, lines and faults for as long as the run still fails."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Content, Event
from oncefold_lab.local.settings import FOR_EVER
from oncefold_lab.search.scenario import (
    ECONOMY_INCIDENTS,
    INCIDENTS,
    REBUILD_INCIDENTS,
    Scenario,
    SimulatedDeployment,
    StackShape,
)
from oncefold_lab.search.trial import Build, TrialResult, run
from oncefold_lab.search.workload import Send, SentLine, line_of
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.world.faults import INVOCATION_FAULTS

Numbers = frozenset[int]

PARTS = (
    "shards",
    "lanes",
    "batches",
    "windows",
    "limits",
    "bisect",
    "stream-shards",
    "lag",
    "gaps",
    "trees",
    "measures",
)
"""Parts of a scenario that have a plainest form: one shard, one lane, batches of one, no window, retries without end,
no bisecting, one shard and no lag of the outbox's stream, no long gaps between events, one tree, no measures."""
_GAP_SECONDS = 2.0


def name_of(what: str) -> str:
    """A fault as it is written in cuts."""
    return what.replace(" ", "-")


_AS_PRINTED = "give it as the search printed it"
CUTTABLE = (
    *INCIDENTS,
    *REBUILD_INCIDENTS,
    *ECONOMY_INCIDENTS,
    *(name_of(fault) for fault in Fault),
    *map(name_of, INVOCATION_FAULTS),
    *PARTS,
)
"""All that can be left out as a whole."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """What is left of a scenario. The text is `luck=2;lines=3,7-9;faults=4;without=split,crash-before-a-call`."""

    luck: int = 0
    """Another course of events under the same scenario; 0 is the seed's own."""
    lines: Numbers | None = None
    """Numbers of the lines that are sent, from 0 on; None: all."""
    faults: Numbers | None = None
    """Numbers of the faults that happen, from 1 on; None: all."""
    without: frozenset[str] = frozenset()

    def __str__(self) -> str:
        parts = [f"luck={self.luck}"] if self.luck else []
        parts += [f"lines={_ranges(self.lines)}"] if self.lines is not None else []
        parts += [f"faults={_ranges(self.faults)}"] if self.faults is not None else []
        parts += [f"without={','.join(sorted(self.without))}"] if self.without else []
        return ";".join(parts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises OncefoldError."""
        parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
        try:
            cuts = cls(
                int(parts.pop("luck", "0")),
                _numbers(parts.pop("lines", None)),
                _numbers(parts.pop("faults", None)),
                frozenset(filter(None, parts.pop("without", "").split(","))),
            )
        except ValueError as error:
            raise OncefoldError(f"--shrunk: {error}; {_AS_PRINTED}") from None
        unknown = [*parts, *sorted(cuts.without - {*CUTTABLE})]
        if unknown:
            raise OncefoldError(f"--shrunk: {', '.join(unknown)} is unknown; {_AS_PRINTED}")
        return cuts

    def of(self, scenario: Scenario) -> Scenario:
        """What is left of a scenario."""
        without = self.without
        world_settings = replace(
            scenario.world_settings,
            faults={
                fault: rate for fault, rate in scenario.world_settings.faults.items() if name_of(fault) not in without
            },
            invocation_faults={
                name: rate
                for name, rate in scenario.world_settings.invocation_faults.items()
                if name_of(name) not in without
            },
            stream_shards=1 if "stream-shards" in without else scenario.world_settings.stream_shards,
            stream_lag=0.0 if "lag" in without else scenario.world_settings.stream_lag,
        )
        pipeline = _plainer(scenario.pipeline, without)
        return replace(
            scenario,
            luck=self.luck,
            deployment=_plain(scenario.deployment, pipeline, without),
            world_settings=world_settings,
            sends=self._sends(scenario, pipeline),
            incidents=tuple(incident for incident in scenario.incidents if incident.kind not in without),
            only=self.faults,
        )

    def _sends(self, scenario: Scenario, pipeline: Pipeline) -> tuple[Send, ...]:
        """What is still sent; one call that has no line left is not made."""
        sends = []
        number = 0
        saved = last = 0.0
        for send in scenario.sends:
            if "gaps" in self.without:
                saved += max(0.0, send.at - last - _GAP_SECONDS)
            last = send.at
            records = []
            for key, lines in send.records:
                numbered = enumerate(lines, number)
                number += len(lines)
                kept = tuple(line for index, line in numbered if self.lines is None or index in self.lines)
                if kept:
                    records.append((key, tuple(_projected(line, scenario.pipeline, pipeline) for line in kept)))
            if records:
                sends.append(Send(send.at - saved, tuple(records)))
        return tuple(sends)


def _plain(deployment: SimulatedDeployment, pipeline: Pipeline, without: frozenset[str]) -> SimulatedDeployment:
    return replace(
        deployment,
        pipeline=pipeline,
        shards=1 if "shards" in without else deployment.shards,
        state=_plain_shape(deployment.state, without),
        reduce=_plain_shape(deployment.reduce, without),
        net=_plain_shape(deployment.net, without),
    )


def _plain_shape(shape: StackShape, without: frozenset[str]) -> StackShape:
    endless = "limits" in without
    return replace(
        shape,
        batch_size=1 if "batches" in without else shape.batch_size,
        window_seconds=0.0 if "windows" in without else shape.window_seconds,
        parallelization=1 if "lanes" in without else shape.parallelization,
        max_retries=FOR_EVER if endless else shape.max_retries,
        max_age_seconds=FOR_EVER if endless else shape.max_age_seconds,
        bisect=shape.bisect and "bisect" not in without,
    )


def _plainer(pipeline: Pipeline, without: frozenset[str]) -> Pipeline:
    rollups = pipeline.rollups[:1] if "trees" in without else pipeline.rollups
    return replace(pipeline, rollups=rollups, measures=() if "measures" in without else pipeline.measures)


def _projected(line: SentLine, before: Pipeline, after: Pipeline) -> SentLine:
    """A line as it is for a plainer pipeline."""
    event = line.event
    if event is None or before == after:
        return line
    content = event.content
    if content.labels is not None:
        label = dict(zip(before.levels, content.labels, strict=True))
        measures = content.measures[: len(after.measures)]
        content = Content(tuple(label[level] for level in after.levels), measures)
    return line_of(after, Event(event.key, event.version, content))


def _ranges(numbers: Iterable[int]) -> str:
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def _numbers(text: str | None) -> Numbers | None:
    if text is None:
        return None
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)


RUNS = 1_500
"""Runs that shrinking may take, at most."""
_LUCKS = 5
"""Seeds that are tried for a smaller scenario: leaving something out changes what the random sources draw."""


@dataclass(frozen=True, slots=True)
class ShrunkScenario:
    """The smallest failure that was found."""

    cuts: Cuts
    result: TrialResult
    runs: int


class Shrinker:
    """Shrinks one failing scenario."""

    def __init__(self, scenario: Scenario, build: Build, progress: Callable[[int], object], runs: int = RUNS) -> None:
        """`progress` gets the number of runs so far."""
        self._scenario = scenario
        self._build = build
        self._progress = progress
        self._most = runs
        self._runs = 0
        self._cuts = Cuts()
        self._result = run(scenario, build)

    def shrink(self) -> ShrunkScenario:
        """The smallest failure that so many runs find."""
        assert self._result.failure is not None, "there is nothing to shrink"
        self._leave_out()
        self._fewer_lines()
        self._leave_out()
        self._fewer_faults()
        self._fewer_lines()
        self._leave_out()
        return ShrunkScenario(self._cuts, self._result, self._runs)

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

    def _fewer_faults(self) -> None:
        # The luck stays: numbers mean other faults in another course of events.
        fewest(self._result.admitted, lambda some: self._try(replace(self._cuts, faults=frozenset(some)), lucks=1))

    def _try(self, cuts: Cuts, lucks: int = _LUCKS) -> bool:
        """Whether a smaller scenario fails too; it is taken then."""
        for luck in range(cuts.luck, cuts.luck + lucks):
            if self._runs >= self._most:
                return False
            self._runs += 1
            self._progress(self._runs)
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
