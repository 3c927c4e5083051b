"""What is left to read of a file: all of it, the rest of it, nothing, or it is not what was read before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from oncefold.sources.blocks import Finding
from oncefold.sources.discover import Input
from oncefold.sources.position import FileState, changed, parse_state


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
