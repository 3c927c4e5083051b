"""Aggregated records are read as their format says; another implementation of it is the oracle."""

import aws_kinesis_agg.aggregator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.aws.aggregated import MAGIC, is_aggregated, user_records
from oncefold.core.errors import InvalidEvent
from tests.aws.aggregating import aggregated, field, number, sealed, varint

USER_RECORDS = st.lists(
    st.tuples(st.text(min_size=1, max_size=20), st.none() | st.integers(0, 2**128 - 1), st.binary(max_size=400)),
    min_size=1,
    max_size=20,
)


@given(USER_RECORDS)
def test_what_another_library_put_together_is_taken_apart(records: list[tuple[str, int | None, bytes]]) -> None:
    aggregator = aws_kinesis_agg.aggregator.RecordAggregator()
    for key, hash_key, data in records:
        aggregator.add_user_record(key, data, None if hash_key is None else str(hash_key))
    _, _, whole = aggregator.clear_and_get().get_contents()
    assert is_aggregated(whole)
    assert user_records(whole) == [data for _, _, data in records]


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_the_documented_form(data: list[bytes]) -> None:
    assert user_records(aggregated(*data)) == data


def test_other_fields_are_passed_over_and_the_last_of_a_field_counts() -> None:
    tag = field(4, field(1, b"k") + field(2, b"v"))
    fixed = varint(9 << 3 | 1) + bytes(8) + varint(10 << 3 | 5) + bytes(4)
    record = field(3, b"first") + number(1, 2**64 - 1) + number(2, 7) + tag + fixed + field(3, b"last")
    message = field(2, b"0") + field(3, record) + number(77, 5) + field(1, b"key behind the records")
    assert user_records(sealed(message)) == [b"last"]


def test_a_plain_record_is_its_own_only_one() -> None:
    for data in (b"", b"{}", MAGIC[:3], b"\n" + MAGIC):
        assert not is_aggregated(data)
        assert user_records(data) == [data]


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_changed_byte_is_found(content: bytes, data: st.DataObject) -> None:
    whole = bytearray(aggregated(content))
    at = data.draw(st.integers(len(MAGIC), len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidEvent, match="checksum is wrong"):
        user_records(bytes(whole))


@pytest.mark.parametrize("length", range(len(MAGIC), len(MAGIC) + 16))
def test_a_record_too_short_for_its_checksum(length: int) -> None:
    with pytest.raises(InvalidEvent, match="checksum is wrong"):
        user_records(aggregated(b"x")[:length])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x1a", "a number goes on beyond its message"),
        (b"\x1a\x05ab", "a field goes on beyond its message"),
        (b"\x1a\x02\x1a\x05", "a field goes on beyond its message"),
        (b"\x1a" + b"\xff" * 10 + b"\x01", "more than ten bytes"),
        (b"\x1b", "the wire type 3"),
        (b"\x02\x00", "the number 0"),
        (number(3, 1), "its records are no messages"),
        (field(3, number(3, 1)), "data are no bytes"),
        (field(3, number(1, 0)), "a record has no data"),
        (b"\x19" + bytes(7), "a field goes on beyond its message"),
    ],
)
def test_a_message_that_is_none_is_refused_whole(message: bytes, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=f"message cannot be read: .*{reason}"):
        user_records(sealed(field(3, number(1, 0) + field(3, b"whole")) + message))


@given(st.binary(max_size=60))
def test_any_message_is_read_or_refused(message: bytes) -> None:
    try:
        found = user_records(sealed(message))
    except InvalidEvent:
        return
    assert all(data in message for data in found)
