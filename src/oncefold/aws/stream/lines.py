"""Lines from the sources of a run: files, folders, patterns, pipes."""

from collections.abc import Callable, Iterator, Sequence

from oncefold.aws.stream.records import FLUSH, Flush, Line, OversizeRecord
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Finding, TextBlock
from oncefold.sources.inputs import STREAM, ReadOptions
from oncefold.sources.sources import Sources
from oncefold.sources.waiting import Waiting


def open_lines(arguments: Sequence[str], options: ReadOptions | None = None, waiting: Waiting | None = None) -> Sources:
    """The sources that the arguments name. Raises SourceError as `Sources` does, and for what is not JSON Lines."""
    for argument in arguments:
        if argument.startswith(STREAM):
            raise SourceError(f"{argument}: a stream is not sent on; name files, or - for standard input")
    sources = Sources(arguments, options, waiting=waiting)
    for item in sources.inputs:
        if item.form.kind != "json":
            raise SourceError(
                f"{item.source}: {item.form.kind} is not sent: the functions read JSON Lines, where an empty text and "
                "a missing field differ. Write it as JSON Lines first, or fold it on this machine: oncefold run"
            )
    return sources


def read_lines(
    sources: Sources, on_read: Callable[[int], object], on_finding: Callable[[Finding], object]
) -> Iterator[Line | OversizeRecord | Flush]:
    """Every line of every source; a pause in a pipe, and the end of a block, is a flush.

    `on_read` is called with the stored bytes that were read. Sources that cannot be read are findings, the others are
    read all the same. A line too long to be held is an `OversizeRecord`.
    """
    number, source = 0, ""
    reported = False
    try:
        for block in sources.blocks():
            if isinstance(block, Finding):
                reported = True
                on_finding(block)
                continue
            assert isinstance(block, TextBlock)
            if block.source != source:
                number, source = 0, block.source
            for record in block.oversize:
                number += 1
                yield OversizeRecord(Line(b"", source, number).location, record.length)
            for line in _split(bytes(block.data)):
                number += 1
                yield Line(line, source, number)
            on_read(block.consumed_bytes)
            yield FLUSH
    except SourceError:
        if not reported:  # otherwise it repeats the findings
            raise


def _split(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end]
        start = end + 1
