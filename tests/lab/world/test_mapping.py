"""Event source mappings in virtual time: what is delivered, again, in which pieces, and given up when."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.world.faults import CRASH_END, CRASH_START, RECUT, REPEAT
from oncefold_lab.world.functions import Context
from oncefold_lab.world.world import World, WorldSettings
from tests.lab.world.stage import Batch, Stage, make_items

NUMBERS = [str(number) for number in range(20)]


def test_everything_is_delivered_in_order_in_batches() -> None:
    stage = Stage(batch_size=6)
    stage.put(*NUMBERS)
    stage.run()
    assert stage.texts == NUMBERS
    assert [len(batch) for batch in stage.batches] == [6, 6, 6, 2]
    assert stage.mapping.idle


def test_what_comes_later_is_delivered_too() -> None:
    stage = Stage()
    for number in range(5):
        stage.put(str(number))
        stage.run(1_000.0)
    assert stage.texts == NUMBERS[:5]


def test_a_window_gathers_a_batch() -> None:
    stage = Stage(window_seconds=30.0)
    stage.put("a")
    stage.run(20.0)
    assert stage.batches == []
    stage.put("b")
    stage.run()
    assert stage.batches == [["a", "b"]]


def test_lanes_keep_the_order_of_each_key() -> None:
    stage = Stage(shards=2, parallelization=5, batch_size=2)
    for text in NUMBERS:
        for key in "abcdef":
            stage.put(key + text, key=key)
    stage.handle = lambda batch, context: context.sleep(context.random.random())
    stage.run()
    for key in "abcdef":
        assert [text for text in stage.texts if text[0] == key] == [key + text for text in NUMBERS]
    assert max(map(len, stage.batches)) == 2


def test_a_failed_batch_comes_again_and_holds_up_its_lane() -> None:
    stage = Stage(batch_size=2)
    failures = iter([True, True, False])

    def handle(batch: Batch, context: Context) -> None:
        if next(failures, False):
            raise ValueError

    stage.handle = handle
    stage.put("a", "b", "c")
    stage.run()
    assert stage.batches == [["a", "b"], ["a", "b"], ["a", "b"], ["c"]]


def test_a_partial_answer_finishes_what_is_before_it() -> None:
    stage = Stage(report_failures=True)
    answers = iter([1, None])
    stage.handle = lambda batch, context: next(answers)
    stage.put("a", "b", "c")
    stage.run()
    assert stage.batches == [["a", "b", "c"], ["b", "c"]]
    assert stage.world.coverage()["partial answer"] == 1


def test_bisecting_finds_what_fails_and_the_rest_goes_on() -> None:
    stage = Stage(bisect=True, max_retries=1)

    def handle(batch: Batch, context: Context) -> None:
        if "c" in batch:
            raise ValueError

    stage.handle = handle
    stage.put("a", "b", "c", "d")
    stage.run()
    assert [batch for batch in stage.batches if "c" not in batch] == [["a", "b"], ["d"]]
    message = stage.world.queues.receive_message(QueueUrl="failures")["Messages"][0]
    reported = json.loads(message["Body"])
    assert reported["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert reported["KinesisBatchInfo"]["batchSize"] == 1
    assert stage.mapping.idle


def test_a_batch_that_is_too_old_is_given_up() -> None:
    stage = Stage(max_age_seconds=60.0)
    stage.mapping.pause()
    stage.put("old")
    stage.run(100.0)
    stage.put("new")
    stage.mapping.resume()
    stage.run()
    assert stage.batches == [["new"]]
    assert stage.world.queues.length("failures") == 1


def test_a_replay_delivers_everything_once_more() -> None:
    stage = Stage()
    stage.put("a", "b")
    stage.run()
    stage.mapping.replay()
    stage.run()
    assert stage.texts == ["a", "b", "a", "b"]
    assert stage.mapping.idle


def test_batches_come_twice_and_cut_anew_and_nothing_is_left_out() -> None:
    invocation_faults = {REPEAT: 0.5, RECUT: 0.8, CRASH_START: 0.2, CRASH_END: 0.2}
    stage = Stage(world_settings=WorldSettings(invocation_faults=invocation_faults), batch_size=4)
    stage.put(*NUMBERS)
    stage.run()
    assert set(stage.texts) == set(NUMBERS)
    coverage = stage.world.coverage()
    assert all(coverage[name] for name in invocation_faults)


@pytest.mark.parametrize("halves", [1, 3])
def test_children_of_a_split_shard_come_after_it(halves: int) -> None:
    stage = Stage(batch_size=3)
    for half in range(halves):
        stage.put(*(f"{half}{text}" for text in NUMBERS))
        shards = stage.world.kinesis.list_shards(StreamName="events")["Shards"]
        shard = shards[-1]
        low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        stage.world.kinesis.split_shard(
            StreamName="events", ShardToSplit=shard["ShardId"], NewStartingHashKey=str((low + high) // 2)
        )
    stage.put("last")
    stage.run()
    assert stage.texts == [f"{half}{text}" for half in range(halves) for text in NUMBERS] + ["last"]


def test_records_of_a_day_ago_are_gone() -> None:
    stage = Stage()
    stage.mapping.pause()
    stage.put("a")
    stage.run(25 * 3600.0)
    stage.put("b")
    stage.mapping.resume()
    stage.run()
    assert stage.texts == ["b"]
    assert stage.world.coverage()["trimmed records"] == 1


def test_a_change_behind_a_page_that_was_cut_to_nothing_is_read_at_last() -> None:
    """A change stream does not say whether an empty page is its end, and no other write wakes the reader."""
    world = World(7, WorldSettings(faults={Fault.SHORT: 1.0}))
    described = make_items(world, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    seen: list[str] = []

    def handle(event: Mapping[str, Any], context: Context) -> None:
        seen.extend(record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"])

    world.add_function("function", handle, 10.0)
    mapping = world.add_mapping(MappingSettings(described["LatestStreamArn"], "function"), "function")
    world.dynamodb.put_item(TableName="items", Item={"id": {"S": "a"}})
    mapping.touch()
    world.scheduler.run(world.scheduler.clock() + 600.0, lambda: False)
    assert seen == []
    world.calm()
    world.scheduler.run(world.scheduler.clock() + 600.0, lambda: False)
    assert seen == ["a"]
