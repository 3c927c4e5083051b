"""Messages between the two processes come out as they went in, in their order."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from oncefold.commit import Reject
from oncefold.core.fold import Outcome
from oncefold.serve.channel.connection import ServerEnd, WriterEnd, socket_pair
from oncefold.serve.channel.messages import (
    Acknowledged,
    BodyError,
    BodyFormat,
    ShownReject,
    SmallBodies,
    Stop,
    StreamConsumed,
    StreamEnd,
    StreamPiece,
    StreamStart,
)
from oncefold.serve.channel.slots import Slots
from oncefold.serve.transport.granian import loop_factory
from oncefold.serve.writer.pending import PendingRequest, grouped

MESSAGES = [
    SmallBodies([(1, BodyFormat(), b""), (2, BodyFormat("csv", "gzip", ";", "till"), b"a;b\n")]),
    StreamStart(3, BodyFormat("arrow")),
    StreamEnd(3, whole=False),
]
LOOPS = [asyncio.new_event_loop, loop_factory()]


class Server:
    """The server's end, with what it received."""

    def __init__(self) -> None:
        self.received: list[object] = []
        self.lost = asyncio.Event()
        self.changed = asyncio.Event()

    def take(self, messages: Sequence[object]) -> None:
        self.received.extend(messages)
        self.changed.set()

    async def until(self, count: int) -> None:
        while len(self.received) < count:
            self.changed.clear()
            await self.changed.wait()


@contextmanager
def writer_end(end: socket.socket, memory: int | None = None) -> Iterator[WriterEnd]:
    writer = WriterEnd(end.detach(), memory)
    try:
        yield writer
    finally:
        writer.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("slots", [None, 3, 200])
def test_messages_and_pieces_come_out_as_they_went_in(
    loop: Callable[[], asyncio.AbstractEventLoop], slots: int | None
) -> None:
    """Far more than a socket holds, and nobody receives: the event loop does not wait.

    There is memory for none of the pieces, for some, and for all.
    """
    memory = None if slots is None else Slots(slots)
    file = None if memory is None else memory.file
    pieces = [StreamPiece(number, bytes([number]) * 100_000) for number in range(1, 100)]

    async def run(writer: WriterEnd, end: socket.socket) -> list[object]:
        server = Server()
        channel = await ServerEnd.open(end, server.take, server.lost.set, memory)
        channel.send(*MESSAGES[:2])
        for piece in pieces:
            channel.send_piece(piece.number, bytes(piece.data))
        channel.send(MESSAGES[2])
        channel.close()
        return await asyncio.to_thread(lambda: list(writer.messages()))

    own, its = socket_pair()
    with writer_end(its, file) as writer, asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(run(writer, own)) == [*MESSAGES[:2], *pieces, MESSAGES[2]]
    if memory is not None:
        memory.close()


def _send_many(writer: WriterEnd, start: int) -> None:
    for number in range(start, start + 200):
        writer.send(StreamConsumed(number, 1))


@pytest.mark.parametrize("loop", LOOPS)
def test_many_threads_send_to_the_server(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run(writer: WriterEnd, end: socket.socket) -> list[int]:
        server = Server()
        await ServerEnd.open(end, server.take, server.lost.set)
        threads = [threading.Thread(target=_send_many, args=(writer, start)) for start in (0, 1_000, 2_000)]
        for thread in threads:
            thread.start()
        await server.until(600)
        for thread in threads:
            thread.join()
        writer.close()
        await server.lost.wait()
        return [message.number for message in server.received if isinstance(message, StreamConsumed)]

    own, its = socket_pair()
    with writer_end(its) as writer, asyncio.Runner(loop_factory=loop) as runner:
        numbers = runner.run(run(writer, own))
    for start in (0, 1_000, 2_000):
        assert [number for number in numbers if start <= number < start + 1_000] == list(range(start, start + 200))


@pytest.mark.parametrize("size", [1, 7, 4_096])
def test_a_frame_that_comes_in_parts_is_one_message(size: int) -> None:
    """A stream has no borders: the server's end is given bytes in parts of every size."""
    message, found = StreamConsumed(3, 10**6), list[object]()
    ours, theirs = socket_pair()
    with writer_end(theirs) as writer, ours:
        writer.send(message, message)
        writer.send(Stop())
        data = ours.recv(2**16)
    end = ServerEnd(found.extend, lambda: None)
    for start in range(0, len(data), size):
        end.data_received(data[start : start + size])
    assert found == [message, message, Stop()]


def test_an_end_without_anybody_there_is_lost_and_takes_what_is_sent() -> None:
    async def run(end: socket.socket) -> None:
        server = Server()
        channel = await ServerEnd.open(end, server.take, server.lost.set)
        for _ in range(3):
            channel.send(*MESSAGES)
            channel.send_piece(3, b"x")
            await asyncio.wait_for(server.lost.wait(), 10)
        channel.close()

    own, its = socket_pair()
    its.close()
    asyncio.run(run(own))


def test_a_frame_that_is_cut_short_is_no_message() -> None:
    own, its = socket_pair()
    with writer_end(its) as writer:
        own.sendall(struct.pack("!QIi", 7, 100, -1) + b"half")
        own.close()
        assert list(writer.messages()) == []


@pytest.mark.parametrize(
    "error", [None, BodyError("malformed", "it is cut short"), BodyError("no_room"), BodyError("mistake", "trace")]
)
def test_an_acknowledgement_says_all_that_a_response_needs(error: BodyError | None) -> None:
    request, alike = PendingRequest(7), PendingRequest(8)
    for pending in (request, alike):
        pending.add({Outcome.INSERTED: 5, Outcome.REJECTED: 1}, [Reject("http", 3, "why", b"raw", "json")])
        pending.rejects_left_out, pending.commit, pending.committed_events = 2, 9, 6
        pending.error, pending.failure = error, "the disk is full"
    found: list[object] = []
    own, its = socket_pair()
    with writer_end(its) as writer, own:
        writer.send(Acknowledged(grouped([request, alike])))
        ServerEnd(found.extend, lambda: None).data_received(own.recv(2**16))
    [acknowledged] = found
    assert isinstance(acknowledged, Acknowledged)
    [(acknowledgement, numbers)] = acknowledged.groups
    assert numbers == [7, 8]
    assert dict(acknowledgement.counts) == {int(Outcome.INSERTED): 5, int(Outcome.REJECTED): 1}
    assert (acknowledgement.rejects, acknowledgement.rejects_left_out) == ((ShownReject(3, "why", "raw"),), 2)
    assert (acknowledgement.commit, acknowledgement.committed_events) == (9, 6)
    assert (acknowledgement.error, acknowledgement.failure) == (error, "the disk is full")
