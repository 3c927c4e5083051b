"""Shared by the tests of the sources: a plain reference of where records end, and scripted time."""

import select
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding, Oversize, TableBlock, TextBlock
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources

BOM = b"\xef\xbb\xbf"

Record = tuple[int, bytes] | tuple[int, int, str]
"""(offset, bytes), or of a refused one (offset, length, the beginning of the reason)."""


def record_end(data: bytes, start: int, delimiter: str | None) -> tuple[int | None, bool]:
    """Index after the newline that ends the record at `start`, or None and whether a quote is open."""
    if delimiter is None:
        found = data.find(b"\n", start)
        return (None, False) if found < 0 else (found + 1, False)
    at, inside, fresh = start, False, True
    while at < len(data):
        byte = data[at : at + 1]
        if inside:
            if byte == b'"' and data[at + 1 : at + 2] == b'"':
                at += 1
            elif byte == b'"':
                inside = False
        elif byte == b"\n":
            return at + 1, False
        elif byte == b'"' and fresh:
            inside = True
        fresh = not inside and byte == delimiter.encode()
        at += 1
    return None, inside


def reference(data: bytes, delimiter: str | None = None, limit: int = 2**24) -> list[Record]:
    """The records of a whole finished stream, one at a time."""
    records: list[Record] = []
    start = len(BOM) if data.startswith(BOM) else 0
    while start < len(data):
        end, is_open = record_end(data, start, delimiter)
        length = len(data) - start if end is None else end - 1 - start
        if length <= limit and not is_open:
            records.append((start, data[start:end]))
            start = len(data) if end is None else end
            continue
        line = data.find(b"\n", start)
        stop = len(data) if line < 0 else line
        why = "longer" if stop - start > limit else "a quote"
        records.append((start, stop - start, why))
        start = stop + 1
    return records


def split(data: bytes, offset: int, delimiter: str | None) -> Iterator[Record]:
    """The records of a block."""
    start = 0
    while start < len(data):
        end, is_open = record_end(data, start, delimiter)
        assert not is_open
        yield offset + start, data[start:end]
        start = len(data) if end is None else end


def why(oversize: Oversize) -> str:
    """The beginning of the reason."""
    return "longer" if oversize.reason.startswith("longer") else oversize.reason[: len("a quote")]


def records_of(blocks: Iterable[Block | Finding]) -> list[Record]:
    """All records of text blocks, checked to be whole and in order."""
    records: list[Record] = []
    for block in blocks:
        assert isinstance(block, TextBlock), block
        records.extend((o.offset, o.length, why(o)) for o in block.oversize)
        records.extend(split(bytes(block.data), block.offset, block.delimiter))
    offsets = [record[0] for record in records]
    assert offsets == sorted(offsets)
    return records


def rows_of(blocks: Iterable[Block | Finding]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for block in blocks:
        assert isinstance(block, TableBlock)
        rows.extend(block.table.to_pylist())
    return rows


def read(
    *paths: object,
    positions: Mapping[str, str] | None = None,
    waiting: "ScriptedWaiting | None" = None,
    **options: object,
) -> list[Block | Finding]:
    """Everything of a run that does not follow."""
    sources = Sources([str(path) for path in paths], ReadOptions(**options), positions, waiting)  # type: ignore[arg-type]
    return list(sources.blocks())


def read_until_error(blocks: Iterator[Block | Finding], message: str) -> list[Block | Finding]:
    """All that comes before the SourceError with this message, which must come."""
    seen: list[Block | Finding] = []
    with pytest.raises(SourceError, match=message):
        seen.extend(blocks)
    return seen


def positions_of(blocks: Iterable[Block | Finding]) -> dict[str, str]:
    """What a store holds after these blocks."""
    return {block.position.source: block.position.state for block in blocks if not isinstance(block, Finding)}


@dataclass
class ScriptedWaiting:
    """Time that passes only in waits; each wait that would last does the next step of a script, then stops."""

    steps: list[Callable[[], object]] = field(default_factory=list)
    seconds: float = 0.0
    stop: bool = False
    waits: list[float] = field(default_factory=list)

    def stopped(self) -> bool:
        return self.stop

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.waits.append(seconds)
        if self.steps:
            self.steps.pop(0)()
        else:
            self.stop = True

    def readable(self, descriptor: int, seconds: float) -> bool:
        if not select.select([descriptor], [], [], 0)[0]:
            self.pause(seconds)
        return bool(select.select([descriptor], [], [], 0)[0])


def append(path: Path, data: bytes) -> Callable[[], None]:
    """A step that appends to a file."""

    def step() -> None:
        with path.open("ab") as file:
            file.write(data)

    return step


def nothing() -> None:
    """A step in which nothing happens."""


def chunks(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    return [data[low:high] for low, high in pairwise(places)]
