"""How fast the sweeper applies what a reducer left that was down for hours: in virtual time, calls take theirs."""

from collections.abc import Mapping
from typing import Any

import pytest

from oncefold.aws.functions.layout import delta_item
from oncefold.aws.functions.plan import Change, chunks
from oncefold.aws.functions.sweep import sweep
from oncefold.core.event import Content
from oncefold.core.fold import Stored
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import NAMES, SimulatedDeployment
from oncefold_lab.world.functions import CALLS_AT_ONCE, Context
from oncefold_lab.world.world import World, WorldSettings
from tests.aws.functions.worlds import pipeline_of
from tests.tools.sizes import full_only

PIPELINE = pipeline_of(1)
KEYS = 6_000
CREATED = 1_700_000_000 - 10_000
CALL_SECONDS = 0.02


class _Swept(Oncefold):
    segments = 1
    took = 0.0
    applied = 0

    def sweep(self, event: Mapping[str, Any], context: Context) -> None:
        dynamo, _ = self._dynamo(context)
        began = context.clock()
        found = sweep(PIPELINE, NAMES, dynamo, context.clock, 120.0, context.spread, self.segments)
        self.took, self.applied = context.clock() - began, found.reduced.deltas


def swept(segments: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, float]:
    """Deltas that one sweep applied, and the seconds that it took."""
    monkeypatch.setattr(World, "latency", lambda *_: CALL_SECONDS / 2)
    system = _Swept(SimulatedDeployment(PIPELINE), [])
    system.segments = segments
    world = World(1, WorldSettings())
    world.calm()
    system.deploy(world)
    labels = len(PIPELINE.levels)
    changes = (Change(f"k{n}", None, Stored(1, Content((f"leaf {n}",) * labels, (n,)))) for n in range(KEYS))
    for chunk in chunks(PIPELINE, changes):
        for delta in chunk.deltas:
            world.dynamodb.put_item(
                TableName=NAMES.reduce_table, Item=delta_item(PIPELINE, delta, keys=1, created=CREATED)
            )
    waiting = len(world.rows(NAMES.reduce_table))
    world.functions[NAMES.sweep_function].invoke(b"{}", lambda _: None)
    world.scheduler.run(world.scheduler.clock() + 50.0, lambda: bool(system.took))
    world.close()
    assert not world.rows(NAMES.reduce_table)
    assert system.applied == waiting
    return waiting, system.took


@full_only("3 s")
def test_segments_are_swept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    deltas, one = swept(1, monkeypatch)
    same, four = swept(CALLS_AT_ONCE, monkeypatch)
    assert deltas == same > 100
    assert four < one / 2.5
