"""What a failure destination is told of a discarded batch.

Shape: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda", and its like for DynamoDB.
"""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from oncefold_lab.local.lanes import Discarded
from oncefold_lab.local.mapping_settings import MappingSettings


def describe(settings: MappingSettings, shard: str, discarded: Discarded, wall: float) -> str:
    """The message, as JSON. It tells where the records are, not what they are."""
    batch = discarded.batch
    first, last = batch.entries[0], batch.entries[-1]
    information = {
        "shardId": shard,
        "startSequenceNumber": first.sequence,
        "endSequenceNumber": last.sequence,
        "approximateArrivalOfFirstRecord": _moment(first.arrived),
        "approximateArrivalOfLastRecord": _moment(last.arrived),
        "batchSize": len(batch.entries),
        "streamArn": settings.source_arn,
    }
    kinesis = settings.source_arn.split(":")[2] == "kinesis"
    name = f"{settings.source_arn}/{shard}/{first.sequence}/{last.sequence}"
    message: dict[str, Any] = {
        "requestContext": {
            "requestId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "functionArn": settings.function_arn,
            "condition": discarded.condition,
            "approximateInvokeCount": batch.invocations,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _moment(wall),
        "KinesisBatchInfo" if kinesis else "DDBStreamBatchInfo": information,
    }
    if not batch.unhandled:
        del message["responseContext"]["functionError"]
    if not batch.invocations:
        del message["responseContext"]
    return json.dumps(message)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
