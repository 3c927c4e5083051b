"""Shared memory for pieces of bodies: what the writer has not read stays as it was, and every slot is used again."""

import mmap
import sys
from collections import defaultdict, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.serve.channel.slots import SLOT_BYTES, Slots

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory files are Linux's")


class _Writer:
    """Reads bodies later, in any order, from the memory or from what was sent."""

    def __init__(self, slots: Slots) -> None:
        assert slots.file is not None
        self.memory = memoryview(mmap.mmap(slots.file, 0, access=mmap.ACCESS_READ))
        self.waiting: dict[int, deque[bytes | memoryview]] = defaultdict(deque)

    def put(self, slot: int | None, number: int, data: bytes) -> None:
        start = 0 if slot is None else slot * SLOT_BYTES
        self.waiting[number].append(data if slot is None else self.memory[start : start + len(data)])

    def read(self, number: int, most: int) -> bytes:
        """Up to so many bytes of a body."""
        found = b""
        while self.waiting[number] and len(found) < most:
            piece = self.waiting[number].popleft()
            taken = most - len(found)
            found += bytes(piece[:taken])
            if len(piece) > taken:
                self.waiting[number].appendleft(piece[taken:])
        return found


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "read", "end"]), st.integers(1, 3), st.integers(1, 40)), max_size=60
)


@given(STEPS, st.integers(1, 4))
def test_what_was_not_read_stays_as_it_was_put(steps: list[tuple[str, int, int]], count: int) -> None:
    """Bodies side by side, read in parts of any size or given up, in more pieces than there are slots."""
    slots = Slots(count)
    writer, sent, read = _Writer(slots), defaultdict[int, bytes](bytes), defaultdict[int, int](int)
    for at, (what, number, size) in enumerate(steps):
        if what == "put":
            data = bytes([at + 1]) * (size if size < 40 else SLOT_BYTES + 1)
            sent[number] += data
            writer.put(slots.put(number, data), number, data)
        elif what == "read":
            found = writer.read(number, size)
            start = read[number]
            assert found == sent[number][start : start + len(found)]
            read[number] += len(found)
            slots.consumed(number, len(found))
        else:
            slots.release(number)
            for kept in (writer.waiting, sent, read):
                kept.pop(number, None)
    for number, body in sent.items():
        assert writer.read(number, len(body)) == body[read[number] :]
        slots.release(number)
    all_of_them = {slots.put(0, b"x") for _ in range(count)}
    assert None not in all_of_them
    assert len(all_of_them) == count
    assert slots.put(0, b"x") is None
    slots.close()


def test_consumption_of_a_body_that_was_given_up_is_of_no_effect() -> None:
    slots = Slots(1)
    assert slots.put(1, b"abc") == 0
    slots.release(1)
    assert slots.put(2, b"def") == 0
    slots.consumed(1, 3)
    assert slots.put(3, b"ghi") is None


def test_memory_that_was_closed_takes_nothing() -> None:
    slots = Slots(2)
    slots.close()
    slots.close()
    assert slots.put(1, b"abc") is None
