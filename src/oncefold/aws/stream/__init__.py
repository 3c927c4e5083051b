"""Kinesis streams as sources, and events sent to them. Nothing of AWS is imported before a stream is opened."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oncefold.aws.connect import client

if TYPE_CHECKING:
    from oncefold.aws.stream.reading import KinesisStream


def open_stream(name: str, positions: Mapping[str, str], *, follow: bool) -> "KinesisStream":
    """A stream that exists, to be read on from these positions.

    Args:
        name: the stream's, without a scheme.
        positions: the states in the store by source.
        follow: read on for ever, instead of up to now.

    Raises:
        SourceError: there is no such stream, or it cannot be reached.
        OncefoldError: boto3 or the region is missing.

    """
    connection = client("kinesis")
    from oncefold.aws.stream.reading import KinesisStream  # noqa: PLC0415 - needs botocore, which is there now

    return KinesisStream(connection, name, positions, follow=follow)
