"""Reads stdin, or another pipe: front to back, once, handing on what has arrived before it grows stale."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Finding, TextBlock
from oncefold.sources.compression import Damaged, Gzip, PlainFetched, RawStream, Zstd, compression_of, is_undecided
from oncefold.sources.encoding import as_utf8, encoding_named, is_encoding_undecided
from oncefold.sources.inputs import Format, ReadOptions
from oncefold.sources.text import TextStream
from oncefold.sources.waiting import Waiting

PROMPT_SECONDS: Final = 0.2
"""A writer that comes within this is not reported."""


class PipeOpening:
    """The opening of a path for reading, as a context manager; what was opened is closed at the end.

    It goes on in a thread of its own, because no system lets one wait for a writer and for a stop at once, and not
    all distinguish a pipe without a writer from one whose writer has gone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._descriptor: int | None = None
        self._error: OSError | None = None
        self._abandoned = False
        self._done, self._notify = os.pipe()

    def wait(self, waiting: Waiting, seconds: float) -> int | None:
        """The descriptor, or None if it is not open yet. Raises OSError if it cannot be opened."""
        waiting.readable(self._done, seconds)
        with self._guard:
            if self._error is not None:
                raise self._error
            return self._descriptor

    def _open(self) -> None:
        descriptor, failed = None, None
        try:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | os.O_CLOEXEC)
        except OSError as error:
            failed = error
        with self._guard:
            self._descriptor, self._error = descriptor, failed
            if self._abandoned and descriptor is not None:
                os.close(descriptor)
            if not self._abandoned:
                os.write(self._notify, b".")

    def __enter__(self) -> Self:
        threading.Thread(target=self._open, name=f"opening {self._path}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            self._abandoned = True
            waits = self._descriptor is None and self._error is None
            if self._descriptor is not None:
                os.close(self._descriptor)
            os.close(self._done)
            os.close(self._notify)
        if waits:
            with suppress(OSError):  # a writer that comes and goes lets the thread end
                os.close(os.open(self._path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))


STALE_SECONDS: Final = 0.1
"""Records that arrived wait no longer than this for others to share their block."""

_READ_BYTES: Final = 256 * 2**10


def read_named_pipe(
    source: str, path: str, form: Format, options: ReadOptions, waiting: Waiting
) -> Iterator[TextBlock | Finding]:
    """The same of a pipe that has a name, once someone opens it for writing; a finding reports that this takes long.

    Raises OSError if it cannot be opened.
    """
    with PipeOpening(path) as opening:
        descriptor = opening.wait(waiting, PROMPT_SECONDS)
        if descriptor is None and not waiting.stopped():
            yield Finding(source, "waiting", f"{source}: waiting for a writer of this pipe")
        while descriptor is None and not waiting.stopped():
            descriptor = opening.wait(waiting, STALE_SECONDS)
        if descriptor is not None:
            yield from read_pipe(source, descriptor, form, options, waiting)


def read_pipe(
    source: str, descriptor: int, form: Format, options: ReadOptions, waiting: Waiting
) -> Iterator[TextBlock | Finding]:
    """Blocks until the writer closes the pipe, or until stopped, which may leave a part of a record unread.

    A position says only how many bytes were read in this run: a pipe cannot be resumed. Within 0.2 s of a stop the
    iterator ends. Raises SourceError for a format that is not text, for damaged compressed data after what could be
    read was handed on, and for a CSV header that cannot be one.
    """
    if not form.is_text:
        raise SourceError(f"{source}: {form.kind} cannot be read from a pipe; write it to a file and name that")
    pipe = _Pipe(descriptor, waiting)
    progress = _PipeProgress(source)
    stream = TextStream(source, form, options, progress)
    raw = pipe.raw_stream(None if options.encoding is None else encoding_named(options.encoding))
    progress.raw = raw
    try:
        yield from _read(stream, raw, pipe, waiting)
    except Damaged as damage:
        raise SourceError(f"{source}: {damage}; what could be read of it is counted") from None
    if waiting.stopped() and not pipe.ended:
        return
    if fault := raw.fault():
        raise SourceError(f"{source}: {fault}; what could be read of it is counted")
    yield from stream.finish()


def _read(stream: TextStream, raw: RawStream, pipe: "_Pipe", waiting: Waiting) -> Iterator[TextBlock | Finding]:
    """Fill blocks, but hand on what is there when the oldest of it grows stale."""
    while not waiting.stopped():
        try:
            count = raw.readinto(stream.space()[:_READ_BYTES])
        except Damaged:
            yield from stream.ready()
            raise
        if count:
            stream.advance(count)
        elif pipe.ended:
            break
        if stream.full or pipe.is_stale():
            yield from stream.ready()
            pipe.deadline = None
    yield from stream.ready()


class _Pipe:
    """Bytes of a descriptor that may keep one waiting."""

    def __init__(self, descriptor: int, waiting: Waiting) -> None:
        self._descriptor, self._waiting = descriptor, waiting
        self._ahead = b""
        self.ended = False
        self.deadline: float | None = None
        """When bytes that came will be stale; None if none came since it was set to None."""

    def is_stale(self) -> bool:
        """Whether some bytes came so long ago that they are to be handed on."""
        return self.deadline is not None and self._waiting.now() >= self.deadline

    def raw_stream(self, encoding: str | None) -> RawStream:
        """The pipe's bytes as UTF-8, decompressed if its first bytes say so; waits for those."""
        while self._is_unknown() and not self.ended and not self._waiting.stopped():
            self._ahead += self._receive(_READ_BYTES)
        magic = self._ahead
        compression = compression_of(magic)
        if compression is None:
            return as_utf8(PlainFetched(self._fetch), encoding, magic)
        raw = Gzip(self._fetch) if compression == "gzip" else Zstd(self._fetch_surely)
        return as_utf8(raw, encoding, None)

    def _is_unknown(self) -> bool:
        return is_undecided(self._ahead) or is_encoding_undecided(self._ahead)

    def _fetch(self, size: int) -> bytes:
        """Bytes, waiting for some until others are stale; b"" if none came until then, or none will come."""
        while not self._ahead and not self.ended and not self._waiting.stopped() and not self.is_stale():
            self._ahead = self._receive(size)
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def _fetch_surely(self, size: int) -> bytes:
        """Bytes, however long they take; b"" if none will come. A zstd frame cannot pause half-way."""
        while not (data := self._fetch(size)) and not self.ended and not self._waiting.stopped():
            self.deadline = None
        return data

    def _receive(self, size: int) -> bytes:
        now = self._waiting.now()
        seconds = STALE_SECONDS if self.deadline is None else max(0.0, self.deadline - now)
        if not self._waiting.readable(self._descriptor, seconds):
            return b""
        data = os.read(self._descriptor, size)
        self.ended = not data
        if data and self.deadline is None:
            self.deadline = self._waiting.now() + STALE_SECONDS
        return data


class _PipeProgress:
    """The position of a pipe, as its stream sees it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._consumed = 0
        self.raw: RawStream | None = None

    def position(self, resume: int, *, done: bool) -> SourcePosition:
        state = {"kind": "pipe", "at": resume, "done": done}
        return SourcePosition(self._source, json.dumps(state, separators=(",", ":")))

    def consumed(self, resume: int, *, done: bool) -> int:  # noqa: ARG002 - what the stream took is what counts
        before, self._consumed = self._consumed, self.raw.stored if self.raw is not None else 0
        return self._consumed - before
