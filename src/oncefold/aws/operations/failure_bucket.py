"""Batches that failed for good and are in a bucket, whole, however long ago the stream dropped their records.

Keys and contents: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda":
`aws/lambda/<id of the mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random id>`, and as in the queue with the event
that the function got as `payload`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from oncefold.aws.connect import plain_message
from oncefold.aws.deploy.permissions import FAILURES_PREFIX
from oncefold.aws.mappings import mappings_of
from oncefold.aws.names import Names
from oncefold.aws.operations.failures import FailedBatch, FailuresSent, Redelivery, read_message
from oncefold.core.errors import OncefoldError
from oncefold.queries.protocol import Progress

_GONE = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class FailureBucket:
    """The failed batches of one stack in a bucket that may hold those of others, too."""

    names: Names
    s3: Any
    bucket: str
    owner: str
    """The account that must own the bucket."""
    mappings: frozenset[str]
    """Ids of the stack's event source mappings."""

    @classmethod
    def of_stack(cls, names: Names, functions: Any, s3: Any, bucket: str | None = None) -> Self | None:
        """The bucket that the stack's mappings write into, or the one named, into which they did once.

        None if there is none. Raises OncefoldError if there is no such stack to read the bucket for.
        """
        both = (names.state_function, names.reduce_function)
        mappings = [mapping for function in both for mapping in mappings_of(function, functions)]
        found = bucket or next(filter(None, map(_bucket, mappings)), None)
        if found is None:
            return None
        if not mappings:
            raise OncefoldError(f"stack {names.stack}: it has no event source mappings; is its name right?")
        owner = mappings[0]["FunctionArn"].split(":")[4]
        return cls(names, s3, found, owner, frozenset(mapping["UUID"] for mapping in mappings))

    def has(self, bucket: str, key: str) -> bool:
        """Whether an object is there still, or may be for all that is known of another bucket."""
        if bucket != self.bucket:
            return True
        try:
            self.s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=self.owner)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            return False
        return True

    def listed(self) -> Iterator[FailedBatch]:
        """The failed batches; nothing is changed."""
        for key in self._keys():
            batch = FailedBatch.of(self._read(key))
            if batch is not None:
                yield batch

    def redrive(self, redelivery: Redelivery, progress: Progress, result: FailuresSent) -> None:
        """Send every batch again, and delete its object after it is in the stream."""
        for number, key in enumerate(self._keys(), 1):
            batch = FailedBatch.of(self._read(key))
            if batch is None:
                result.kept.append(f"s3://{self.bucket}/{key}: it describes no failed batch")
            elif redelivery.again(batch, result):
                self.s3.delete_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self.owner)
            progress("failed batches", number)

    def _keys(self) -> Iterator[str]:
        """The keys of the stack's objects, those of each shard in the order of their times."""
        for prefix in self._prefixes():
            for page in self._pages(prefix):
                yield from [item["Key"] for item in page.get("Contents", ())]

    def _prefixes(self) -> Iterator[str]:
        """Of each of the stack's mappings, and of those that it had before."""
        found = [
            item["Prefix"] for page in self._pages(FAILURES_PREFIX, "/") for item in page.get("CommonPrefixes", ())
        ]
        for prefix in found:
            if prefix.removeprefix(FAILURES_PREFIX).strip("/") in self.mappings or self._is_own(prefix):
                yield prefix

    def _is_own(self, prefix: str) -> bool:
        """Whether objects of an unknown mapping are about this stack's functions: one speaks for all."""
        for page in self._pages(prefix):
            for item in page.get("Contents", ()):
                context = self._read(item["Key"]).get("requestContext") or {}
                function = str(context.get("functionArn", "")).split(":")[6:7]
                return function in ([self.names.state_function], [self.names.reduce_function])
        return False

    def _pages(self, prefix: str, delimiter: str = "") -> Iterator[Mapping[str, Any]]:
        request = {"Bucket": self.bucket, "Prefix": prefix, "ExpectedBucketOwner": self.owner}
        if delimiter:
            request["Delimiter"] = delimiter
        try:
            yield from self.s3.get_paginator("list_objects_v2").paginate(**request)
        except ClientError as error:
            raise OncefoldError(f"S3: the bucket {self.bucket} cannot be read: {plain_message(error)}") from None

    def _read(self, key: str) -> Mapping[str, Any]:
        answer = self.s3.get_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self.owner)
        return read_message(answer["Body"].read())


def _bucket(mapping: Mapping[str, Any]) -> str:
    """The bucket that a mapping writes failed batches into; empty if into none."""
    destination = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
    return str(destination.get("Destination") or "").partition(":s3:::")[2]
