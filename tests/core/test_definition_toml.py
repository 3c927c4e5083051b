"""The definition file: written and read back, and every error names the file, the position and the remedy."""

import tomllib

import pytest
from hypothesis import given, settings

from oncefold.core.definition import Delete, Level, Pipeline, Rollup, Time, Version
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import from_dict, parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.measures import Measure
from oncefold.core.windows import Window
from tests.core.strategies import pipelines
from tests.tools.sizes import examples

WORKSHOP = """
name = "risk"

[event]
key = "TradeID"
version = "Version"
time = "Timestamp"

[rollups]
risk = ["Hierarchy.RiskType", "Hierarchy.TradeDesk", "Hierarchy.Region"]

[measures]
value = { sum = "Value", scale = 2 }
"""


def path(text: str) -> FieldPath:
    return FieldPath.parse(text)


def test_the_workshops_definition() -> None:
    levels = tuple(Level(path(f"Hierarchy.{name}")) for name in ("RiskType", "TradeDesk", "Region"))
    assert parse_toml(WORKSHOP) == Pipeline(
        name="risk",
        key=(path("TradeID"),),
        version=Version(path("Version")),
        time=Time(path("Timestamp")),
        rollups=(Rollup("risk", levels),),
        measures=(Measure("value", path("Value"), 2),),
    )


def test_every_setting() -> None:
    text = """
    name = "all"
    [event]
    key = ["order.id", '"line.no"']
    version = { field = "at", type = "timestamp", unit = "ms" }
    time = { field = "seen", unit = "us" }
    delete = { field = "op", equals = "D" }
    [rollups]
    root = []
    place = [{ field = "region", missing = "(none)" }, "shop"]
    time = [{ field = "at", window = "1h", unit = "ms" }, { field = "at", window = "15m", unit = "ms", missing = "" }]
    [measures]
    amount = { sum = "amount", scale = 4, round = "half-even", missing = "zero" }
    pieces = { sum = "n" }
    """
    at = path("at")
    assert parse_toml(text) == Pipeline(
        name="all",
        key=(path("order.id"), FieldPath(("line.no",))),
        version=Version(at, "timestamp", "ms"),
        time=Time(path("seen"), "us"),
        delete=Delete(path("op"), "D"),
        rollups=(
            Rollup("root", ()),
            Rollup("place", (Level(path("region"), missing="(none)"), Level(path("shop")))),
            Rollup("time", (Level(at, Window(1, "h"), "ms"), Level(at, Window(15, "m"), "ms", ""))),
        ),
        measures=(
            Measure("amount", path("amount"), 4, "half-even", "zero"),
            Measure("pieces", path("n"), 0),
        ),
    )


@pytest.mark.parametrize(("written", "meant"), [("true", "true"), ("false", "false"), ("1", "1"), ('"x"', "x")])
def test_equals_is_a_text_however_it_is_written(written: str, meant: str) -> None:
    text = f'name = "x"\n[event]\nkey = "k"\ndelete = {{ field = "d", equals = {written} }}\n[rollups]\nr = []\n'
    assert parse_toml(text).delete == Delete(path("d"), meant)


@given(pipelines())
@settings(max_examples=examples(200))
def test_written_and_read_back(pipeline: Pipeline) -> None:
    text = to_toml(pipeline)
    again = parse_toml(text)
    assert again == pipeline
    assert to_toml(again) == text
    assert again.fingerprint == pipeline.fingerprint
    assert from_dict(tomllib.loads(text)) == pipeline


@given(pipelines())
def test_levels_of_rollups_are_at_their_index(pipeline: Pipeline) -> None:
    assert len(set(pipeline.levels)) == len(pipeline.levels)
    for index, (rollup, indexes) in enumerate(zip(pipeline.rollups, pipeline.rollup_levels, strict=True)):
        assert tuple(pipeline.levels[place] for place in indexes) == rollup.levels
        assert pipeline.rollup_index(rollup.name) == index
    with pytest.raises(KeyError):
        pipeline.rollup_index("no such rollup")


def changed(old: str, new: str) -> str:
    assert WORKSHOP.count(old) == 1
    return WORKSHOP.replace(old, new)


KEY, RISK, VALUE = 'key = "TradeID"', WORKSHOP.split("\n")[9], 'value = { sum = "Value", scale = 2 }'

ERRORS = [
    # What TOML itself refuses.
    ("name = ", "not valid TOML: Invalid value (at end of document); correct the text there"),
    ('name = "a"\nname = "b"', "not valid TOML: Cannot overwrite a value"),
    ("a = " + "[" * 5000, "not valid TOML: nested too deeply"),
    ("a = " + "1" * 5000, "not valid TOML: Exceeds the limit"),
    # The top level.
    (changed('name = "risk"', ""), 'name is missing; write name = "my-pipeline" at the top'),
    (
        changed('"risk"', '"my risk"'),
        "name: 'my risk' is not a name; use a letter, then letters, digits, - or _ (up to",
    ),
    (changed('"risk"', '"r' + "i" * 64 + '"'), "is not a name; use a letter, then letters, digits, - or _ (up to 64)"),
    (changed('"risk"', "7"), "name: 7 is not a name; use a letter"),
    (changed("[event]", "[evnt]"), 'the table [event] is missing; write a table [event] with at least key = "FIELD"'),
    (
        changed("[rollups]", "[rolups]"),
        "the table [rollups] is missing; write a table [rollups] with at least one tree",
    ),
    (changed("[measures]", "[mesures]"), "mesures: no such setting; did you mean measures?"),
    (WORKSHOP + "[zzz]\n", "zzz: no such setting; known here: event, fields, keep_events, measures, name, rollups"),
    ('event = 5\nname = "x"\n', "event is not a table; write [event] on a line of its own"),
    ('name = "x"\n[event]\nkey = "k"\n[rollups]\n', "[rollups]: no rollup is defined; add one, such as by_region"),
    # The table event.
    (changed(KEY, ""), '[event]: key is missing; write key = "FIELD", or key = ["FIELD", "FIELD"] for several'),
    (changed(KEY, "key = []"), "[event] key: the list is empty; name at least one field"),
    (
        changed(KEY, "key = 5"),
        '[event] key: 5 is not a field; write its name or dotted path, such as "Hierarchy.Region"',
    ),
    (changed(KEY, 'key = ["a", { field = "b" }]'), "[event] key: {'field': 'b'} is not a field; write its name"),
    (
        changed(KEY, 'key = "a..b"'),
        "[event] key: 'a..b' is not a field path: a name is missing at character 3; write nam",
    ),
    (changed('version = "V', 'vrsion = "V'), "[event] vrsion: no such setting; did you mean version?"),
    (changed('"Version"', "true"), "[event] version.field: True is not a field; write its name or dotted path"),
    (changed('"Version"', '{ type = "integer" }'), '[event] version: field is missing; write { field = "NAME", ... }'),
    (
        changed('"Version"', '{ field = "v", type = "float" }'),
        "[event] version.type: 'float' is not one of its values; use one of integer, timestamp",
    ),
    (
        changed('"Version"', '{ field = "v", unit = "ms" }'),
        '[event] version.unit: an integer version has no unit; drop it, or write type = "timestamp"',
    ),
    (
        changed('"Version"', '{ field = "v", type = "timestamp", unit = "min" }'),
        "[event] version.unit: 'min' is not one of its values; use one of s, ms, us, ns",
    ),
    (changed('"Version"', '{ field = "v", typ = "timestamp" }'), "version.typ: no such setting; did you mean type?"),
    (
        changed('"Timestamp"', '{ field = "t", unit = [] }'),
        "[event] time.unit: [] is not one of its values; use one of s",
    ),
    (
        changed('"Timestamp"', '{ field = "t", window = "1h" }'),
        "[event] time.window: no such setting; known here: field",
    ),
    (changed(KEY, KEY + '\ndelete = { equals = "D" }'), "[event] delete: field is missing; write { field"),
    (
        changed(KEY, KEY + '\ndelete = { field = "d", equals = 1.5 }'),
        "[event] delete.equals: 1.5 is not a text or a whole number; write, for example, equals",
    ),
    (
        changed(KEY, KEY + '\ndelete = { field = "d", equal = "D" }'),
        "delete.equal: no such setting; did you mean equals?",
    ),
    # The table rollups.
    (changed(RISK, 'risk = "Region"'), "[rollups] risk: 'Region' is not a list of levels; write risk = [\"FIELD\""),
    (changed(RISK, '"my risk" = []'), "[rollups] my risk: not a name; use a letter, then letters, digits"),
    (changed(RISK, "Count = []"), "[rollups] Count: this name is taken by a column of the results; choose another"),
    (changed(RISK, 'risk = ["a", "b", "a"]'), "[rollups] risk: a level occurs twice; name each level once"),
    (changed(RISK, "risk = [5]"), "[rollups] risk.field: 5 is not a field; write its name or dotted path"),
    (changed(RISK, 'risk = [{ window = "1h" }]'), '[rollups] risk: field is missing; write { field = "NAME", ... }'),
    (
        changed(RISK, 'risk = [{ field = "t", window = "1x" }]'),
        "[rollups] risk.window: '1x' is not a window; write a length such as 15m, 1h, 1d, 1w, 1mo or 1y; for example",
    ),
    (
        changed(RISK, 'risk = [{ field = "t", window = 60 }]'),
        "[rollups] risk.window: '60' is not a window; write a length",
    ),
    (
        changed(RISK, 'risk = [{ field = "t", window = "5mo" }]'),
        "risk.window: '5mo': a window of months must divide a year",
    ),
    (
        changed(RISK, 'risk = [{ field = "t", unit = "ms" }]'),
        '[rollups] risk.unit: only a time window has a unit; drop it, or write window = "1h"',
    ),
    (
        changed(RISK, 'risk = [{ field = "t", missing = 0 }]'),
        '[rollups] risk.missing: 0 is not a label; write, for example, missing = "(none)"',
    ),
    (
        changed(RISK, f'risk = [{{ field = "t", missing = "{"x" * 1024}" }}]'),
        "[rollups] risk.missing: the label is longer than 1023 bytes",
    ),
    (
        changed(RISK, 'risk = [{ field = "t", mising = "" }]'),
        "[rollups] risk.mising: no such setting; did you mean missing",
    ),
    # The table measures.
    (
        changed(VALUE, 'value = "Value"'),
        "[measures] value: 'Value' is not a measure; write value = { sum = \"FIELD\", scale",
    ),
    (
        changed(VALUE, "value = { scale = 2 }"),
        '[measures] value: sum is missing; write value = { sum = "FIELD", scale = 2 }',
    ),
    (changed(VALUE, "value = { sum = 5 }"), "[measures] value.sum: 5 is not a field; write its name"),
    (changed(VALUE, 'count = { sum = "Value" }'), "[measures] count: this name is taken by a column of the results"),
    (changed(VALUE, '1st = { sum = "Value" }'), "[measures] 1st: not a name; use a letter, then letters"),
    *[
        (
            changed("scale = 2", f"scale = {scale}"),
            f"[measures] value.scale: {shown} is not a number of decimal places; write a whole number from 0 to 18",
        )
        for scale, shown in [("-1", "-1"), ("19", "19"), ("2.0", "2.0"), ("true", "True"), ('"2"', "'2'")]
    ],
    (
        changed("scale = 2", 'round = "up"'),
        "[measures] value.round: 'up' is not one of its values; use one of half-even",
    ),
    (
        changed("scale = 2", "missing = 0"),
        "[measures] value.missing: 0 is not one of its values; use one of reject, zero",
    ),
    (
        changed(VALUE, f'{VALUE}\nVALUE = {{ sum = "v" }}'),
        "[measures] VALUE: differs from value only in upper and lower case; choose another name",
    ),
    (changed(RISK, f"{RISK}\nRisk = []"), "[rollups] Risk: differs from risk only in upper and lower case; choose"),
    (changed("scale = 2", "scal = 2"), "[measures] value.scal: no such setting; did you mean scale?"),
]


@pytest.mark.parametrize(("text", "words"), ERRORS, ids=[words[:60] for _, words in ERRORS])
def test_errors_name_the_file_the_setting_and_the_remedy(text: str, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        parse_toml(text, "risk.toml")
    message = str(error.value)
    assert message.startswith("risk.toml: ")
    assert words in message
    assert "; " in message
    assert ":: " not in message
    assert "\n" not in message
