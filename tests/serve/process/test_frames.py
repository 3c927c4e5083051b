"""Messages between the two processes come out as they went in, however their bytes are cut."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.commit import Reject
from oncefold.core.fold import Outcome
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.faults import Broken, Crowded, Malformed
from oncefold.serve.ingest.forms import Form
from oncefold.serve.ingest.pipe import Rest
from oncefold.serve.ingest.refusal import RETRY_SOON, Refusal, Refused
from oncefold.serve.process.frames import Channel, Frames, frame_of
from oncefold.serve.process.messages import Bodies, Settled, StreamBegins, StreamEnds

MESSAGES = [
    Bodies([(1, Form(), b""), (2, Form("csv", "gzip", ";", "till"), b"a;b\n")]),
    StreamBegins(3, Form("arrow"), bytes(70_000), 10**12),
    StreamBegins(4, Form(), b"{", None),
    StreamEnds(4, whole=False),
]


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=8))
def test_messages_survive_every_cut(sizes: list[int]) -> None:
    data = b"".join(map(frame_of, MESSAGES))
    frames, found, at, turn = Frames(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += frames.of(data[at : at + size])
        at, turn = at + size, turn + 1
    assert found == MESSAGES


def test_messages_survive_one_byte_at_a_time() -> None:
    small = [MESSAGES[0], *MESSAGES[2:]]
    frames = Frames()
    assert [message for byte in b"".join(map(frame_of, small)) for message in frames.of(bytes([byte]))] == small


def test_many_threads_share_a_channel() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel, other = Channel(ours), Channel(theirs)
        threads = [
            threading.Thread(target=lambda start=start: [channel.send(StreamEnds(start + n, True)) for n in range(200)])
            for start in (0, 1_000, 2_000)
        ]
        for thread in threads:
            thread.start()
        messages = other.messages()
        numbers = [next(messages).number for _ in range(600)]
        for thread in threads:
            thread.join()
        for start in (0, 1_000, 2_000):
            assert [number for number in numbers if start <= number < start + 1_000] == list(range(start, start + 200))
        ours.shutdown(socket.SHUT_RDWR)
        assert next(messages, None) is None


@pytest.mark.parametrize(
    "fault",
    [None, Malformed("it is cut short"), Crowded(), Refused(Refusal(408, "T", "D.", (RETRY_SOON,))), Broken("trace")],
)
def test_a_result_says_all_that_an_answer_needs(fault: Exception | None) -> None:
    given_one = Delivery(print, number=7, begun=True)
    given_one.counts = {Outcome.INSERTED: 5, Outcome.REJECTED: 1}
    given_one.rejects, given_one.rejects_left_out = [Reject("http", 3, "why", b"raw", "json")], 2
    given_one.commit, given_one.committed_events, given_one.fault = 9, 6, fault
    given_one.why_not, given_one.rest = "the disk is full", Rest(100, whole=True)
    [settled] = Frames().of(frame_of(Settled([(7, given_one.result())])))
    [(number, result)] = settled.results
    taken = Delivery(print)
    taken.take(result)
    assert number == 7
    assert (taken.counts, taken.rejects, taken.rejects_left_out) == (given_one.counts, given_one.rejects, 2)
    assert (taken.commit, taken.committed_events, taken.why_not) == (9, 6, "the disk is full")
    assert taken.rest == given_one.rest
    assert repr(taken.fault) == repr(fault)
    if isinstance(fault, Refused):
        assert isinstance(taken.fault, Refused)
        assert taken.fault.refusal == fault.refusal
