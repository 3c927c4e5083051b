"""The stack that the guide's examples query: the shop of the other guides, with what can go wrong in one."""

import json
from pathlib import Path

from oncefold.aws.connect import client
from oncefold.aws.functions.report import Invocation, line
from oncefold.aws.names import Names
from oncefold.core.event import Content
from oncefold.dynamodb.calls import Meter
from tests.aws.reader.stacks import fill, put_conflict, put_reject
from tests.aws.tables import make_stream, make_tables
from tests.queries.stores import MONDAY, SHOP, TUESDAY, events, lines

_STARTED = 1_772_524_800.0
_SEQUENCE = 49601189658422359378836298521827638475320189012309704722


def make() -> None:
    """The stack `shop`, and `functions.log` in the current folder."""
    names = Names("shop")
    make_tables(names, client("dynamodb"))
    make_stream(names.stream, client("kinesis"), shards=2)
    fill(names, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=1)
    _rejects(names)
    _failure(names)
    _logs(names)
    Path("functions.log").write_text("\n".join(_log()), encoding="utf-8")


def _rejects(names: Names) -> None:
    raw = json.dumps(MONDAY[3]).encode()
    reason = "field amount: '12.345' has more than 2 decimal places"
    put_reject(names, raw, reason, sequence=_SEQUENCE, line=4, arrived=1_772_442_540.021)
    put_reject(names, json.dumps(MONDAY[0]).encode(), "field updated: missing", sequence=_SEQUENCE, line=1)
    kept, dropped = (Content(("US", "St. Louis/MO"), (amount,)) for amount in (199_999, 199_998))
    put_conflict(names, SHOP, "A-3", 1_772_442_420 * 10**9, kept, dropped)


def _failure(names: Names) -> None:
    kinesis = client("kinesis")
    sent = [kinesis.put_record(StreamName=names.stream, Data=b"{}", PartitionKey="k") for _ in range(2)]
    first, last = (one["SequenceNumber"] for one in sent)
    batch = {"shardId": sent[0]["ShardId"], "startSequenceNumber": first, "endSequenceNumber": last, "batchSize": 2}
    queue = client("sqs").create_queue(QueueName=names.failure_queue)["QueueUrl"]
    client("sqs").send_message(
        QueueUrl=queue,
        MessageBody=json.dumps(
            {
                "KinesisBatchInfo": batch,
                "timestamp": "2026-03-03T08:12:44.107Z",
                "requestContext": {"condition": "RetryAttemptsExhausted"},
            }
        ),
    )


def _logs(names: Names) -> None:
    """A few lines of StateLambda where Lambda puts them."""
    folded = Invocation("state", "shop", "request-1", _STARTED, 0.0412, 1_024)
    counts = {"events": 10, "inserted": 6, "corrected": 2, "rejected": 2, "deltas": 1, "nodes": 7}
    error = "[ERROR] ClientError: An error occurred (AccessDeniedException) when calling the BatchGetItem operation"
    group, stream = f"/aws/lambda/{names.state_function}", "2026/03/03/[$LATEST]1"
    logs = client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    texts = [line(folded, counts, Meter()), error]
    events = [{"timestamp": int(_STARTED * 1_000) + 250 * index, "message": text} for index, text in enumerate(texts)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _log() -> list[str]:
    """What the functions might have logged for a million events in an hour."""

    def logged(function: str, number: int, seconds: float, **counts: float) -> str:
        units = {name: counts.pop(name, 0.0) for name in ("read_units", "write_units")}
        ended = _STARTED + 3_600 * number / 1_000
        invocation = Invocation(function, "shop", f"{function}-{number}", ended, seconds, 512)
        return line(invocation, counts, Meter(**units))

    state = [
        logged("state", number, 0.9, events=1_000, read_units=1_000.0, write_units=2_400.0) for number in range(1_001)
    ]
    return [*state, *(logged("reduce", number, 0.25, deltas=20, write_units=160.0) for number in range(500))]
