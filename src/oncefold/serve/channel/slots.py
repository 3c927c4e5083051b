"""Memory that both processes see: pieces of large bodies lie there, and only their place goes through the socket."""

import mmap
import os
import sys
from collections import deque
from typing import Final

SLOT_BYTES: Final = 512 * 2**10
"""A greater piece goes through the socket."""
_SLOTS: Final = 64
"""Beyond these, pieces go through the socket. The last that was freed is used next: it is in the caches, and what is
never used takes no memory."""


class Slots:
    """The server's side: which piece lies where. A slot is used again only after the writer has read what was in it."""

    def __init__(self, count: int = _SLOTS) -> None:
        """Without effect where the system has no memory files: then no piece is put anywhere."""
        self.file: int | None = None
        """The open file of the memory, for the writer to inherit."""
        self._free: list[int] = []
        self._pieces: dict[int, deque[tuple[int, int | None]]] = {}
        """Of each body the pieces that are not consumed, in their order: bytes that are left of it, and slot."""
        if sys.platform == "linux":
            self.file = os.memfd_create("oncefold-bodies")
            os.ftruncate(self.file, count * SLOT_BYTES)
            self._memory = mmap.mmap(self.file, count * SLOT_BYTES)
            self._free = list(range(count))

    def put(self, number: int, data: bytes) -> int | None:
        """The slot in which the next piece of this body lies now; None if it has to be sent."""
        slot = self._free.pop() if self._free and len(data) <= SLOT_BYTES else None
        if slot is not None:
            start = slot * SLOT_BYTES
            self._memory[start : start + len(data)] = data
        self._pieces.setdefault(number, deque()).append((len(data), slot))
        return slot

    def consumed(self, number: int, count: int) -> None:
        """The writer has read so many more bytes of this body."""
        pieces = self._pieces.get(number)
        while pieces and count >= pieces[0][0]:
            size, slot = pieces.popleft()
            count -= size
            self._give_back(slot)
        if pieces:
            size, slot = pieces[0]
            pieces[0] = size - count, slot

    def release(self, number: int) -> None:
        """The writer reads no more of this body."""
        for _, slot in self._pieces.pop(number, ()):
            self._give_back(slot)

    def close(self) -> None:
        """Give the memory back, when there is no writer any more."""
        if self.file is not None:
            self._memory.close()
            os.close(self.file)
            self.file, self._free = None, []

    def _give_back(self, slot: int | None) -> None:
        if slot is not None:
            self._free.append(slot)
