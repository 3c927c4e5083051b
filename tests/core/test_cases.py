"""Inputs after public reports (tests/data/cases) whose meaning a definition can now say: the right values."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from oncefold.core.decimals import format_decimal
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.event import Event
from oncefold.core.fold import Node, Stored, fold, net
from oncefold.core.timestamps import format_timestamp
from oncefold.core.versions import write_version

CASES = Path(__file__).parents[1] / "data" / "cases"


def pipeline_of(name: str) -> Pipeline:
    return parse_toml((CASES / name).read_text())


def lines(name: str) -> list[bytes]:
    return (CASES / name).read_bytes().splitlines()


def read(pipeline: Pipeline, records: list[bytes]) -> Iterator[Event | str]:
    """The events of the records, and the reasons of those that are none."""
    decoder = Decoder(pipeline)
    for record in records:
        try:
            yield from decoder.json(record).each()
        except IgnoredRecord:
            yield "ignored"
        except InvalidEvent as error:
            yield str(error)


def totals(pipeline: Pipeline, records: list[bytes]) -> dict[tuple[str, ...], tuple[int, str]]:
    """Count and first sum of every node of the first rollup."""
    states: dict[str, Stored] = {}
    for event in read(pipeline, records):
        if isinstance(event, Event):
            states[event.key] = fold(states.get(event.key), event)[1]
    found = net(pipeline, ((None, state) for state in states.values()))
    scale = pipeline.measures[0].scale
    return {
        node.labels: (total.count, format_decimal(total.sums[0], scale))
        for node, total in found.items()
        if node == Node(0, node.labels) and total.count
    }


def test_debezium_envelopes() -> None:
    pipeline, records = pipeline_of("dbz/right.toml"), lines("dbz/ev.jsonl")
    assert totals(pipeline, records) == {(): (1, "10.00"), ("EU",): (1, "10.00")}
    assert totals(pipeline, records[::-1]) == totals(pipeline, records)
    assert list(read(pipeline, records))[3] == "ignored"
    wrapped = [b'{"schema":{"type":"struct"},"payload":' + record + b"}" for record in records]
    assert totals(pipeline, wrapped) == totals(pipeline, records)


def test_dynamodb_stream_records() -> None:
    pipeline = pipeline_of("ddbstream/right.toml")
    assert totals(pipeline, lines("ddbstream/ev.jsonl")) == {}
    assert totals(pipeline, lines("ddbstream/ev.jsonl")[::-1]) == {}
    assert totals(pipeline, lines("ddbstream/tie.jsonl")) == {(): (1, "40.00"), ("N",): (1, "40.00")}
    versions = [event.version for event in read(pipeline, lines("ddbstream/ev.jsonl")) if isinstance(event, Event)]
    assert versions[0] == 4421584500000000017450439091


def test_a_list_of_versions() -> None:
    assert totals(pipeline_of("versions/mx2.toml"), lines("versions/mx.jsonl"))[()] == (1, "25.00")
    assert totals(pipeline_of("versions/mx2.toml"), lines("versions/mx.jsonl")[::-1])[()] == (1, "25.00")


def test_hybrid_clocks() -> None:
    pipeline = pipeline_of("versions/crdb_right.toml")
    found = [event for event in read(pipeline, lines("versions/crdb.jsonl")) if isinstance(event, Event)]
    assert pipeline.version is not None
    assert write_version(pipeline.version, found[1].version) == "1629813621680097993.0000000001"
    assert totals(pipeline, lines("versions/crdb.jsonl"))[()] == (2, "25.00")


def test_a_decimal_comma() -> None:
    decoder = Decoder(pipeline_of("csvde/right.toml"))
    text = (CASES / "csvde" / "a.csv").read_text(encoding="utf-8-sig")
    header, *rows = csv.reader(text.splitlines(keepends=True), delimiter=";")
    assert [decoder.csv(header, row).content.measures for row in rows] == [(123_450,), (-500,)]


def test_a_named_text_means_missing() -> None:
    pipeline = pipeline_of("toast/right.toml")
    assert totals(pipeline, lines("toast/ev.jsonl")) == {(): (2, "14.00"), ("(unknown)",): (2, "14.00")}
    enveloped = parse_toml(
        (CASES / "toast" / "p.toml").read_text().replace("[event]", '[event]\nenvelope = "debezium"')
    )
    records = [b'{"op":"u","before":null,"after":' + line + b"}" for line in lines("toast/ev.jsonl")]
    assert "REPLICA IDENTITY FULL" in str(list(read(enveloped, records))[1])


def test_days_of_a_zone() -> None:
    labels = [
        event.content.labels for event in read(pipeline_of("window/tz.toml"), lines("window/ev.jsonl"))
        if isinstance(event, Event)
    ]  # fmt: skip
    assert labels == [
        ("2024-03-31", "2024-03-25"),
        ("2024-03-31", "2024-03-25"),
        ("2024-04-01", "2024-03-25"),
        ("1970-01-01", "1969-12-29"),
        ("1970-01-01", "1969-12-29"),
    ]


REFUSED = {"k03", "k15", "k19", "k20", "k21", "k22", "k25", "k26", "k32", "k36", "k39", "k41", "k42", "k43",
           "k44", "k45", "k47", "k49"}  # fmt: skip
"""No time, no day, finer than a nanosecond, in two readings, or in another unit."""


def test_spellings_of_times() -> None:
    found = dict(
        zip([f"k{i:02d}" for i in range(50)], read(pipeline_of("times/p.toml"), lines("times/ev.jsonl")), strict=True)
    )
    assert {name for name, event in found.items() if isinstance(event, str)} == REFUSED
    assert 'it looks like ms: write unit = "ms"' in str(found["k32"])
    same = {name: format_timestamp(event.version) for name, event in found.items() if isinstance(event, Event)}
    assert Counter(same.values())["2021-03-22T11:00:58Z"] == 10
    assert same["k08"] == same["k09"] == "2021-03-22T10:00:58Z"
    assert same["k29"] == "2021-03-01T00:00:00Z"


@pytest.mark.parametrize("line", lines("versions/tv.jsonl"))
def test_text_versions_name_the_type_that_reads_them(line: bytes) -> None:
    (event,) = read(pipeline_of("versions/tv.toml"), [line])
    if isinstance(event, str):
        assert 'type = "' in event or "out of range" in event


def test_tags() -> None:
    pipeline, records = pipeline_of("tags/right.toml"), lines("tags/ev.jsonl")
    assert totals(pipeline, records) == {(): (1, "5.00"), ("big",): (1, "5.00"), ("red",): (1, "5.00")}
