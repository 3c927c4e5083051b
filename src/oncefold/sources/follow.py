"""Follows files that grow, and directories and patterns in which files appear; by polling, as every file system allows.

A file that is replaced under its name (log rotation) is read to its end once the new one has content, then the new one
is read from its start; a file that is truncated in place is read from its start again. Both are reported as findings,
and both are safe, because an event counts once however often it is read. A file that is no longer what an earlier run
read is left alone, as in a run that does not follow.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding
from oncefold.sources.inputs import Input, ReadOptions, discover
from oncefold.sources.position import FileState, changed, parse_state
from oncefold.sources.tables import ends_whole, read_table
from oncefold.sources.text import TextFile
from oncefold.sources.waiting import Waiting

SETTLE_SECONDS: Final = 5.0
"""A table that lacks its end is tried all the same when it did not change for so long."""

_Signature = tuple[int, int, int, int]
"""Device, inode, size and time of change: if these are the same, so is the file."""


class Followed:
    """Reads one file whenever `poll` finds it changed. Between looks it stays open until `close`."""

    def __init__(self, item: Input, stored_state: str | None, options: ReadOptions, waiting: Waiting) -> None:
        """`stored_state` is where an earlier run stopped."""
        self._item, self._options, self._waiting = item, options, waiting
        self._state = stored_state
        self._seen: _Signature | None = None
        """The file as it was when last read."""
        self._last_look: _Signature | None = None
        self._since = 0.0
        """A table as it was at the last look, and since when: it may be in the course of being written."""
        self._given_up = False
        """Until another file takes the name."""
        self._descriptor: int | None = None
        self._reader: TextFile | None = None
        self.grew = 0.0
        """When it was last read, on the clock of `waiting`."""

    @property
    def is_open(self) -> bool:
        """Whether it holds a descriptor."""
        return self._descriptor is not None

    def close(self) -> None:
        """Close the file; when it grows it is read on from its last position."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._reader = None

    def poll(self) -> Iterator[Block | Finding]:
        """All that came since the last look. Errors are handed on as findings, and the file is left alone then."""
        try:
            for block in self._poll():
                if not isinstance(block, Finding):
                    self._state = block.position.state
                yield block
        except Exception as error:  # whatever is wrong with one file, the others are followed
            self._given_up = True
            self.close()
            yield Finding.unreadable(self._item.source, error)

    def _poll(self) -> Iterator[Block | Finding]:
        now = _signature(self._item.path)
        if now is None or now == self._seen:
            if now is None and self._reader is not None:
                yield from self._reader.available()
            return
        if self._seen is not None and now[:2] != self._seen[:2]:
            if self._reader is not None and not now[2]:
                yield from self._reader.available()
                return
            yield from self._rotate()
        if not self._is_settled(now) or self._given_up or self._waiting.stopped():
            return
        self.grew = self._waiting.now()
        first, self._seen = self._seen is None, now
        yield from self._check(first=first)
        if not self._given_up:
            yield from self._read()

    def _is_settled(self, now: _Signature) -> bool:
        """Whether it can be read: text always, a table when it looks the same twice and has an end, or for long."""
        if self._item.form.is_text:
            return True
        if self._last_look != now:
            self._last_look, self._since = now, self._waiting.now()
            self._given_up = False
            return False
        return ends_whole(self._item.path) or self._waiting.now() - self._since >= SETTLE_SECONDS

    def _rotate(self) -> Iterator[Block | Finding]:
        """Another file has the name and has content, so the old one is complete: read its rest, then start over."""
        rest = "the old one had been read to its end at the last look"
        if self._reader is not None:
            yield from self._reader.available()
            if self._waiting.stopped():
                return
            yield from self._reader.finish()
            rest = "the old one was read to its end"
        source = self._item.source
        yield Finding(source, "rotated", f"{source} is another file now: {rest}, the new one is read from its start")
        self._start_over()

    def _start_over(self) -> None:
        self.close()
        self._state, self._seen, self._given_up = None, None, False

    def _check(self, *, first: bool) -> Iterator[Finding]:
        """Report a file that is not what it was: it is left alone at the first look, later read from its start."""
        finding = self._changed()
        if finding is None:
            return
        if first:
            self._given_up = True
            yield finding
            return
        source, seen = finding.source, self._seen
        message = f"{source} was {finding.kind} while it was followed; it is read from its start again"
        yield Finding(source, finding.kind, message)
        self._start_over()
        self._seen = seen

    def _changed(self) -> Finding | None:
        state = self._parsed_state()
        if state is None:
            return None
        kind = "text" if self._item.form.is_text else self._item.form.kind
        return changed(self._item.source, self._opened(), state, kind)

    def _parsed_state(self) -> FileState | None:
        return None if self._state is None else parse_state(self._item.source, self._state)

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._item.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return self._descriptor

    def _read(self) -> Iterator[Block | Finding]:
        item, state = self._item, self._parsed_state()
        if item.form.is_text:
            if self._reader is None:
                descriptor = self._opened()
                self._reader = TextFile(
                    item.source, descriptor, item.form, self._options, self._waiting, state, columns=item.columns
                )
            yield from self._reader.available()
            return
        self.close()
        if state is None or not state.done:
            yield from read_table(
                item.source, item.path, item.form, self._options, self._waiting, state, columns=item.columns
            )


def _signature(path: str) -> _Signature | None:
    try:
        now = os.stat(path)  # noqa: PTH116 - a path of the operating system's, as text
    except OSError:
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


POLL_SECONDS: Final = 0.1
"""Between two looks at the files; what was appended is handed on by the next look."""

DISCOVER_SECONDS: Final = 0.5
"""Between two searches for new files."""

OPEN_FILES: Final = 200
"""Files kept open; of more than these, the longest idle are closed and read on from their position when they grow."""


def follow(
    arguments: Sequence[str], options: ReadOptions, positions: Mapping[str, str], waiting: Waiting
) -> Iterator[Block | Finding]:
    """Blocks as they come, until stopped. A last line without newline waits for its newline.

    Raises SourceError if an argument names nothing; files that cannot be read are findings.
    """
    followed: dict[str, Followed] = {}
    try:
        searched: float | None = None
        while not waiting.stopped():
            if searched is None or waiting.now() - searched >= DISCOVER_SECONDS:
                searched = waiting.now()
                for item in _found(arguments, options, first=not followed):
                    if item.source not in followed:
                        followed[item.source] = Followed(item, positions.get(item.source), options, waiting)
            for file in followed.values():
                yield from file.poll()
                if waiting.stopped():
                    return
            _close_idle(followed.values())
            waiting.pause(POLL_SECONDS)
    finally:
        for file in followed.values():
            file.close()


def _found(arguments: Sequence[str], options: ReadOptions, *, first: bool) -> list[Input]:
    """What the arguments name now. A file that is gone for a moment, as in a rotation, is no error later on."""
    found: list[Input] = []
    for argument in arguments:
        try:
            found.extend(item for item in discover([argument], options) if not item.is_pipe)
        except (SourceError, OSError):
            if first:
                raise
    return found


def _close_idle(followed: Collection[Followed]) -> None:
    """Keep within OPEN_FILES."""
    still_open = [file for file in followed if file.is_open]
    for file in sorted(still_open, key=lambda file: file.grew)[: max(0, len(still_open) - OPEN_FILES)]:
        file.close()
