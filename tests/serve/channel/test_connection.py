"""Messages between the two processes come out as they went in, in their order."""

import socket
import threading
from collections.abc import Iterator

import pytest

from oncefold.commit import Reject
from oncefold.core.fold import Outcome
from oncefold.serve.channel.connection import Channel, Outbox, socket_pair
from oncefold.serve.channel.messages import (
    Acknowledged,
    BodyError,
    BodyFormat,
    ShownReject,
    SmallBody,
    StreamEnd,
    StreamPiece,
    StreamStart,
)
from oncefold.serve.writer.pending import PendingRequest, grouped
from tests.tools.waiting import until

MESSAGES = [
    SmallBody(1, BodyFormat(), b""),
    SmallBody(2, BodyFormat("csv", "gzip", ";", "till"), b"a;b\n"),
    StreamStart(3, BodyFormat("arrow")),
    StreamPiece(3, bytes(700_000)),
    StreamEnd(3, whole=False),
]


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    file, theirs = socket_pair()
    one, other = Channel(file), Channel(theirs.detach())
    yield one, other
    one.close()
    other.close()


def test_messages_come_out_as_they_went_in(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    sender = threading.Thread(target=lambda: (one.send(*MESSAGES[:2]), one.send(*MESSAGES[2:])))
    sender.start()
    batches = other.messages()
    assert [*next(batches), *next(batches)] == MESSAGES
    sender.join()


def test_many_threads_share_a_channel(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    threads = [
        threading.Thread(target=lambda start=start: [one.send(StreamEnd(start + n, whole=True)) for n in range(200)])
        for start in (0, 1_000, 2_000)
    ]
    for thread in threads:
        thread.start()
    batches = other.messages()
    numbers = [message.number for _ in range(600) for message in next(batches)]
    for thread in threads:
        thread.join()
    for start in (0, 1_000, 2_000):
        assert [number for number in numbers if start <= number < start + 1_000] == list(range(start, start + 200))
    one.close()
    assert next(batches, None) is None


def test_an_outbox_keeps_the_order_and_nobody_waiting(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    outbox = Outbox(one)
    pieces = [StreamPiece(number, bytes(100_000)) for number in range(100)]
    for piece in pieces:  # far more than a socket holds, and nobody receives
        outbox.put(piece, len(piece.data))
    found: list[StreamPiece] = []
    reader = threading.Thread(target=lambda: [found.extend(batch) for batch in other.messages()])
    reader.start()
    outbox.close()
    until(lambda: len(found) == len(pieces), "all to arrive")
    assert found == pieces
    one.close()
    reader.join()


def test_an_outbox_without_anybody_there_ends() -> None:
    file, theirs = socket_pair()
    theirs.shutdown(socket.SHUT_RDWR)
    theirs.close()
    channel = Channel(file)
    outbox = Outbox(channel)
    outbox.put(MESSAGES[0])
    outbox.close()
    channel.close()


@pytest.mark.parametrize(
    "error", [None, BodyError("malformed", "it is cut short"), BodyError("no_room"), BodyError("mistake", "trace")]
)
def test_an_acknowledgement_says_all_that_a_response_needs(
    ends: tuple[Channel, Channel], error: BodyError | None
) -> None:
    one, other = ends
    request, alike = PendingRequest(7), PendingRequest(8)
    for pending in (request, alike):
        pending.add({Outcome.INSERTED: 5, Outcome.REJECTED: 1}, [Reject("http", 3, "why", b"raw", "json")])
        pending.rejects_left_out, pending.commit, pending.committed_events = 2, 9, 6
        pending.error, pending.failure = error, "the disk is full"
    one.send(Acknowledged(grouped([request, alike])))
    [acknowledged] = next(other.messages())
    [(acknowledgement, numbers)] = acknowledged.groups
    assert numbers == [7, 8]
    assert dict(acknowledgement.counts) == {int(Outcome.INSERTED): 5, int(Outcome.REJECTED): 1}
    assert (acknowledgement.rejects, acknowledgement.rejects_left_out) == ((ShownReject(3, "why", "raw"),), 2)
    assert (acknowledgement.commit, acknowledgement.committed_events) == (9, 6)
    assert (acknowledgement.error, acknowledgement.failure) == (error, "the disk is full")
