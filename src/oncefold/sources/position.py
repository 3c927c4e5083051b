"""How far a file was read, whether it still is the file that was read, and what of it is left to read.

A position holds a fingerprint of the stored bytes it covers: of the first 64 KiB and of the last 64 KiB before its end.
So a file that only grew is distinguished from one that was cut short or replaced, at the cost of two small reads.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final, Literal

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Finding
from oncefold.sources.inputs import Input

FINGERPRINT_BYTES: Final = 64 * 2**10
"""Bytes hashed at the front, and at the end, of what a position covers."""


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a source position of a file."""

    kind: Literal["text", "parquet", "arrow"]
    at: int
    """What comes next: a byte offset in the (decompressed) text, or the number of a row."""
    stored: int
    """Stored bytes that the fingerprint covers: at text, those read; at a table, the whole file."""
    head: str
    tail: str
    done: bool = False
    """Everything up to `stored` was handed on, also a last line without newline, which begins at `at`."""
    encoding: str = ""
    """Of text that was read in another encoding than the one that its first bytes announce."""

    def position(self, source: str) -> SourcePosition:
        """As the store keeps it."""
        fields = asdict(self)
        if not self.encoding:
            del fields["encoding"]
        return SourcePosition(source, json.dumps(fields, separators=(",", ":")))


def parse_state(source: str, state: str) -> FileState:
    """Read back what `position` wrote. Raises SourceError if another version wrote it."""
    try:
        return FileState(**json.loads(state))
    except (ValueError, TypeError):
        raise SourceError(
            f"{source}: its position in the store cannot be read by this version of oncefold: {state[:200]}; "
            "run again with --reread to read the file from its start, which never counts an event twice"
        ) from None


class Fingerprinter:
    """Makes the states of one open file."""

    def __init__(self, descriptor: int, kind: Literal["text", "parquet", "arrow"]) -> None:
        self._descriptor = descriptor
        self._kind = kind
        self._head = ""

    def state(self, at: int, stored: int, *, done: bool = False) -> FileState:
        """The state that covers the first `stored` bytes of the file."""
        head = self._head or _digest(self._descriptor, 0, min(stored, FINGERPRINT_BYTES))
        if stored >= FINGERPRINT_BYTES:
            self._head = head
        start = max(0, stored - FINGERPRINT_BYTES)
        tail = _digest(self._descriptor, start, stored - start) if start else head
        return FileState(self._kind, at, stored, head, tail, done)


def _digest(descriptor: int, start: int, count: int) -> str:
    return hashlib.blake2b(os.pread(descriptor, count, start), digest_size=12).hexdigest()


def changed(source: str, descriptor: int, state: FileState, kind: str) -> Finding | None:
    """What happened to a file since `state` that forbids reading on from it; None if it is as it was, or only grew."""
    if state.kind != kind:
        what = f"it was read as {state.kind} before, and is now to be read as {kind}"
        return Finding(source, "replaced", f"{source} is not what it was: {what}; {REREAD}")
    size = os.fstat(descriptor).st_size
    if size < state.stored:
        what = f"it has {size:,} bytes, and {state.stored:,} were read before"
        return Finding(source, "truncated", f"{source} was truncated: {what}; {REREAD}")
    now = Fingerprinter(descriptor, state.kind).state(state.at, state.stored)
    if (now.head, now.tail) != (state.head, state.tail) or (kind != "text" and size != state.stored):
        what = f"its first {state.stored:,} bytes are not those that were read before"
        return Finding(source, "replaced", f"{source} was replaced: {what}; {REREAD}")
    return None


REREAD: Final = (
    "what was read of it stays counted, nothing new was read; "
    "--reread reads it from its start, which never counts an event twice"
)


@dataclass(frozen=True, slots=True)
class Task:
    """A file that is to be read, from `state` on."""

    input: Input
    state: FileState | None
    left_bytes: int


def plan(item: Input, stored_state: str | None) -> Task | Finding | None:
    """How to read a file on; None if there is nothing new in it, a finding if it is not what was read before.

    Raises OSError if it cannot be opened, SourceError if `stored_state` cannot be understood.
    """
    with opened(item.path) as descriptor:
        size = os.fstat(descriptor).st_size
        if stored_state is None:
            return Task(item, None, size)
        state = parse_state(item.source, stored_state)
        finding = changed(item.source, descriptor, state, "text" if item.form.is_text else item.form.kind)
        if finding is not None:
            return finding
        if state.done and state.stored == size:
            return None
        return Task(item, state, size - (state.stored if item.form.is_text else 0))


@contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor for reading, closed at the end. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
