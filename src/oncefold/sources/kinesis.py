"""The way to a Kinesis stream. Nothing of AWS is imported before a stream is named."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oncefold.aws.connect import client

if TYPE_CHECKING:
    from oncefold.sources.kinesis_stream import Stream


def open_stream(name: str, positions: Mapping[str, str], *, follow: bool) -> "Stream":
    """A stream that is there, to be read on from these positions.

    Raises SourceError if there is none or it cannot be reached, OncefoldError without boto3 or a region.
    """
    connection = client("kinesis")
    from oncefold.sources.kinesis_stream import Stream  # noqa: PLC0415 - needs botocore, which is there now

    return Stream(connection, name, positions, follow=follow)
