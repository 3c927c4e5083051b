"""The parameters that the simulated operations take; any other is refused, rather than being passed over.

Missing ones are refused as boto3 does: before anything is sent.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ParamValidationError


class Parameters:
    """The operations of one client and their parameters."""

    def __init__(self, needed: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]]) -> None:
        self._needed = needed
        self._known = {name: frozenset([*names, *optional.get(name, ())]) for name, names in needed.items()}

    def check(self, operation: str, request: Mapping[str, Any]) -> None:
        """Raise for a request that lacks a parameter, or has one that is not simulated."""
        for name in self._needed[operation]:
            if name not in request:
                raise ParamValidationError(report=f'Missing required parameter in input: "{name}"')
        if not request.keys() <= self._known[operation]:
            unknown = ", ".join(sorted(request.keys() - self._known[operation]))
            raise NotImplementedError(f"the simulated {operation} does not take {unknown}")


_EXPRESSION = ("ExpressionAttributeNames", "ExpressionAttributeValues")
_WRITE = ("ConditionExpression", *_EXPRESSION, "ReturnValuesOnConditionCheckFailure")
_WRITE_ALONE = (*_WRITE, "ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
_READ = ("ConsistentRead", "ProjectionExpression", "ReturnConsumedCapacity")
_PAGE = (*_READ, *_EXPRESSION, "FilterExpression", "Limit", "ExclusiveStartKey", "Select")

_STREAM = ("StreamName", "StreamARN")

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "CreateTable": ("TableName", "KeySchema", "AttributeDefinitions"),
    "DescribeTable": ("TableName",),
    "DeleteTable": ("TableName",),
    "ListTables": (),
    "PutItem": ("TableName", "Item"),
    "UpdateItem": ("TableName", "Key"),
    "DeleteItem": ("TableName", "Key"),
    "GetItem": ("TableName", "Key"),
    "BatchGetItem": ("RequestItems",),
    "BatchWriteItem": ("RequestItems",),
    "Query": ("TableName",),
    "Scan": ("TableName",),
    "TransactWriteItems": ("TransactItems",),
    "TransactGetItems": ("TransactItems",),
}
_MORE: Mapping[str, tuple[str, ...]] = {
    "CreateTable": (
        "BillingMode",
        "ProvisionedThroughput",
        "StreamSpecification",
        "SSESpecification",
        "Tags",
    ),
    "ListTables": ("Limit", "ExclusiveStartTableName"),
    "PutItem": _WRITE_ALONE,
    "UpdateItem": (*_WRITE_ALONE, "UpdateExpression"),
    "DeleteItem": _WRITE_ALONE,
    "GetItem": (*_READ, "ExpressionAttributeNames"),
    "BatchGetItem": ("ReturnConsumedCapacity",),
    "BatchWriteItem": ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "Query": (*_PAGE, "KeyConditionExpression", "ScanIndexForward"),
    "Scan": (*_PAGE, "Segment", "TotalSegments"),
    "TransactWriteItems": ("ClientRequestToken", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "TransactGetItems": ("ReturnConsumedCapacity",),
}
DYNAMODB = Parameters(_NEEDED, _MORE)
STREAMS = Parameters(
    needed={
        "ListStreams": (),
        "DescribeStream": ("StreamArn",),
        "GetShardIterator": ("StreamArn", "ShardId", "ShardIteratorType"),
        "GetRecords": ("ShardIterator",),
    },
    optional={
        "ListStreams": ("TableName", "Limit", "ExclusiveStartStreamArn"),
        "DescribeStream": ("Limit", "ExclusiveStartShardId"),
        "GetShardIterator": ("SequenceNumber",),
        "GetRecords": ("Limit",),
    },
)
KINESIS = Parameters(
    needed={
        "CreateStream": ("StreamName",),
        "DeleteStream": (),
        "ListStreams": (),
        "DescribeStreamSummary": (),
        "ListShards": (),
        "PutRecord": ("Data", "PartitionKey"),
        "PutRecords": ("Records",),
        "GetShardIterator": ("ShardId", "ShardIteratorType"),
        "GetRecords": ("ShardIterator",),
        "SplitShard": ("ShardToSplit", "NewStartingHashKey"),
        "MergeShards": ("ShardToMerge", "AdjacentShardToMerge"),
    },
    optional={
        "CreateStream": ("ShardCount", "StreamModeDetails"),
        "DeleteStream": (*_STREAM, "EnforceConsumerDeletion"),
        "ListStreams": ("Limit", "ExclusiveStartStreamName"),
        "DescribeStreamSummary": _STREAM,
        "ListShards": (*_STREAM, "NextToken", "ExclusiveStartShardId", "MaxResults"),
        "PutRecord": (*_STREAM, "ExplicitHashKey", "SequenceNumberForOrdering"),
        "PutRecords": _STREAM,
        "GetShardIterator": (*_STREAM, "StartingSequenceNumber", "Timestamp"),
        "GetRecords": ("Limit", "StreamARN"),
        "SplitShard": _STREAM,
        "MergeShards": _STREAM,
    },
)
