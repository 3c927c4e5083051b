"""A batch that fails for good is kept whole in a bucket, and sent again when the stream has dropped its records.

The stream is one that the stack did not make.
"""

import json
from pathlib import Path

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.generate import Workload, write
from oncefold_lab.local.emulator import Emulator
from tests.aws.functions.stacks import WORKSHOP
from tests.aws.local.services import messages
from tests.aws.whole.deployed import SECONDS, at_work, command, deploy
from tests.aws.whole.test_end_to_end import check_totals
from tests.tools.sizes import full_only


def anew(stream: str) -> None:
    """Drop all records of a stream."""
    kinesis = client("kinesis")
    kinesis.delete_stream(StreamName=stream)
    kinesis.create_stream(StreamName=stream, ShardCount=2)


@full_only("a third whole pipeline, 20 s")
def test_what_failed_for_good_is_sent_again_beyond_the_retention_of_the_stream(aws: Emulator, tmp_path: Path) -> None:
    names, load = Names("failing"), Workload(count=24, duplicates=0.1, modifications=0.2, deletes=0.05, seed=4)
    write(load, tmp_path / "events.jsonl")
    client("kinesis").create_stream(StreamName="there", ShardCount=2)
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/there"
    deploy(WORKSHOP, tmp_path, names, StreamArn=arn, StateRetries=0, StateBatchSize=8, FailureBucket="NEW")
    command("aws", "send", tmp_path / "events.jsonl", "--stack", names.stack)
    with at_work(names, aws, tmp_path, failing=True) as running:
        running.wait_until_idle(SECONDS)
        lost = running.counts[names.state_function].discarded
    assert lost > 0
    anew("there")
    command("aws", "verify", "--stack", names.stack)

    listed = command("aws", "redrive", "--dry-run", "--stack", names.stack).output
    assert "its records are in the bucket" in listed
    assert command("aws", "redrive", "--dry-run", "--stack", names.stack).output == listed
    status = json.loads(command("aws", "status", "--stack", names.stack, "--format", "json").stdout)
    assert status["failures"] > 0

    sent = command("aws", "redrive", "--stack", names.stack).output
    assert f"sent again, {lost} records" in sent
    with at_work(names, aws, tmp_path) as running:
        running.wait_until_idle(SECONDS)
        assert running.counts[names.state_function].records == lost
    check_totals(names, load)
    assert (
        "0 failed batches would be sent again" in command("aws", "redrive", "--dry-run", "--stack", names.stack).output
    )
    url = client("sqs").get_queue_url(QueueName=names.failure_queue)["QueueUrl"]
    assert not messages(url)
