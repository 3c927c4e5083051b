"""Follows files that grow, and directories and patterns in which files appear; by polling, as every file system allows.

A file that is replaced under its name (log rotation) is read to its end once the new one has content, then the new one
is read from its start; a file that is truncated in place is read from its start again. Both are told as findings, and
both are safe, because an event counts once however often it is read. A file that is no longer what an earlier run read
is left alone, as in a run that does not follow.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding
from oncefold.sources.discover import Input, discover
from oncefold.sources.followed import Followed
from oncefold.sources.formats import ReadOptions
from oncefold.sources.waiting import Waiting

POLL_SECONDS: Final = 0.1
"""Between two looks at the files; what was appended is handed on by the next look."""

DISCOVER_SECONDS: Final = 0.5
"""Between two searches for new files."""

OPEN_FILES: Final = 200
"""Files kept open; of more than these, the longest idle are closed and read on from their position when they grow."""


def follow(
    arguments: Sequence[str], options: ReadOptions, positions: Mapping[str, str], waiting: Waiting
) -> Iterator[Block | Finding]:
    """Blocks as they come, until told to stop. A last line without newline waits for its newline.

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
