"""A failure bucket: the stack's own batches alone, sent again from what is in them, deleted once they are sent."""

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.aws.operations.failure_bucket import FailureBucket
from oncefold.aws.operations.failures import FailedBatch, FailureQueue, FailuresSent, Redelivery
from oncefold.aws.stream.records import Record
from oncefold.core.errors import OncefoldError
from oncefold.queries.protocol import no_progress

ACCOUNT = "000000000000"
OWN, EARLIER, FOREIGN = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "123")


class Functions:
    """Lambda, as far as it is used: the mappings of a stack's functions."""

    def __init__(self, names: Names, destination: str) -> None:
        self._names, self._destination = names, destination

    def list_event_source_mappings(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        mapping = {
            "UUID": OWN,
            "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{FunctionName}",
            "DestinationConfig": {"OnFailure": {"Destination": self._destination}},
        }
        return {"EventSourceMappings": [mapping] if FunctionName == self._names.state_function else []}


def failed(function: str, *data: bytes, as_text: bool = False, deltas: bool = False) -> dict[str, Any]:
    """An object as Lambda writes it (AWS's guide, and as LocalStack's tests recorded it on AWS)."""
    records = [
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": f"key-{number}",
                "sequenceNumber": str(number),
                "data": base64.b64encode(one).decode(),
                "approximateArrivalTimestamp": 1728733636.5,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"shardId-000000000000:{number}",
            "eventName": "aws:kinesis:record",
            "awsRegion": "us-east-1",
            "eventSourceARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s",
        }
        for number, one in enumerate(data)
    ]
    payload: Any = {"Records": records}
    return {
        "requestContext": {
            "requestId": "c9b8fa9f-5a7f-4b70-af9c-0c604cde93a5",
            "functionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-03-01T00:38:06.021Z",
        "DDBStreamBatchInfo" if deltas else "KinesisBatchInfo": {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": "0",
            "endSequenceNumber": str(len(data) - 1),
            "approximateArrivalOfFirstRecord": "2026-03-01T00:38:04.835Z",
            "approximateArrivalOfLastRecord": "2026-03-01T00:38:05.580Z",
            "batchSize": len(data),
            "streamArn": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s",
        },
        "payload": json.dumps(payload) if as_text else payload,
    }


@pytest.fixture
def bucket(stack: Names) -> str:
    name = f"{stack.stack}-failed"
    client("s3").create_bucket(Bucket=name)
    return name


def put(bucket: str, mapping: str, name: str, about: object) -> str:
    key = f"aws/lambda/{mapping}/shardId-000000000000/2026/03/01/2026-03-01T00.38.06-{name}"
    client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(about).encode())
    return key


def keys(bucket: str) -> list[str]:
    return [item["Key"] for item in client("s3").list_objects_v2(Bucket=bucket).get("Contents", ())]


def of_stack(names: Names, bucket: str) -> FailureBucket | None:
    return FailureBucket.of_stack(names, Functions(names, f"arn:aws:s3:::{bucket}"), client("s3"))


def redelivery(names: Names, sent: list[Record], *, drained: bool = True) -> Redelivery:
    return Redelivery(names, names.stream, client("kinesis"), sent.extend, lambda: drained, lambda _: None)


def redriven(found: FailureBucket | None, work: Redelivery) -> FailuresSent:
    assert found is not None
    result = FailuresSent()
    found.redrive(work, no_progress, result)
    return result


def test_the_records_themselves_are_sent_again_and_their_objects_deleted(stack: Names, bucket: str) -> None:
    put(bucket, OWN, "a", failed(stack.state_function, b"one", b"two"))
    put(bucket, EARLIER, "b", failed(stack.state_function, b"three", as_text=True))
    other = put(bucket, FOREIGN, "c", failed("someone-elses", b"four"))
    unrelated = "aws/else"
    client("s3").put_object(Bucket=bucket, Key=unrelated, Body=b"")
    found, sent = of_stack(stack, bucket), list[Record]()
    assert found is not None
    assert found.owner == ACCOUNT
    (first, second) = found.listed()
    assert (first.size, first.condition, first.time) == (2, "RetryAttemptsExhausted", "2026-03-01T00:38:06.021Z")
    assert second.name == "shardId-000000000000 from 0 to 0"
    assert redriven(found, redelivery(stack, sent)) == FailuresSent(batches=2, records=3)
    assert [(record.data, record.partition_key) for record in sent] == [
        (b"one", "key-0"),
        (b"two", "key-1"),
        (b"three", "key-0"),
    ]
    assert keys(bucket) == [unrelated, other]
    assert redriven(found, redelivery(stack, sent)) == FailuresSent()


def test_an_object_stays_until_its_records_are_in_the_stream(stack: Names, bucket: str) -> None:
    whole = put(bucket, OWN, "a", failed(stack.state_function, b"one"))
    then = put(bucket, OWN, "b", failed(stack.state_function, b"two"))
    sent: list[Record] = []

    def fail_on_the_second(records: Iterable[Record]) -> None:
        if sent:
            raise OncefoldError("the stream is full")
        sent.extend(records)

    work = redelivery(stack, sent)
    with pytest.raises(OncefoldError, match="full"):
        redriven(of_stack(stack, bucket), replace(work, send=fail_on_the_second))
    assert keys(bucket) == [then]
    assert redriven(of_stack(stack, bucket), work).records == 1
    assert [record.data for record in sent] == [b"one", b"two"]
    assert not keys(bucket), whole


@pytest.mark.parametrize("drained", [True, False])
def test_deltas_are_applied_from_the_outbox(stack: Names, bucket: str, *, drained: bool) -> None:
    put(bucket, OWN, "a", failed(stack.reduce_function, b"delta", deltas=True))
    result = redriven(of_stack(stack, bucket), redelivery(stack, [], drained=drained))
    assert (result.reduced, len(result.kept), len(keys(bucket))) == ((1, 0, 0) if drained else (0, 1, 1))


def test_what_describes_no_batch_stays_and_is_reported(stack: Names, bucket: str) -> None:
    key = put(bucket, OWN, "a", [])
    put(bucket, OWN, "b", {"version": "1.0"})
    result = redriven(of_stack(stack, bucket), redelivery(stack, []))
    assert len(result.kept) == len(keys(bucket)) == 2
    assert result.kept[0] == f"s3://{bucket}/{key}: it describes no failed batch"


def test_a_stack_whose_failures_go_to_the_queue_has_no_bucket_but_can_be_told_one(stack: Names, bucket: str) -> None:
    functions, s3 = Functions(stack, f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"), client("s3")
    assert FailureBucket.of_stack(stack, functions, s3) is None
    put(bucket, EARLIER, "a", failed(stack.state_function, b"one"))
    assert redriven(FailureBucket.of_stack(stack, functions, s3, bucket), redelivery(stack, [])).records == 1
    with pytest.raises(OncefoldError, match="has no event source mappings"):
        FailureBucket.of_stack(Names("nowhere"), functions, s3, bucket)
    missing = FailureBucket.of_stack(stack, functions, s3, "there-is-none")
    with pytest.raises(OncefoldError, match="bucket there-is-none cannot be read"):
        redriven(missing, redelivery(stack, []))


def test_a_notice_leaves_the_queue_when_its_object_is_gone(stack: Names, bucket: str) -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=stack.failure_queue)["QueueUrl"]
    key = put(bucket, OWN, "a", [])
    for about in (key, "aws/lambda/gone"):
        detail = {"bucket": {"name": bucket}, "object": {"key": about}}
        notice = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(notice))
    found, result = of_stack(stack, bucket), FailuresSent()
    assert found is not None
    assert not list(FailureQueue(sqs, redelivery(stack, [])).listed())
    FailureQueue(sqs, redelivery(stack, []), found.has).redrive(no_progress, result)
    assert result == FailuresSent()
    (left,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert key in left["Body"]


def test_a_message_of_the_queue_has_no_records() -> None:
    about = failed("f", b"one")
    del about["payload"]
    batch = FailedBatch.of(about)
    assert batch is not None
    assert batch.records is None
