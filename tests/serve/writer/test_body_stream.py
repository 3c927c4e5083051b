"""A body that is put in piece by piece: all of it or a clear end, however it comes and is read."""

import threading
from collections.abc import Callable
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.serve.writer.body_stream import BrokenOff, StreamedBody

BODY = bytes(range(256)) * 8
REPORT_BYTES = 1_000


def clock(step: float) -> Callable[[], float]:
    """One that goes on by this much each time it is read."""
    ticks = count()
    return lambda: next(ticks) * step


def all_of(body: StreamedBody, size: int = 100) -> bytes:
    found, space = b"", memoryview(bytearray(size))
    while (number := body.readinto(space)) or not body.ended:
        found += space[:number]
        body.passed_on()
    return found


@given(st.lists(st.integers(0, len(BODY)), max_size=8), st.integers(1, 3_000), st.booleans())
def test_a_body_is_read_to_its_end_however_it_is_cut(cuts: list[int], size: int, beforehand: bool) -> None:
    body = StreamedBody(lambda _: None, REPORT_BYTES)
    edges = sorted({0, len(BODY), *cuts})

    def put() -> None:
        for start, end in pairwise(edges):
            body.put(BODY[start:end])
        body.finish(whole=True)

    thread = threading.Thread(target=put)
    thread.start()
    if beforehand:
        thread.join()
    assert all_of(body, size) == BODY
    assert body.ended
    assert body.readinto(memoryview(bytearray(1))) == 0
    thread.join()


def test_what_breaks_off_is_not_read_on() -> None:
    body = StreamedBody(lambda _: None, REPORT_BYTES)
    body.put(BODY)
    body.finish(whole=False)
    with pytest.raises(BrokenOff):
        body.readinto(memoryview(bytearray(1)))
    assert not body.ended


def test_a_thread_that_waits_is_woken_when_the_body_breaks_off() -> None:
    body, ended = StreamedBody(lambda _: None, REPORT_BYTES), threading.Event()

    def read() -> None:
        with pytest.raises(BrokenOff):
            all_of(body)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    body.finish(whole=False)
    assert ended.wait(30)
    thread.join()


def test_nothing_is_an_empty_body_only_once_it_is_whole() -> None:
    body = StreamedBody(lambda _: None, REPORT_BYTES)
    assert not body.ended
    body.finish(whole=True)
    assert body.ended
    assert all_of(body) == b""


def test_what_was_read_is_reported_so_that_more_is_sent() -> None:
    reported: list[int] = []
    body = StreamedBody(reported.append, REPORT_BYTES)
    body.put(bytes(2 * REPORT_BYTES))
    space = memoryview(bytearray(REPORT_BYTES // 2))
    for _ in range(4):
        body.readinto(space)
    assert reported == [REPORT_BYTES] * 2


def test_what_came_is_passed_on_though_no_more_comes() -> None:
    body = StreamedBody(lambda _: None, REPORT_BYTES, clock(0.06))
    body.put(b"some")
    space = memoryview(bytearray(10))
    assert body.readinto(space) == 4
    assert body.readinto(space) == 0, "nothing came until it was stale"
    assert body.is_stale
    body.passed_on()
    assert not body.is_stale
