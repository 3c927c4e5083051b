"""Rebuilds under new definitions: trees and measures come and go while events go on. docs/LAB.md, "Rebuilds"."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from oncefold.aws.reader.reader import StackOptions, StackReader
from oncefold.aws.tables import stack_of
from oncefold.core.definition import Pipeline, Rollup
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.core.fold import Node, Total
from oncefold.core.measures import Measure, MeasureKind
from oncefold.core.view import view_of
from oncefold_lab.search import oracle
from oncefold_lab.search.rebuilding import EconomyRebuilding, Rebuilding
from oncefold_lab.search.scenario import NAMES
from oncefold_lab.world.world import World

_WITHOUT = "without --definition"
"""What `rebuild` advises where another definition is on its way."""
_PLAIN = 0.2
"""Share of rebuilds under the definition that there is."""


class Redefining(Rebuilding):
    """A stack whose definition is replaced, again and again, by rebuilds."""

    def deploy(self, world: World) -> None:
        """See System."""
        super().deploy(world)
        self._drawn = world.random("definitions")

    def options(self) -> Mapping[str, Any]:
        """See Rebuilding."""
        if self._drawn.random() < _PLAIN:
            return {}
        self._world.ledger.note("new definition")
        return {"definition": to_toml(redefined(self._drawn, self.pipeline))}

    def wanted(self, event: Mapping[str, Any]) -> Pipeline | None:
        """See Rebuilding."""
        return parse_toml(event["definition"]) if "definition" in event else None

    def advice(self, payload: Mapping[str, Any], message: str) -> tuple[Mapping[str, Any], bool]:
        """See Rebuilding."""
        if _WITHOUT in message:
            return {name: value for name, value in payload.items() if name != "definition"}, False
        return super().advice(payload, message)

    def opened(self, reader: StackReader) -> StackReader:
        """See Rebuilding: a command reads what the stack's definition is."""
        streams = self._world.client("dynamodbstreams")
        stack = replace(stack_of(NAMES, self._client, self._definition(), streams), segments=1)
        clock = self._world.scheduler.clock
        return type(reader)(stack, StackOptions(exact=True), clock=lambda: int(clock() * 10**9))

    def expected(self) -> Mapping[Node, Total]:
        """See WithExpected: the totals of the definition that is live in the end."""
        events = [line.event for line in self._lines if line.event]
        return oracle.totals(self._balance.definition(self._balance.epochs.live), events, self.pipeline)


class EconomyRedefining(Redefining, EconomyRebuilding):
    """A stack in economy mode whose definition is replaced."""


def redefined(random: Random, pipeline: Pipeline) -> Pipeline:
    """Another definition whose totals can be made of what keys keep under this one."""
    more = [
        Rollup(f"x{number}", tuple(random.sample(pipeline.levels, random.randint(0, len(pipeline.levels)))))
        for number in range(random.choice([0, 1, 1, 2]))
    ]
    rollups = [rollup for rollup in pipeline.rollups if random.random() < 0.8] + more
    measures = [
        replace(measure, name=random.choice([measure.name, f"y{measure.name}"])) for measure in pipeline.measures
    ]
    for number, measure in enumerate(pipeline.measures):
        if random.random() < 0.6:
            kind: MeasureKind = random.choice(["avg", "count"])
            scale = measure.scale if kind == "avg" else 0
            measures.append(Measure(f"z{number}", measure.field, scale, kind=kind))
    try:
        wanted = replace(pipeline, rollups=tuple(rollups), measures=tuple(measures))
        view_of(pipeline, wanted)
    except DefinitionError:
        return replace(pipeline, rollups=(*pipeline.rollups, *more), measures=tuple(measures))
    return wanted
