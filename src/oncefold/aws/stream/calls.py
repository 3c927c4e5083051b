"""What readers and writers of a Kinesis stream share: what it is like, and its errors as messages.

Sources: the API reference and the quotas of Kinesis Data Streams, and the service model of botocore.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from oncefold.core.errors import SourceError

RECORD_BYTES: Final = 2**20
"""Bytes of a record, its partition key included, where the stream does not say that it takes more."""

Trouble = Literal["busy", "unreachable", "gone", "expired", "argument", "other"]
"""`busy`: too much was requested. `unreachable`: no answer, or one that admits a fault of the service. Both pass.
`gone`: there is no such stream or shard. `expired`: an iterator is to be renewed. `argument`: refused as it is."""

_CODES: Final[dict[str, Trouble]] = {
    "ProvisionedThroughputExceededException": "busy",
    "LimitExceededException": "busy",
    "KMSThrottlingException": "busy",
    "ThrottlingException": "busy",
    "Throttling": "busy",
    "RequestLimitExceeded": "busy",
    "InternalFailure": "unreachable",
    "InternalFailureException": "unreachable",
    "ServiceUnavailable": "unreachable",
    "ResourceInUseException": "unreachable",
    "ResourceNotFoundException": "gone",
    "ExpiredIteratorException": "expired",
    "InvalidArgumentException": "argument",
    "ValidationException": "argument",
}


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """A stream."""

    name: str
    created: float
    """Seconds since 1970; a stream that is made anew under its name has another."""
    retention_hours: int
    """How long it keeps a record."""
    record_bytes: int = RECORD_BYTES
    """Bytes that a record may have, its partition key included."""


def describe(client: Any, name: str) -> StreamDescription:
    """What a stream is like. Raises SourceError if there is none, or it may not or cannot be read."""
    try:
        found = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    except (ClientError, BotoCoreError) as error:
        raise SourceError(f"kinesis://{name}: {reason(error, client)}") from None
    created = found["StreamCreationTimestamp"]
    return StreamDescription(
        name,
        created if isinstance(created, int | float) else created.timestamp(),
        found["RetentionPeriodHours"],
        1024 * found["MaxRecordSizeInKiB"] if found.get("MaxRecordSizeInKiB") else RECORD_BYTES,
    )


def trouble(error: Exception) -> Trouble:
    """What kind of failure a call had."""
    if isinstance(error, ClientError):
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            return "unreachable"
        return _CODES.get(code(error), "other")
    return "unreachable" if isinstance(error, ConnectionError | HTTPClientError) else "other"


def code(error: Exception) -> str:
    """The service's own name of an error, or the class of one that did not come from it."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__


def reason(error: Exception, client: Any) -> str:
    """An error of a call, for a person: what, and where it is not plain the way on."""
    if not isinstance(error, ClientError):
        message = str(error).rstrip(".")
        if type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError"}:
            return f"AWS: {message}. Set them in the environment (AWS_PROFILE, ...) or with: aws configure"
        return f"it cannot be reached: {message}"
    if trouble(error) == "gone":
        region = client.meta.region_name
        return f"there is no such stream in {region}; to see those there are: aws kinesis list-streams"
    message = str(error.response["Error"].get("Message") or "no reason given").rstrip(".")
    return f"AWS refused {error.operation_name}: {message} ({code(error)})"
