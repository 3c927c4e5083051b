"""A body from its socket: all of it or a clear end, however it comes; nothing after it is read."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.serve.ingest.faults import BrokenOff
from oncefold.serve.ingest.pace import Patience
from oncefold.serve.ingest.pipe import Rest
from oncefold.serve.ingest.refusal import Refused
from oncefold.serve.ingest.socket_pipe import SocketPipe, Stream

PATIENT = Patience(60.0, 0)
BODY = bytes(range(256)) * 8


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    with ours, theirs:
        yield ours, theirs


def all_of(pipe: SocketPipe, size: int = 100) -> bytes:
    found, space = b"", memoryview(bytearray(size))
    while (number := pipe.readinto(space)) or not pipe.ended:
        found += space[:number]
        pipe.handed_on()
    return found


@given(st.integers(0, len(BODY)), st.integers(1, 3_000), st.booleans())
def test_a_body_is_read_to_its_end_and_not_beyond(begun: int, size: int, fed: bool) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    with ours, theirs:
        pipe = SocketPipe(Stream(theirs, BODY[:begun], None if fed else len(BODY) - begun), PATIENT)
        ours.sendall(BODY[begun:])
        if fed:
            ours.close()
            pipe.finish(whole=True)
        else:
            ours.sendall(b"POST /next")
        assert all_of(pipe, size) == BODY
        if not fed:
            assert theirs.recv(100) == b"POST /next"
        assert pipe.let_go() == Rest(len(BODY) - begun, whole=True)
        assert theirs.fileno() == -1


def test_a_body_that_comes_byte_by_byte(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    pipe = SocketPipe(Stream(theirs, b"", len(BODY)), PATIENT)
    sender = threading.Thread(target=lambda: [ours.send(BODY[at : at + 1]) for at in range(len(BODY))])
    sender.start()
    assert all_of(pipe) == BODY
    sender.join()


def test_a_client_that_leaves_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    pipe = SocketPipe(Stream(theirs, b"x", 100), PATIENT)
    ours.sendall(b"yz")
    ours.close()
    with pytest.raises(BrokenOff):
        all_of(pipe)
    assert pipe.let_go() == Rest(2, whole=False, gone=True)


@pytest.mark.parametrize("length", [100, None])
def test_a_thread_that_waits_is_woken_when_it_breaks_off(
    ends: tuple[socket.socket, socket.socket], length: int | None
) -> None:
    _, theirs = ends
    pipe = SocketPipe(Stream(theirs, b"", length), PATIENT)
    waits, failed = threading.Event(), threading.Event()

    def read() -> None:
        waits.set()
        try:
            all_of(pipe)
        except BrokenOff:
            failed.set()

    reader = threading.Thread(target=read)
    reader.start()
    waits.wait()
    pipe.finish(whole=False)
    reader.join()
    assert failed.is_set()
    assert pipe.let_go() == Rest(0, whole=False)


def test_the_end_of_what_is_fed_is_no_end_of_the_body_until_that_is_said(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    pipe = SocketPipe(Stream(theirs, b"", None), PATIENT)
    ours.sendall(b"half of i")
    ours.close()
    found: list[object] = []

    def read() -> None:
        try:
            found.append(all_of(pipe))
        except BrokenOff:
            found.append("broken off")

    reader = threading.Thread(target=read)
    reader.start()
    pipe.finish(whole=False)
    reader.join()
    assert found == ["broken off"]


def clock(step: float) -> Callable[[], float]:
    """Every look at it is so much later."""
    ticks = count()
    return lambda: step * next(ticks)


def test_nothing_for_long_is_refused(ends: tuple[socket.socket, socket.socket]) -> None:
    pipe = SocketPipe(Stream(ends[1], b"", 100), Patience(0.001, 0))
    with pytest.raises(Refused) as refused:
        all_of(pipe)
    assert (refused.value.refusal.status, refused.value.refusal.title) == (408, "Body not sent")


def test_little_in_a_long_time_is_refused(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait lasts twenty seconds by the clock, and one byte comes in it."""
    ours, theirs = ends

    class Poll:
        def register(self, *_: object) -> None:
            pass

        def poll(self, _: int | None) -> list[tuple[int, int]]:
            ours.sendall(b"x")
            return [(0, select.POLLIN)]

    monkeypatch.setattr(select, "poll", Poll)
    pipe = SocketPipe(Stream(theirs, b"", 10_000), Patience(30.0, 1), clock(20.0))
    with pytest.raises(Refused) as refused:
        all_of(pipe)
    assert refused.value.refusal.title == "Body too slow"
    assert not pipe.let_go().whole


def test_what_came_is_handed_on_though_no_more_comes(ends: tuple[socket.socket, socket.socket]) -> None:
    pipe = SocketPipe(Stream(ends[1], b"some", 100), PATIENT, clock(0.06))
    space = memoryview(bytearray(10))
    assert pipe.readinto(space) == 4
    assert pipe.readinto(space) == 0, "nothing came until it was stale"
    assert pipe.is_stale
    pipe.handed_on()
    assert not pipe.is_stale
