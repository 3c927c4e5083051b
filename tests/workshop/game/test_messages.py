"""Messages by the rules of the workshop's generator, and those of other definitions."""

import json
from collections import Counter

import pytest

from oncefold.core import leafset
from oncefold.core.decode import Decoder
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Event
from oncefold.pipeline_file import parse_pipeline
from oncefold_lab.search.workload import Send
from oncefold_lab.world.scheduler import START
from oncefold_workshop.game.generator import WORKSHOP, OwnSource, WorkshopSource
from oncefold_workshop.game.rules import Mode, Round
from tests.tools.sizes import full_only

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


def test_in_hard_mode_five_of_forty_are_duplicates_behind_the_others_and_three_percent_modifications() -> None:
    sends = WorkshopSource(1).sends(HARD)
    for send in sends:
        texts = lines((send,))
        assert len(texts) == 40
        assert len({*texts}) == 35
        assert {*texts[35:]} <= {*texts[:35]}
    fresh = events(tuple(Send(send.at, send.records[:35]) for send in sends))
    first = {event.key: event for event in reversed(fresh)}
    changed = [event for event in fresh if first[event.key] is not event]
    assert 0.02 < len(changed) / len(fresh) < 0.04


def test_a_trade_at_version_0_gets_version_1_and_any_other_an_older_one_with_a_content_of_its_own() -> None:
    source = WorkshopSource(1)
    older = moved = 0
    for number in range(1, 8):
        newest: dict[str, Event] = {}
        for send in source.sends(Round(number, Mode.HARD, 60.0 * number, 4_000)):
            for event in events((Send(send.at, send.records[:35]),)):
                before = newest.get(event.key)
                wanted = 0 if before is None else 1 if before.version == 0 else 0
                assert event.version == wanted
                if before is None or event.version > before.version:
                    newest[event.key] = event
                older += before is not None and event.version < before.version
                moved += before is not None and event.content.labels != before.content.labels
    assert older > 5
    assert moved > 300, "eleven of twelve go to another leaf"


def test_a_trades_versions_have_partition_keys_of_their_own() -> None:
    keys: dict[str, set[str]] = {}
    for send in WorkshopSource(1).sends(HARD):
        for key, (line,) in send.records:
            assert line.event is not None
            keys.setdefault(line.event.key, set()).add(key)
    assert max(map(len, keys.values())) > 1


def test_every_round_has_trades_of_its_own() -> None:
    source = WorkshopSource(3)
    keys = [{event.key for event in events(source.sends(Round(n, Mode.HARD, 60.0 * n, 2_000)))} for n in range(3)]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]


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
kinds = [{ each = "lines", field = "kind" }, { each = "lines", field = "size", missing = "-" }]
[measures]
paid = { sum = "paid", scale = 2 }
items = { sum = "items", scale = 0 }
"""


@full_only("3 s")
def test_messages_of_another_definition_are_events_of_it() -> None:
    source = OwnSource(1, parse_toml(OWN))
    found = events(source.sends(EASY)) + events(source.sends(HARD))
    versions = Counter(event.key for event in found if event.content.labels is not None)
    assert len(found) == 8_000
    assert max(versions.values()) > 1
    assert any(event.content.deleted for event in found)
    leaves = [leafset.unpack(event.content.labels[2]) for event in found if event.content.labels is not None]
    assert {len(kinds) for kinds in leaves} == {1, 2, 3}


def test_a_definition_without_versions_gets_no_modifications() -> None:
    source = OwnSource(1, parse_toml('name = "x"\n[event]\nkey = "id"\n[rollups]\nr = ["a"]'))
    source.sends(EASY)
    assert len({(event.key, event.content) for event in events(source.sends(HARD))}) == 3_500


def test_fields_within_fields_are_refused_in_words() -> None:
    source = OwnSource(1, parse_toml('name = "x"\n[event]\nkey = "a"\n[rollups]\nr = ["a.b"]'))
    with pytest.raises(OncefoldError, match="lies within another field"):
        source.sends(EASY)


def test_an_expression_is_refused_in_words() -> None:
    text = 'name = "x"\n[event]\nkey = "a"\n[rollups]\nr = ["b"]\n[measures]\nm = { sum = "a * 2", scale = 0 }'
    with pytest.raises(OncefoldError, match="is an expression"):
        OwnSource(1, parse_pipeline(text)).sends(EASY)
