"""What is left out of a seed's scenario, as values and as a short text, so that a smaller failure can be replayed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Content, Event
from oncefold_lab.local.mapping_settings import FOR_EVER
from oncefold_lab.search.deployment import Deployment, Shape
from oncefold_lab.search.scenario import INCIDENTS, Scenario
from oncefold_lab.search.workload import Line, Send, line_of
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.world.mishaps import MISHAPS

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
    """A fault or mishap as it is written in cuts."""
    return what.replace(" ", "-")


_AS_PRINTED = "give it as the search printed it"
CUTTABLE = (*INCIDENTS, *(name_of(fault) for fault in Fault), *map(name_of, MISHAPS), *PARTS)
"""All that can be left out as a whole."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """What is left of a scenario. The text is `luck=2;lines=3,7-9;mishaps=4;without=split,crash-before-a-call`."""

    luck: int = 0
    """Another course of events under the same scenario; 0 is the seed's own."""
    lines: Numbers | None = None
    """Numbers of the lines that are sent, from 0 on; None: all."""
    mishaps: Numbers | None = None
    """Numbers of the mishaps that happen, from 1 on; None: all."""
    without: frozenset[str] = frozenset()

    def __str__(self) -> str:
        parts = [f"luck={self.luck}"] if self.luck else []
        parts += [f"lines={_ranges(self.lines)}"] if self.lines is not None else []
        parts += [f"mishaps={_ranges(self.mishaps)}"] if self.mishaps is not None else []
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
                _numbers(parts.pop("mishaps", None)),
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
        climate = replace(
            scenario.climate,
            faults={fault: rate for fault, rate in scenario.climate.faults.items() if name_of(fault) not in without},
            mishaps={name: rate for name, rate in scenario.climate.mishaps.items() if name_of(name) not in without},
            stream_shards=1 if "stream-shards" in without else scenario.climate.stream_shards,
            stream_lag=0.0 if "lag" in without else scenario.climate.stream_lag,
        )
        pipeline = _plainer(scenario.pipeline, without)
        return replace(
            scenario,
            luck=self.luck,
            deployment=_plain(scenario.deployment, pipeline, without),
            climate=climate,
            sends=self._sends(scenario, pipeline),
            incidents=tuple(incident for incident in scenario.incidents if incident.kind not in without),
            only=self.mishaps,
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


def _plain(deployment: Deployment, pipeline: Pipeline, without: frozenset[str]) -> Deployment:
    return replace(
        deployment,
        pipeline=pipeline,
        shards=1 if "shards" in without else deployment.shards,
        state=_plain_shape(deployment.state, without),
        reduce=_plain_shape(deployment.reduce, without),
    )


def _plain_shape(shape: Shape, without: frozenset[str]) -> Shape:
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


def _projected(line: Line, before: Pipeline, after: Pipeline) -> Line:
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
