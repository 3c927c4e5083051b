"""The event source mappings of a stack, and by them the stream that it reads, which may have been there before it."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.connect import is_denied, is_missing
from oncefold.aws.names import Names

ALIAS = "live"
"""The alias that mappings call where versions are published."""


def mappings_of(function: str, functions: Any) -> list[Mapping[str, Any]]:
    """The mappings of a function and of its alias, by a client of Lambda; none if there is no such function."""
    found = [*_mappings(function, functions), *_mappings(f"{function}:{ALIAS}", functions)]
    return list({mapping["UUID"]: mapping for mapping in found}.values())


def _mappings(name: str, functions: Any) -> Iterator[Mapping[str, Any]]:
    request: dict[str, Any] = {"FunctionName": name}
    while True:
        try:
            page = functions.list_event_source_mappings(**request)
        except ClientError as error:
            if not is_missing(error):
                raise
            return
        yield from page["EventSourceMappings"]
        if not page.get("NextMarker"):
            return
        request["Marker"] = page["NextMarker"]


def stream_name(names: Names, functions: Any) -> str:
    """The stream that a stack reads: its own, or the one that was there before it.

    Whoever may not see the mappings is told the name that the stack's own stream has.
    """
    try:
        sources = [str(mapping.get("EventSourceArn", "")) for mapping in mappings_of(names.state_function, functions)]
    except ClientError as error:
        if not is_denied(error):
            raise
        sources = []
    streams = [source.partition(":stream/")[2].partition("/")[0] for source in sources if ":kinesis:" in source]
    return names.stream if not streams or names.stream in streams else streams[0]
