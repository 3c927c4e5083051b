"""Sample events fit their definition, and their totals are those of the plain reference."""

import pytest

from oncefold.core.decode import Decoder
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent, OncefoldError
from oncefold.core.fold import Node
from oncefold_lab.local.sample_events import SampleEvents
from tests.aws.whole.test_local import DEFINITION
from tests.tools import reference

DEFINITIONS = {
    "many trees": DEFINITION,
    "insert-only": """
        name = "plain"
        [event]
        key = "id"
        [rollups]
        only = []
        """,
    "key and level share a field": """
        name = "shared"
        [event]
        key = ["region", "day"]
        version = "v"
        delete = "gone"
        [rollups]
        a = ["region", "day"]
        b = ["day"]
        [measures]
        m = { sum = "m", scale = 18, round = "half-even" }
        """,
}


@pytest.mark.parametrize("text", DEFINITIONS.values(), ids=DEFINITIONS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_every_event_can_be_read_and_the_totals_are_those_of_the_reference(text: str, seed: int) -> None:
    pipeline = parse_toml(text)
    samples = SampleEvents(pipeline, 400, seed)
    lines = list(samples.lines())
    assert len(lines) == 400
    assert lines == list(SampleEvents(pipeline, 400, seed).lines())
    decoder = Decoder(pipeline)
    events = [decoder.json(line) for line in lines]
    reference.assert_equal(reference.totals(pipeline, events), dict(samples.totals()), pipeline)
    assert len(set(lines)) < len(lines), "some are duplicates"
    if pipeline.version is not None:
        assert len({(event.key, event.version) for event in events}) > len({event.key for event in events})
    if pipeline.delete is not None:
        assert any(event.content.deleted for event in events)


def test_a_definition_that_rejects_everything_is_refused() -> None:
    pipeline = parse_toml(DEFINITIONS["insert-only"].replace('key = "id"', 'key = ["id", "id.part"]'))
    with pytest.raises(InvalidEvent):
        Decoder(pipeline).json(b'{"id": {"part": "x"}}')
    with pytest.raises(OncefoldError, match="no sample event can be made for this definition"):
        SampleEvents(pipeline, 10, 0)


_ARRAYS = """
[rollups]
t = ["r", { each = "tags" }]
i = [{ each = "parts", field = "a.kind", missing = "-" }, { each = "parts", field = "n", missing = "-" }]
"""


@pytest.mark.parametrize("envelope", ["", 'envelope = "debezium"\nversion = "@lsn"', 'envelope = "dynamodb"'])
def test_keys_of_several_leaves_have_events(envelope: str) -> None:
    pipeline = parse_toml(f'name = "s"\n[event]\n{envelope}\nkey = "id"\n{_ARRAYS}')
    made = SampleEvents(pipeline, 300, 2)
    events = [Decoder(pipeline).json(line) for line in made.lines()]
    reference.assert_equal(reference.totals(pipeline, events), dict(made.totals()), pipeline)
    found = made.totals()
    for rollup in (0, 1):
        leaves = [total.count for node, total in found.items() if node.rollup == rollup and len(node.labels) == 2]
        assert sum(leaves) > found[Node(rollup)].count


_TREE = """
[rollups]
t = ["r", { field = "at", window = "1d", timezone = "Europe/Berlin" }]
[measures]
n = { sum = "n", scale = 2 }
"""
_OTHERS = {
    "debezium": 'envelope = "debezium"\nkey = "id"\nversion = ["@source.ts", "@source.lsn"]',
    "dynamodb": 'envelope = "dynamodb"\nkey = "id"\ntime = "@dynamodb.ApproximateCreationDateTime"',
    "cloudevents": 'envelope = "cloudevents"\nkey = "id"\nversion = { field = "@id", type = "ulid" }',
    "spelling": 'key = { first_of = ["id", "old"] }\ndecimal = ","\ntime = { field = "day", format = "%d.%m.%Y" }',
    **{
        kind: f'key = "id"\nversion = {{ field = "v", type = "{kind}" }}'
        for kind in ("decimal", "uuidv7", "lsn", "text")
    },
}


@pytest.mark.parametrize("event", _OTHERS.values(), ids=_OTHERS.keys())
def test_every_setting_of_records_has_events(event: str) -> None:
    pipeline = parse_toml(f'name = "s"\n[event]\n{event}\n{_TREE}')
    made = SampleEvents(pipeline, 200, 1)
    decoder = Decoder(pipeline)
    assert len({decoder.json(line).key for line in made.lines()}) > 100
    assert made.totals()[Node(0)].count > 100
