"""Streams of the emulator, functions from real zips, and between them the project's own event source mappings."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError
from oncefold_lab.local.functions import LocalFunction
from tests.aws.local.disturbing import Disturbing
from tests.aws.local.functions import by_key, noting
from tests.aws.local.services import failure_queue, mapping, messages, put, stream_arn, table_stream_arn
from tests.aws.tables import make_stream
from tests.tools.waiting import until

SECONDS = 60.0
WELL = "def handle(event, context): note(event)"


@pytest.fixture
def four_shards(stack: Names) -> str:
    """A stream of four shards."""
    name = f"{stack.stream}-four"
    make_stream(name, client("kinesis"), shards=4)
    return name


def numbered(keys: int, each: int) -> list[str]:
    return [f"k{key}:{number}" for number in range(each) for key in range(keys)]


def test_every_record_arrives_once_and_in_its_keys_order(four_shards: str, tmp_path: Path) -> None:
    texts = numbered(keys=50, each=40)
    put(four_shards, texts[:500])
    settings, notes = noting(tmp_path, WELL)
    with LocalFunction(settings) as function, mapping(stream_arn(four_shards), function.invoke) as running:
        put(four_shards, texts[500:])
        running.wait_until_idle(SECONDS)
        assert running.counts.records == 2_000
        assert running.counts.failed == 0
    assert Counter(notes.texts()) == Counter(texts)
    assert all(numbers == [*range(40)] for numbers in by_key(notes.texts()).values())
    assert all(len(delivery.shards) == 1 for delivery in notes.deliveries())
    assert len({shard for delivery in notes.deliveries() for shard in delivery.shards}) == 4


def test_a_partial_answer_delivers_again_from_the_first_failed_record(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(
        tmp_path,
        """
        def handle(event, context):
            texts = [text(record) for record in event["Records"]]
            if "k:3" in texts and once("failed"):
                place = texts.index("k:3")
                note({"Records": event["Records"][:place]})
                number = event["Records"][place]["kinesis"]["sequenceNumber"]
                return {"batchItemFailures": [{"itemIdentifier": number}]}
            note(event)
        """,
    )
    put(stack.stream, numbered(1, 6))
    put(stack.stream, [f"k:{number}" for number in range(6)])
    with (
        LocalFunction(settings) as function,
        mapping(stream_arn(stack.stream), function.invoke, report_failures=True) as running,
    ):
        running.wait_until_idle(SECONDS)
        assert running.counts.failed == 1
    assert by_key(notes.texts())["k"] == [*range(6)]


def test_a_poison_record_ends_in_the_failure_queue_alone(stack: Names, tmp_path: Path) -> None:
    url = failure_queue(stack.failure_queue)
    settings, notes = noting(
        tmp_path,
        """
        def handle(event, context):
            if any("poison" in text(record) for record in event["Records"]):
                note(event, "failed")
                raise ValueError("poison")
            note(event)
        """,
    )
    texts = [f"k:{number}" for number in range(20)]
    put(stack.stream, [*texts[:7], "k:poison", *texts[7:]])
    sqs = client("sqs")
    with (
        LocalFunction(settings) as function,
        mapping(
            stream_arn(stack.stream),
            function.invoke,
            discard=lambda body: sqs.send_message(QueueUrl=url, MessageBody=body),
            bisect=True,
            max_retries=2,
        ) as running,
    ):
        running.wait_until_idle(SECONDS)
        assert running.counts.discarded == 1
    assert notes.texts() == texts
    (message,) = messages(url)
    batch = message.pop("KinesisBatchInfo")
    alone = [one for one in notes.deliveries("failed") if len(one.records) == 1]
    assert len(alone) == 3
    number = alone[0].records[0]["kinesis"]["sequenceNumber"]
    assert batch["startSequenceNumber"] == batch["endSequenceNumber"] == number
    assert batch["batchSize"] == 1
    assert batch["shardId"] in alone[0].shards
    assert batch["streamArn"] == stream_arn(stack.stream)
    assert batch["approximateArrivalOfFirstRecord"] == batch["approximateArrivalOfLastRecord"]
    assert batch["approximateArrivalOfFirstRecord"].endswith("Z")
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert message["requestContext"]["approximateInvokeCount"] == len(notes.deliveries("failed"))
    assert message["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }


def test_a_process_that_ends_in_the_middle_gets_its_batch_again(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(
        tmp_path,
        """
        def handle(event, context):
            first = once("death-of-" + event["Records"][0]["kinesis"]["sequenceNumber"])
            note(event, "died" if first else "done")
            if first: os._exit(1)
        """,
    )
    texts = numbered(keys=3, each=10)
    put(stack.stream, texts)
    with (
        LocalFunction(settings) as function,
        mapping(stream_arn(stack.stream), function.invoke, batch_size=8) as running,
    ):
        running.wait_until_idle(SECONDS)
    assert Counter(notes.texts()) == Counter(notes.texts("died")) == Counter(texts)


def test_a_batch_that_takes_too_long_is_delivered_again(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(
        tmp_path,
        """
        import time
        def handle(event, context):
            if once("slow"): time.sleep(600)
            note(event)
        """,
        timeout_seconds=0.5,
    )
    put(stack.stream, ["k:0", "k:1"])
    with LocalFunction(settings) as function, mapping(stream_arn(stack.stream), function.invoke) as running:
        running.wait_until_idle(SECONDS)
        assert running.counts.failed == 1
    assert notes.texts() == ["k:0", "k:1"]


def test_lanes_of_a_shard_run_at_once_and_keep_each_keys_order(stack: Names, tmp_path: Path) -> None:
    """The first batch of each lane waits for the others; a tenth of the batches fails."""
    settings, notes = noting(
        tmp_path,
        """
        import pathlib, time
        def handle(event, context):
            here = pathlib.Path(os.environ["NOTES"]).parent
            (here / ("lane-" + text(event["Records"][0]).partition(":")[0])).touch()
            while len(list(here.glob("lane-*"))) < 3: time.sleep(0.005)
            if hash(text(event["Records"][0])) % 10 == 0 and once(text(event["Records"][0])):
                raise ValueError
            note(event)
        """,
    )
    texts = numbered(keys=40, each=10)
    put(stack.stream, texts)
    with (
        LocalFunction(settings) as function,
        mapping(stream_arn(stack.stream), function.invoke, batch_size=5, parallelization=3) as running,
    ):
        running.wait_until_idle(SECONDS)
    assert Counter(notes.texts()) == Counter(texts)
    assert all(numbers == [*range(10)] for numbers in by_key(notes.texts()).values())


def test_a_window_gathers_records_until_the_batch_is_full(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(tmp_path, WELL)
    with (
        LocalFunction(settings) as function,
        mapping(stream_arn(stack.stream), function.invoke, batch_size=3, window_seconds=300) as running,
    ):
        for number in range(3):
            put(stack.stream, [f"k:{number}"])
        running.wait_until_idle(SECONDS)
    assert [delivery.texts for delivery in notes.deliveries()] == [["k:0", "k:1", "k:2"]]


def test_a_filter_lets_only_insertions_of_a_table_through(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(tmp_path, WELL)
    dynamodb = client("dynamodb")
    arn = table_stream_arn(stack.reduce_table)
    with (
        LocalFunction(settings) as function,
        mapping(arn, function.invoke, filters=('{"eventName": ["INSERT"]}',)) as running,
    ):
        for number in range(5):
            key = {"id": {"S": str(number)}}
            dynamodb.put_item(TableName=stack.reduce_table, Item={**key, "n": {"N": "1"}})
            dynamodb.put_item(TableName=stack.reduce_table, Item={**key, "n": {"N": "2"}})
            dynamodb.delete_item(TableName=stack.reduce_table, Key=key)
        running.wait_until_idle(SECONDS)
    records = [record for delivery in notes.deliveries() for record in delivery.records]
    assert [record["eventName"] for record in records] == ["INSERT"] * 5
    assert [record["dynamodb"]["NewImage"]["n"]["N"] for record in records] == ["1"] * 5


def test_a_failed_change_of_a_table_is_described_to_the_queue(stack: Names, tmp_path: Path) -> None:
    settings, _ = noting(tmp_path, "def handle(event, context): raise ValueError")
    arn = table_stream_arn(stack.reduce_table)
    reported: list[str] = []
    for number in range(3):
        client("dynamodb").put_item(TableName=stack.reduce_table, Item={"id": {"S": str(number)}})
    with (
        LocalFunction(settings) as function,
        mapping(arn, function.invoke, discard=reported.append, max_retries=0) as running,
    ):
        running.wait_until_idle(SECONDS)
    (message,) = [json.loads(body) for body in reported]
    assert message["DDBStreamBatchInfo"]["batchSize"] == 3
    assert message["DDBStreamBatchInfo"]["streamArn"] == arn


def test_a_disturbed_mapping_delivers_everything_at_least_once(four_shards: str, tmp_path: Path) -> None:
    """Retries are cut anew and batches come twice, but nothing is lost."""
    settings, notes = noting(
        tmp_path,
        """
        import random
        chance = random.Random(os.getpid())
        def handle(event, context):
            if chance.random() < 0.1: raise ValueError
            done = chance.randint(0, len(event["Records"])) if chance.random() < 0.2 else len(event["Records"])
            note({"Records": event["Records"][:done]})
            if chance.random() < 0.05: os._exit(1)
            left = event["Records"][done:]
            return {"batchItemFailures": [{"itemIdentifier": one["kinesis"]["sequenceNumber"]} for one in left[:1]]}
        """,
    )
    texts = numbered(keys=50, each=20)
    put(four_shards, texts)
    with (
        LocalFunction(settings) as function,
        mapping(
            stream_arn(four_shards),
            function.invoke,
            Disturbing(random.Random(1)),
            batch_size=20,
            parallelization=2,
            report_failures=True,
            bisect=True,
        ) as running,
    ):
        running.wait_until_idle(SECONDS)
        assert running.counts.repeated > 0
        assert running.counts.failed > 0
    got = Counter(notes.texts())
    assert set(got) == set(texts)
    assert sum(got.values()) > len(texts)


def test_a_split_shard_is_followed(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(tmp_path, WELL)
    kinesis = client("kinesis")
    before, after = numbered(20, 5), [f"k{key}:{number}" for number in range(5, 10) for key in range(20)]
    with LocalFunction(settings) as function, mapping(stream_arn(stack.stream), function.invoke) as running:
        put(stack.stream, before)
        running.wait_until_idle(SECONDS)  # the emulator forgets what is not read
        shard = kinesis.list_shards(StreamName=stack.stream)["Shards"][0]
        middle = int(shard["HashKeyRange"]["EndingHashKey"]) // 2
        kinesis.split_shard(StreamName=stack.stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))
        put(stack.stream, after)
        running.wait_until_idle(SECONDS)
    assert Counter(notes.texts()) == Counter(before + after)
    assert all(numbers == [*range(10)] for numbers in by_key(notes.texts()).values())


def test_the_latest_position_leaves_older_records_alone(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(tmp_path, WELL)
    put(stack.stream, ["k:0"])
    with (
        LocalFunction(settings) as function,
        mapping(stream_arn(stack.stream), function.invoke, starting_position="LATEST") as running,
    ):
        put(stack.stream, ["k:1"])
        running.wait_until_idle(SECONDS)
    assert notes.texts() == ["k:1"]


def test_a_stopped_mapping_goes_on_where_it_was(stack: Names, tmp_path: Path) -> None:
    settings, notes = noting(tmp_path, WELL)
    with LocalFunction(settings) as function:
        running = mapping(stream_arn(stack.stream), function.invoke, batch_size=2)
        for first in (0, 5):
            put(stack.stream, [f"k:{number}" for number in range(first, first + 5)])
            with running:
                running.wait_until_idle(SECONDS)
    assert notes.texts() == [f"k:{number}" for number in range(10)]


def test_what_is_left_is_said_in_words(stack: Names, tmp_path: Path) -> None:
    settings, _ = noting(tmp_path, "def handle(event, context): raise ValueError('out of order')")
    put(stack.stream, ["k:0"])
    with LocalFunction(settings) as function, mapping(stream_arn(stack.stream), function.invoke) as running:
        until(lambda: running.counts.failed, "the function failed")
        with pytest.raises(OncefoldError, match=r"1 records are read and not finished.*ValueError: out of order"):
            running.wait_until_idle(0.01)


def test_a_stream_that_is_not_there_is_said_in_words(stack: Names) -> None:
    with pytest.raises(OncefoldError, match=r"cannot be read: .*ResourceNotFoundException"):
        mapping(stream_arn("nowhere"), lambda _: pytest.fail("invoked")).start()


def test_a_mapping_that_broke_says_so(stack: Names, tmp_path: Path) -> None:
    settings, _ = noting(tmp_path, WELL)
    function = LocalFunction(settings)
    function.close()
    put(stack.stream, ["k:0"])
    running = mapping(stream_arn(stack.stream), function.invoke)
    running.start()
    with pytest.raises(OncefoldError, match="is closed"):
        running.wait_until_idle(SECONDS)
    with pytest.raises(OncefoldError, match="is closed"):
        running.stop()
    with pytest.raises(OncefoldError, match="not running"):
        running.wait_until_idle(SECONDS)
