"""From the records of a shard to one block of lines in which every byte knows its record."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from oncefold.commit import SourcePosition
from oncefold.sources.blocks import Oversize, Pieces, TextBlock

AGGREGATED: Final = b"\xf3\x89\x9a\xc2"
"""What a record begins with that the Kinesis Producer Library put together from several."""

_REFUSED: Final = (
    "several records that the Kinesis Producer Library put together, which is not JSON Lines; "
    "set AggregationEnabled to false in the producer and let it send them again"
)


def block_of(source: str, records: Sequence[Mapping[str, Any]], position: SourcePosition) -> TextBlock:
    """The lines of records as GetRecords gives them; `source` is their shard.

    Each record ends in a newline, which is added where it lacks one; empty ones are left out. An aggregated record is
    a blank line here, and refused whole.
    """
    parts: list[bytes] = []
    starts: list[int] = []
    names: list[str] = []
    refused: list[Oversize] = []
    size = taken = 0
    for record in records:
        data: bytes = record["Data"]
        if not data:
            continue
        taken += len(data)
        starts.append(size)
        names.append(f"{source}@{record['SequenceNumber']}")
        if data.startswith(AGGREGATED):
            refused.append(Oversize(size, len(data), data, _REFUSED))
            data = b"\n"
        elif not data.endswith(b"\n"):
            data += b"\n"
        parts.append(data)
        size += len(data)
    return TextBlock(
        source=source,
        format="json",
        data=memoryview(b"".join(parts)),
        offset=0,
        position=position,
        consumed_bytes=taken,
        oversize=tuple(refused),
        pieces=Pieces(starts, names),
    )
