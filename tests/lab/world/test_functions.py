"""Invocations: their calls interleave, they crash around each, run out of time, and live on as zombies."""

from typing import Any

import pytest

from oncefold_lab.simulator.faults import Fault
from oncefold_lab.world.faults import CRASH_AFTER, CRASH_BEFORE, STALL, ZOMBIE
from oncefold_lab.world.functions import Context
from oncefold_lab.world.world import World, WorldSettings
from tests.lab.world.stage import Batch, Stage, make_items


def add_one(client: Any, name: str) -> None:
    client.update_item(
        TableName="items",
        Key={"id": {"S": name}},
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def count(world: World, name: str) -> int:
    item = world.dynamodb.get_item(TableName="items", Key={"id": {"S": name}}, ConsistentRead=True).get("Item")
    return 0 if item is None else int(item["n"]["N"])


def stage_with_table(world_settings: WorldSettings, **more: Any) -> Stage:
    stage = Stage(world_settings=world_settings, **more)
    make_items(stage.world)
    return stage


def test_two_invocations_read_before_either_writes() -> None:
    stage = Stage(shards=4)
    make_items(stage.world)
    client = stage.world.client("dynamodb")

    def handle(batch: Batch, context: Context) -> None:
        client.get_item(TableName="items", Key={"id": {"S": "a"}})
        add_one(client, "a")

    stage.handle = handle
    for key in "abcdefgh":
        stage.put(key, key=key)
    stage.run()
    calls = [what for _, _, what in stage.world.lines if "_item" in what]
    assert calls.index("update_item: ok") > 1, "all invocations ran one after the other"


@pytest.mark.parametrize(("fault", "done"), [(CRASH_BEFORE, 0), (CRASH_AFTER, 1)])
def test_a_crash_is_before_the_effect_or_after_it(fault: str, done: int) -> None:
    stage = stage_with_table(WorldSettings(invocation_faults={fault: 1.0}), max_retries=0)
    client = stage.world.client("dynamodb")
    stage.handle = lambda batch, context: add_one(client, "a")
    stage.put("x")
    stage.run()
    stage.world.calm()
    assert count(stage.world, "a") == done
    assert stage.world.coverage()[fault] == 1
    assert stage.world.queues.length("failures") == 1


def test_an_invocation_that_runs_out_of_time_is_ended() -> None:
    stage = stage_with_table(WorldSettings(), timeout=5.0, max_retries=0)
    client = stage.world.client("dynamodb")

    def handle(batch: Batch, context: Context) -> None:
        context.sleep(6.0)
        add_one(client, "a")

    stage.handle = handle
    stage.put("x")
    stage.run()
    assert count(stage.world, "a") == 0
    assert stage.world.coverage()["timed out"] == 1
    assert stage.world.functions["function"].under_way == 0


def test_a_zombie_goes_on_and_its_batch_comes_again_meanwhile() -> None:
    stage = stage_with_table(WorldSettings(invocation_faults={ZOMBIE: 1.0}), timeout=5.0)
    client = stage.world.client("dynamodb")
    slow = iter([True])

    def handle(batch: Batch, context: Context) -> None:
        if next(slow, False):
            context.sleep(6.0)
        add_one(client, "a")

    stage.handle = handle
    stage.put("x")
    stage.run(3_000.0)
    assert count(stage.world, "a") == 2
    assert stage.batches == [["x"], ["x"]]


def test_stalls_make_time_run_out() -> None:
    stage = stage_with_table(WorldSettings(invocation_faults={STALL: 0.5}), timeout=3.0, max_retries=30)
    client = stage.world.client("dynamodb")
    stage.handle = lambda batch, context: add_one(client, "a")
    stage.put("x")
    stage.run(5_000.0)
    assert stage.world.coverage()["timed out"] > 0


def test_calm_means_that_nothing_goes_wrong_any_more() -> None:
    stage = Stage(
        world_settings=WorldSettings(faults=dict.fromkeys(Fault, 0.09), invocation_faults={CRASH_BEFORE: 1.0})
    )
    stage.world.calm()
    make_items(stage.world)
    client = stage.world.client("dynamodb")
    stage.handle = lambda batch, context: add_one(client, "a")
    stage.put("x")
    stage.run()
    assert count(stage.world, "a") == 1
    assert stage.batches == [["x"]]


def test_the_context_is_that_of_lambda() -> None:
    stage = Stage(timeout=7.0)
    seen: list[int] = []
    stage.handle = lambda batch, context: seen.append(context.get_remaining_time_in_millis())
    stage.put("x")
    stage.run()
    assert 6_500 < seen[0] <= 7_000
