"""One text file, plain or compressed: read on from a position, to its present end and, if it grows, further."""

import os
from collections.abc import Iterator
from typing import Final

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import TextBlock
from oncefold.sources.formats import Format, ReadOptions, says_compressed
from oncefold.sources.position import FileState, Fingerprinter
from oncefold.sources.rawstream import MAGIC_BYTES, Damaged, Plain, RawStream, compression_of, file_stream, is_undecided
from oncefold.sources.textstream import TextStream
from oncefold.sources.waiting import Waiting

_SKIP_BYTES: Final = 256 * 2**10


class TextFile:
    """Reads the file open as `descriptor`, from the start or on from `state`; whoever opened it closes it."""

    def __init__(
        self,
        source: str,
        descriptor: int,
        form: Format,
        options: ReadOptions,
        waiting: Waiting,
        state: FileState | None = None,
    ) -> None:
        self._source, self._descriptor, self._form, self._options = source, descriptor, form, options
        self._waiting = waiting
        self._resume = state.at if state is not None else 0
        self._progress = _FileProgress(source, descriptor, state)
        self._raw: RawStream | None = None
        self._stream: TextStream | None = None
        self._to_skip = 0

    def available(self) -> Iterator[TextBlock]:
        """Blocks of the whole records between here and the file's present end; fewer if told to stop.

        Can be called again when the file has grown. Raises SourceError for damaged compressed data, after what could
        be read was handed on, and for a CSV header that cannot be one.
        """
        return self._available(final=False)

    def finish(self) -> Iterator[TextBlock]:
        """What `available` leaves: a last record without newline. The last block has the final position.

        Raises SourceError if a compressed stream is cut short; the position then stands before what is missing.
        """
        yield from self._available(final=True)
        if self._waiting.stopped():
            return
        if self._raw is not None and (fault := self._raw.fault()):
            raise SourceError(
                f"{self._source}: {fault}; what could be read of it is counted. "
                "If it is still being written, run again when it is whole, or --follow it"
            )
        yield from self._text_stream().finish()

    def _available(self, *, final: bool) -> Iterator[TextBlock]:
        raw = self._raw_stream(final=final)
        if raw is None:
            return
        stream = self._text_stream()
        while not self._waiting.stopped():
            try:
                if self._to_skip:
                    if not self._skip(raw):
                        return
                    continue
                count = raw.readinto(stream.space())
            except Damaged as damage:
                raise SourceError(f"{self._source}: {damage}; what could be read of it is counted") from None
            if not count:
                return
            stream.advance(count)
            yield from stream.ready()

    def _skip(self, raw: RawStream) -> bool:
        """Pass over some of what was read before; whether there was any."""
        if isinstance(raw, Plain):
            raw.stored, self._to_skip = self._to_skip, 0
            return True
        count = raw.readinto(memoryview(bytearray(min(self._to_skip, _SKIP_BYTES))))
        self._to_skip -= count
        return bool(count)

    def _raw_stream(self, *, final: bool) -> RawStream | None:
        """The bytes, once it is known how they are compressed."""
        if self._raw is None:
            self._raw = self._open_raw(final=final)
            self._to_skip = self._resume
        elif self._raw.fault() and os.fstat(self._descriptor).st_size > self._raw.stored and self._is_stuck():
            self._raw = self._open_raw(final=final)
            self._to_skip = self._text_stream().offset
        if self._raw is not None:
            self._progress.raw = self._raw
        return self._raw

    def _is_stuck(self) -> bool:
        return getattr(self._raw, "cut_short", False)

    def _open_raw(self, *, final: bool) -> RawStream | None:
        magic = os.pread(self._descriptor, MAGIC_BYTES, 0)
        if not magic or (is_undecided(magic) and not final):
            return None
        compression = compression_of(magic)
        if compression is None and says_compressed(self._source):
            raise SourceError(f"{self._source}: its name says that it is compressed, but it is neither gzip nor zstd")
        return file_stream(self._descriptor, compression)

    def _text_stream(self) -> TextStream:
        if self._stream is None:
            header = self._read_header() if self._form.kind == "csv" and self._resume else None
            self._stream = TextStream(
                self._source, self._form, self._options, self._progress, header=header, offset=self._resume
            )
        return self._stream

    def _read_header(self) -> tuple[str, ...] | None:
        """The header, from the file's start; the records were read before, so it is there."""
        raw = self._open_raw(final=True)
        stream = TextStream(self._source, self._form, self._options, self._progress)
        while raw is not None and stream.header is None and (count := raw.readinto(stream.space())):
            stream.advance(count)
            stream.take_header()
        return stream.header


class _FileProgress:
    """The position of a file, as its stream sees it."""

    def __init__(self, source: str, descriptor: int, state: FileState | None) -> None:
        self._source = source
        self._fingerprinter = Fingerprinter(descriptor, "text")
        self._consumed = state.stored if state is not None else 0
        self.raw: RawStream | None = None

    def position(self, resume: int, *, done: bool) -> SourcePosition:
        return self._fingerprinter.state(resume, self._stored(resume, done=done), done=done).position(self._source)

    def consumed(self, resume: int, *, done: bool) -> int:
        before, self._consumed = self._consumed, max(self._consumed, self._stored(resume, done=done))
        return self._consumed - before

    def _stored(self, resume: int, *, done: bool) -> int:
        if self.raw is None:
            return 0
        return resume if isinstance(self.raw, Plain) and not done else self.raw.stored
