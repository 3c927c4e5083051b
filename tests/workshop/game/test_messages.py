"""Messages by the rules of the workshop's generator, and those of other definitions."""

import json
from collections import Counter
from itertools import chain

import pytest

from oncefold.core.decode import Decoder
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Event
from oncefold_lab.search.workload import Send
from oncefold_lab.world.scheduler import START
from oncefold_workshop.game.generator import WORKSHOP, OwnSource, WorkshopSource
from oncefold_workshop.game.rules import Mode, Round

EASY = Round(1, Mode.EASY, 0.0, 4_000)
HARD = Round(2, Mode.HARD, 60.0, 4_000)


def lines(sends: tuple[Send, ...]) -> list[bytes]:
    return [line.data for send in sends for line in send.lines]


def events(sends: tuple[Send, ...]) -> list[Event]:
    return [line.event for send in sends for line in send.lines if line.event is not None]


def test_a_message_is_the_workshops() -> None:
    sends = WorkshopSource(1).sends(EASY)
    message = json.loads(lines(sends)[0])
    assert list(message) == ["TradeID", "Value", "Version", "Timestamp", "Hierarchy"]
    assert list(message["Hierarchy"]) == ["RiskType", "Region", "TradeDesk"]
    assert 0 <= message["Value"] <= 100_000
    assert message["Timestamp"] == START + sends[0].at


def test_events_are_what_the_decoder_reads() -> None:
    for send in WorkshopSource(1).sends(HARD):
        for line in send.lines:
            read = Decoder(WORKSHOP).json(line.data)
            assert line.event is not None
            assert (read.key, read.version, read.content) == (line.event.key, line.event.version, line.event.content)


def test_in_easy_mode_every_message_is_a_new_trade() -> None:
    found = events(WorkshopSource(1).sends(EASY))
    assert len({event.key for event in found}) == len(found) == 4_000
    assert {label for event in found for label in event.content.labels or ()} == {
        "PV", "Delta", "FXSpot", "FXOptions", "EMEA", "APAC", "AMER",
    }  # fmt: skip


def test_in_hard_mode_five_of_forty_are_duplicates_and_three_percent_modifications() -> None:
    source = WorkshopSource(1)
    known = {event.key for event in events(source.sends(EASY))}
    sends = source.sends(HARD)
    assert all(len({*lines((send,))}) == 35 and len(send.lines) == 40 for send in sends)
    fresh = events(tuple(Send(send.at, tuple({line.data: (k, (line,)) for k, (line,) in send.records}.values()))
                         for send in sends))  # fmt: skip
    changed = [event for event in fresh if event.key in known or event.version != 2]
    assert 0.02 < len(changed) / len(fresh) < 0.04
    assert any(event.version % 2 for event in changed)
    assert any(event.version == 4 for event in changed)


def test_a_version_of_a_trade_has_one_content() -> None:
    source = WorkshopSource(3)
    contents: dict[tuple[str, int], set[object]] = {}
    for event in chain(*(events(source.sends(Round(n, Mode.HARD, 60.0 * n, 2_000))) for n in range(5))):
        contents.setdefault((event.key, event.version), set()).add(event.content)
    assert all(len(found) == 1 for found in contents.values())


OWN = """
name = "orders"
[event]
key = ["shop", "order"]
version = { field = "at", type = "timestamp", unit = "ms" }
time = "seen"
delete = { field = "state", equals = "gone" }
[rollups]
place = ["country.name", { field = "seen", window = "1h" }]
all = []
[measures]
paid = { sum = "paid", scale = 2 }
items = { sum = "items", scale = 0 }
"""


def test_messages_of_another_definition_are_events_of_it() -> None:
    source = OwnSource(1, parse_toml(OWN))
    found = events(source.sends(EASY)) + events(source.sends(HARD))
    versions = Counter(event.key for event in found if event.content.labels is not None)
    assert len(found) == 8_000
    assert max(versions.values()) > 1
    assert any(event.content.deleted for event in found)


def test_a_definition_without_versions_gets_no_modifications() -> None:
    source = OwnSource(1, parse_toml('name = "x"\n[event]\nkey = "id"\n[rollups]\nr = ["a"]'))
    source.sends(EASY)
    assert len({(event.key, event.content) for event in events(source.sends(HARD))}) == 3_500


def test_fields_within_fields_are_refused_in_words() -> None:
    source = OwnSource(1, parse_toml('name = "x"\n[event]\nkey = "a"\n[rollups]\nr = ["a.b"]'))
    with pytest.raises(OncefoldError, match="lies within another field"):
        source.sends(EASY)
