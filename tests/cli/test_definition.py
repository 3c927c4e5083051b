"""`oncefold init` and `oncefold check`, as a person uses them."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from oncefold.cli.definition import EXAMPLE, check, init
from oncefold.cli.guess import guess
from oncefold.cli.main import main
from oncefold.cli.meaning import meaning
from oncefold.core.definition import Delete, Level, Pipeline, Rollup, Time, Version
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, OncefoldError, SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import RECORD_BYTES
from oncefold.core.measures import Measure
from oncefold.generate import Tally, Workload, open_sink, plan
from oncefold.pipeline_file import load_pipeline

RISK = parse_toml(EXAMPLE)

EVENTS = [
    (
        '{"TradeID": "a", "Version": 3, "Value": 34624.51, "Timestamp": 1616413258.8997,'
        ' "Hierarchy": {"RiskType": "Delta", "TradeDesk": "FX/Spot", "Region": "AMER"}}'
    ),
    '{"TradeID": "b", "Version": 1, "Value": 1.505, "Hierarchy": {"RiskType": "PV", "TradeDesk": "x", "Region": "y"}}',
    "",
    "not an event",
    '{"TradeID": 7, "Version": 4, "Deleted": true}',
]


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "risk.toml"
    path.write_text(EXAMPLE)
    return path


def run(command: click.Command, *arguments: str | Path, stdin: bytes | None = None) -> Result:
    with on_stdin(stdin or b""):
        return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


@contextmanager
def on_stdin(data: bytes) -> Iterator[None]:
    """Let descriptor 0 give this meanwhile, as little as a pipe holds."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(reading)
        os.close(before)


def refused(command: click.Command, *arguments: str | Path, error: type[OncefoldError] = DefinitionError) -> str:
    with pytest.raises(error) as refusal:
        run(command, *arguments)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def lines(result: Result) -> list[str]:
    """The output's lines, runs of spaces made one."""
    return [" ".join(line.split()) for line in result.output.splitlines() if line.strip()]


# init


def test_init_writes_an_example_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(init)
    assert result.exit_code == 0
    assert "wrote pipeline.toml" in result.output
    assert "oncefold check pipeline.toml --sample EVENTS" in result.output
    assert load_pipeline("pipeline.toml") == RISK
    assert run(check, "pipeline.toml").exit_code == 0


def test_every_commented_setting_of_the_example_works() -> None:
    """Taking the # away from any commented setting gives a valid definition."""
    lines = EXAMPLE.splitlines()
    settings = {line: match[1] for line in lines if (match := re.match(r"# (\w+) = ", line))}
    assert len(settings) == 11
    for line, name in settings.items():
        kept = [other for other in lines if not other.startswith(f"{name} = ") or name == "risk"]
        text = "\n".join(kept).replace(line, line.removeprefix("# "))
        assert parse_toml(text) != RISK


def test_the_example_reads_what_generate_writes(tmp_path: Path, pipeline: Path) -> None:
    events = tmp_path / "events.jsonl"
    workload = Workload(count=200, deletes=0.1, modifications=0.2)
    tally = Tally(workload)
    with open_sink(workload, events, "jsonl") as sink:
        for block in plan(workload):
            sink.write(block)
            tally.add(block)
    result = run(check, pipeline, "--sample", events, "--rows", "1000")
    assert result.exit_code == 0
    assert "200 of the first 200 events" in result.output
    assert result.output.count("(delete)") > 5


def test_init_does_not_overwrite_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    assert refused(init, path) == f"{path} exists; name another file, or overwrite it with --force"
    assert path.read_text() == "precious"
    assert run(init, path, "--force").exit_code == 0
    assert load_pipeline(path) == RISK


def test_init_reports_why_it_cannot_write(tmp_path: Path) -> None:
    assert "cannot be written: No such file or directory" in refused(init, tmp_path / "nowhere" / "p.toml")


# init --from


def test_a_guess_from_nested_json(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("\n".join([EVENTS[0], EVENTS[1], EVENTS[0].replace('"a"', '"c"'), *EVENTS[2:]]))
    path = tmp_path / "guess.toml"
    assert run(init, path, "--from", events).exit_code == 0
    guessed = load_pipeline(path)
    field = FieldPath.parse
    assert (guessed.key, guessed.version, guessed.time) == (
        (field("TradeID"),),
        Version(field("Version")),
        Time(field("Timestamp")),
    )
    assert guessed.delete == Delete(field("Deleted"))
    assert guessed.measures == (Measure("Value", field("Value"), 3),)
    assert {str(level.field) for level in guessed.levels} == {
        "Hierarchy.RiskType",
        "Hierarchy.TradeDesk",
        "Hierarchy.Region",
    }
    result = run(check, path, "--sample", events)
    assert "4 of the first 5 events" in result.output


def test_a_guess_from_csv(tmp_path: Path) -> None:
    events = tmp_path / "orders.csv.gz"
    rows = [
        f"{n},{['north', 'south'][n % 2]},{n}.50,{'' if n % 3 else n},0.1234567890{n},2021-03-22 11:00:0{n}"
        for n in range(9)
    ]
    text = "order_id,shop.name,Count,fee,noise,updated_at\n" + "\n".join(rows)
    events.write_bytes(gzip.compress(text.encode()))
    guessed = parse_toml(guess(str(events)))
    field = FieldPath
    assert guessed == Pipeline(
        name="orders",
        key=(field(("order_id",)),),
        version=Version(field(("updated_at",)), "timestamp", "s"),
        rollups=(Rollup("tree", (Level(field(("shop.name",))),)),),
        measures=(
            Measure("Count_sum", field(("Count",)), 2),
            Measure("fee", field(("fee",)), 0, None, "zero"),
            Measure("noise", field(("noise",)), 8, "half-even"),
        ),
    )


@pytest.mark.parametrize(
    ("number", "unit"),
    [("1616413258", "s"), ("1616413258899", "ms"), ("1616413258899700", "us"), ("1616413258899700001", "ns")],
)
def test_a_guess_at_epoch_units(tmp_path: Path, number: str, unit: str) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(f'{{"id": 1, "ts": {number}}}\n')
    assert parse_toml(guess(str(events))).time == Time(FieldPath(("ts",)), unit)


@pytest.mark.parametrize("text", ["", "{}\n", '{"a": 1}\n{"a": 1}\n', "[1]\n", '{"\\ud800": 1}\n', '{"a":' * 900])
def test_without_anything_like_a_key_there_is_no_guess(tmp_path: Path, text: str) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(text)
    words = refused(init, tmp_path / "p.toml", "--from", events, error=SourceError)
    assert "looks like a key; write the commented example with: oncefold init" in words
    assert not (tmp_path / "p.toml").exists()


# check


def test_check_explains_a_definition(pipeline: Path) -> None:
    result = run(check, pipeline)
    assert result.exit_code == 0
    assert lines(result) == [
        f"{pipeline} is a valid pipeline.",
        "name risk",
        "key TradeID",
        (
            "version Version, a whole number; of each key the event with the greatest version counts, "
            "in any order of arrival"
        ),
        "deletes events whose Deleted is true",
        "time Timestamp, a time (RFC 3339 text, a date, or seconds since 1970); it shows how fresh the totals are",
        "rollups risk: (root) > Hierarchy.RiskType > Hierarchy.TradeDesk > Hierarchy.Region",
        "totals count: the live keys",
        "value: the sum of Value, 2 decimal places (more are rejected)",
        f"fingerprint {RISK.fingerprint}",
    ]


def test_the_text_for_every_setting() -> None:
    text = """
    name = "x"
    [event]
    key = ["a", "b.c"]
    version = { field = "v", type = "timestamp", unit = "us" }
    delete = { field = "op", equals = "D" }
    [rollups]
    all = []
    hours = [{ field = "at", window = "1h", unit = "ms", missing = "never" }, { field = "r", missing = "" }]
    [measures]
    fee = { sum = "f", scale = 4, round = "half-even", missing = "zero" }
    """
    assert meaning(parse_toml(text))[1:-1] == [
        ("key", "a and b.c, together"),
        (
            "version",
            (
                "v, a time (RFC 3339 text, a date, or microseconds since 1970); "
                "of each key the event with the greatest version counts, in any order of arrival"
            ),
        ),
        ("deletes", "events whose op is 'D'"),
        ("time", "none"),
        ("rollups", "all: (root)"),
        ("", "hours: (root) > at by 1h (milliseconds since 1970, 'never' if missing) > r ('' if missing)"),
        ("totals", "count: the live keys"),
        ("", "fee: the sum of f, 4 decimal places (rounded half to even), 0 if missing"),
    ]
    without = dict(
        meaning(parse_toml('name = "x"\n[event]\nkey = "k"\n[rollups]\nr = [{ field = "t", window = "1d" }]'))
    )
    assert without["version"].startswith("none: events are inserted and never corrected")
    assert (without["deletes"], without["time"], without["rollups"]) == ("none", "none", "r: (root) > t by 1d")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file; write a commented example with: oncefold init"),
        (EXAMPLE.replace('"risk"', "5").encode(), "name: 5 is not a name"),
        (b"name = \xff", "not UTF-8 (byte 7); save it as UTF-8 text"),
        (b"name =", "not valid TOML"),
    ],
)
def test_errors_name_the_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "p.toml"
    if content is not None:
        path.write_bytes(content)
    message = refused(check, path)
    assert message.startswith(f"{path}: ")
    assert words in message


def test_a_directory_is_no_pipeline_and_a_byte_order_mark_no_fault(tmp_path: Path) -> None:
    assert refused(check, tmp_path) == f"{tmp_path}: cannot be read: Is a directory; name a TOML file"
    path = tmp_path / "p.toml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.encode())
    assert load_pipeline(path) == load_pipeline(str(path)) == RISK


# check --sample

READ = [
    "line key version leaf measures time",
    "1 a 3 Delta/FX\\/Spot/AMER value 34624.51 2021-03-22T11:40:58.8997Z",
    "2 rejected field Value: '1.505' has more than 2 decimal places",
    "4 rejected not JSON: Expecting value at character 1",
    "5 7 4 (delete)",
]


def sampled(result: Result) -> list[str]:
    """The lines of the table and the verdict."""
    assert "─" not in result.output  # no frame where no one watches
    found = lines(result)
    return found[found.index("line key version leaf measures time") :]


def compressed(text: str, how: str) -> bytes:
    if how == ".gz":
        return gzip.compress(text.encode())
    if how == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(text.encode())
        return sink.getvalue().to_pybytes()
    return text.encode()


@pytest.mark.parametrize("how", ["", ".gz", ".zst"])
def test_a_sample_of_json_lines(tmp_path: Path, pipeline: Path, how: str) -> None:
    events = tmp_path / f"events.jsonl{how}"
    events.write_bytes(compressed("\n".join(EVENTS), how))
    result = run(check, pipeline, "--sample", events)
    assert result.exit_code == 0
    verdict = f"2 of the first 4 events of {events} can be read; 2 would be rejected, for the reasons shown."
    assert sampled(result) == [*READ, verdict]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_sample_of_stdin(pipeline: Path, newline: str) -> None:
    stdin = b"\xef\xbb\xbf" + newline.join([*EVENTS, ""]).encode()
    result = run(check, pipeline, "--sample", "-", "--rows", "2", stdin=stdin)
    verdict = "1 of the first 2 events of stdin can be read; 1 would be rejected, for the reasons shown."
    assert sampled(result) == [*READ[:3], verdict]


def test_a_sample_of_csv(tmp_path: Path, pipeline: Path) -> None:
    events = tmp_path / "events.csv"
    header = b"TradeID,Version,Value,Hierarchy.RiskType,Hierarchy.TradeDesk,Hierarchy.Region,Deleted\r\n"
    rows = [
        b'1,1,1.5,PV,"a ""quoted""\r\nname",,',
        b"2,1,x,PV,a,b,",
        b"",
        b"3,1,1",
        b"4,1,1,P\xff,a,b,",
        b"5,1,,,,,true",
    ]
    events.write_bytes(header + b"\r\n".join(rows))
    assert sampled(run(check, pipeline, "--sample", events)) == [
        "line key version leaf measures time",
        '2 1 1 PV/a "quoted"\\r\\nname/\\e value 1.50',
        "4 rejected field Value: 'x' is not a number",
        "6 rejected the row has 3 fields, the header 7",
        "7 rejected not UTF-8: byte 7 is 0xff",
        "8 5 1 (delete)",
        f"2 of the first 5 events of {events} can be read; 3 would be rejected, for the reasons shown.",
    ]


def test_the_format_of_a_sample_can_be_given(tmp_path: Path, pipeline: Path) -> None:
    events = tmp_path / "events.txt"
    events.write_text("TradeID;Version;Deleted\n1;2;true\n")
    result = run(check, pipeline, "--sample", events, "--format", "csv", "--delimiter", ";")
    assert sampled(result)[1] == "2 1 2 (delete)"
    words = refused(check, pipeline, "--sample", events, error=SourceError)
    assert "its name does not say which format it has; say --format" in words


@pytest.mark.parametrize("text", ["", "nonsense\n", "\n\n"])
def test_exit_status_1_if_no_event_was_readable(tmp_path: Path, pipeline: Path, text: str) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(text)
    result = run(check, pipeline, "--sample", events)
    assert result.exit_code == 1
    assert lines(result)[-1].startswith(
        f"The first event of {events} would be rejected" if text.strip() else f"{events} holds no events."
    )


def test_several_rollups_and_no_measures(tmp_path: Path) -> None:
    path, events = tmp_path / "p.toml", tmp_path / "e.jsonl"
    path.write_text(
        'name = "x"\n[event]\nkey = "k"\nversion = { field = "v", type = "timestamp" }\n'
        '[rollups]\nall = []\nplace = ["a", "b"]\n'
    )
    events.write_text('{"k": "1", "v": 1.5, "a": "x", "b": "y"}\n')
    found = sampled(run(check, path, "--sample", events))
    assert found[1:3] == ["1 1 1970-01-01T00:00:01.5Z all: (root)", "place: x/y"]


def test_events_cannot_steer_the_terminal(tmp_path: Path, pipeline: Path) -> None:
    events = tmp_path / "events.jsonl"
    event = {"TradeID": "\x1b[31mred\u202e", "Version": 1, "Value": 1}
    event["Hierarchy"] = {"RiskType": "[bold]b", "TradeDesk": "\x07", "Region": "\u200b"}  # type: ignore[assignment]
    events.write_text(json.dumps(event) + '\n{"TradeID": "a", "Version": "\\u001b[2J"}\n')
    output = run(check, pipeline, "--sample", events).output
    assert "\x1b" not in output
    assert r"\x1b[31mred\u202e" in output
    assert r"[bold]b/\x07/\u200b" in output
    assert r"\x1b[2J" in output


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jsonl", None, "there is no such file or directory"),
        ("e.parquet", b"PAR1", "it cannot be read as parquet"),
        ("e.jsonl", b"\x1f\x8b\x08\x00broken", "gzip"),
        ("e.jsonl", gzip.compress(b"x" * 10**6)[:500], "it ends in the middle of a gzip member"),
        ("e.jsonl", b"\x28\xb5\x2f\xfdbroken", "its zstd data is corrupt"),
        ("e.csv", b"TradeID,TradeID\n1,2\n", "it names 'TradeID' twice"),
        ("e.csv", b"\xff\n1\n", "is not a CSV header: it is not UTF-8"),
    ],
)
def test_samples_that_cannot_be_read(
    tmp_path: Path, pipeline: Path, name: str, content: bytes | None, words: str
) -> None:
    events = tmp_path / name
    if content is not None:
        events.write_bytes(content)
    message = refused(check, pipeline, "--sample", events, error=SourceError)
    assert message.startswith(f"{events}: ")
    assert words in message


def test_a_record_that_is_too_long_is_passed_over(tmp_path: Path, pipeline: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b'{"x": "' + b"x" * (RECORD_BYTES * 2) + b'"}\n' + EVENTS[4].encode() + b"\n")
    found = sampled(run(check, pipeline, "--sample", events))
    assert found[1:3] == ["1 rejected longer than 16,777,216 bytes", "2 7 4 (delete)"]


def test_a_long_csv_field_is_read_as_the_engine_reads_it(tmp_path: Path, pipeline: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("TradeID,Version,Deleted\n" + "x" * 200_000 + ",1,true\n2,1,true\n")
    found = sampled(run(check, pipeline, "--sample", events))
    assert found[1].startswith("2 rejected field TradeID: the key is longer than 2047 bytes")
    assert found[2] == "3 2 1 (delete)"


@pytest.mark.parametrize("command", [init, check])
def test_help_has_examples(command: click.Command) -> None:
    output = run(command, "--help").output
    assert "Examples:" in output
    assert f"oncefold {command.name} " in output


def test_the_commands_start_fast(tmp_path: Path, pipeline: Path) -> None:
    """Neither loads what only the engine needs."""
    events = tmp_path / "e.csv"
    events.write_text('TradeID,Version,Deleted\n"1",1,true\n')
    program = (
        "import sys; from oncefold.cli.definition import check\n"
        f"check([{str(pipeline)!r}, *sys.argv[1:]], standalone_mode=False)\n"
        "print([name for name in ('numba', 'pyarrow', 'numpy', 'pandas', 'rich') if name in sys.modules])"
    )

    def loaded(*arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]

    assert loaded() == "[]"
    assert "numba" not in loaded("--sample", str(events))


VERSIONED = [
    {
        "customer_id": f"c{n % 3}",
        "order_id": f"o{n % 7}",
        "rev": n // 7 + 1,
        "region": "EU" if n % 2 else "US",
        "sum": n,
    }
    for n in range(21)
]


def in_form(path: Path, form: str) -> Path:
    """The versioned orders in a file of this form."""
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(VERSIONED), path)
    elif form == "json":
        path.write_text(json.dumps(VERSIONED, indent=2))
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in VERSIONED))
    else:
        lines = [";".join(map(str, row.values())) for row in VERSIONED]
        path.write_text("\n".join([";".join(VERSIONED[0]), *lines]), "utf-16" if form == "csv" else "utf-8")
    return path


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet", "csv", "txt"])
def test_a_guess_from_any_format_finds_a_key_that_its_versions_repeat(tmp_path: Path, form: str) -> None:
    events, path = in_form(tmp_path / f"orders.{form}", form), tmp_path / "p.toml"
    options = ["--format", "csv", "--delimiter", ";"] if form == "txt" else []
    assert run(init, path, "--from", events, *options).exit_code == 0
    text = path.read_text()
    guessed = parse_toml(text)
    assert (guessed.key, guessed.version) == ((FieldPath(("order_id",)),), Version(FieldPath(("rev",))))
    assert "# - key order_id: named like a key; 14 of 21 come again, with other values of rev\n" in text
    assert "# - version rev: whole numbers under a name for versions\n" in text
    assert "# - measure sum: numbers of up to 0 decimal places\n" in text
    result = run(check, path, "--sample", events, "--rows", "30", *options)
    assert result.exit_code == 0, result.output
    assert lines(result)[-1] == f"21 of the first 21 events of {events} can be read."


def test_a_sample_says_which_columns_are_not_there(tmp_path: Path) -> None:
    events, path = in_form(tmp_path / "orders.csv", "csv"), tmp_path / "p.toml"
    path.write_text('name = "x"\n[event]\nkey = "order_id"\n[rollups]\nr = []\n[measures]\na = { sum = "summ" }\n')
    result = run(check, path, "--sample", events)
    assert result.exit_code == 1
    assert f"{events}: no column summ; did you mean sum?" in result.output


EU, US = ({"id": n, "region": region, "amount": "5.00"} for n, region in enumerate(("EU", "US"), 1))
DEBEZIUM = [
    {"before": None, "after": EU, "source": {"lsn": 100}, "op": "c", "ts_ms": 1619171446308},
    {"before": None, "after": US, "source": {"lsn": 101}, "op": "c", "ts_ms": 1619171446309},
    {"before": US, "after": None, "source": {"lsn": 102}, "op": "d", "ts_ms": 1619171446310},
    None,
]
STREAM = [
    {
        "eventName": "INSERT",
        "dynamodb": {
            "Keys": {"pk": {"S": f"o{n}"}},
            "SequenceNumber": f"44215845000000000174504390{n}",
            "NewImage": {"pk": {"S": f"o{n}"}, "shop": {"S": "N"}, "amount": {"N": "1.5"}},
        },
    }
    for n in range(10, 14)
]
CLOUD = [
    {"specversion": "1.0", "id": n, "time": "2024-01-01T00:00:00Z", "data": {"id": f"k{n}", "g": "x"}} for n in "12"
]


@pytest.mark.parametrize(
    ("records", "envelope", "key", "version"),
    [
        (DEBEZIUM, "debezium", "id", "@source.lsn"),
        ([{"payload": record} for record in DEBEZIUM if record], "debezium", "id", "@source.lsn"),
        (STREAM, "dynamodb", "pk", "@version"),
        (CLOUD, "cloudevents", "id", None),
    ],
)
def test_envelopes_are_recognised(
    tmp_path: Path, records: list[Any], envelope: str, key: str, version: str | None
) -> None:
    events, path = tmp_path / "e.jsonl", tmp_path / "p.toml"
    events.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert run(init, path, "--from", events).exit_code == 0
    guessed = load_pipeline(path)
    assert (guessed.envelope, guessed.key) == (envelope, (FieldPath((key,)),))
    assert version == (None if guessed.version is None else str(guessed.version.field))
    assert f"# - envelope {envelope}: every record has its fields" in path.read_text()
    assert run(check, path, "--sample", events).exit_code == 0


@pytest.mark.parametrize(("group", "name"), [(".", "a.csv"), (None, "b.csv")])
def test_decimal_commas_are_recognised(tmp_path: Path, group: str | None, name: str) -> None:
    events, path = tmp_path / name, tmp_path / "p.toml"
    amount = "1.234,50" if group else "1234,50"
    events.write_text(f"id;Ort;Betrag\nR1;Köln;{amount}\nR2;Köln;-5,00\nR3;Bonn;7\n", "utf-8")
    assert run(init, path, "--from", events).exit_code == 0
    guessed = load_pipeline(path)
    assert (guessed.decimal, guessed.group) == (",", group)
    assert [(measure.name, measure.scale) for measure in guessed.measures] == [("Betrag", 2)]
    result = run(check, path, "--sample", events)
    assert lines(result)[-1] == f"3 of the first 3 events of {events} can be read."
    assert "1234.50" in result.output


def test_a_guess_of_arrays_is_a_rollup_with_a_leaf_for_each_element(tmp_path: Path) -> None:
    events, path = tmp_path / "orders.jsonl", tmp_path / "p.toml"
    lines = [
        {"id": f"o{n}", "amount": "5.00", "region": "EU", "tags": ["red", "big"][: n % 3], "notes": [f"n{n}"],
         "items": [{"sku": "s1", "kind": "book", "price": 3}, {"sku": "s2", "kind": "book", "price": 4}]}
        for n in range(12)
    ]  # fmt: skip
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run(init, path, "--from", events).exit_code == 0
    assert "# - rollup tags: each element of the array tags; a key counts in several leaves of it" in path.read_text()
    items = [f'{{ each = "items", field = "{name}" }}' for name in ("kind", "sku")]
    assert (
        parse_toml(path.read_text()).rollups[1:]
        == parse_toml(
            f'name = "x"\n[event]\nkey = "id"\n[rollups]\ntags = [{{ each = "tags", missing = "(none)" }}]\n'
            f"items = [{', '.join(items)}]"
        ).rollups
    )
    explained = run(check, path, "--sample", events)
    assert explained.exit_code == 0
    words = " ".join(explained.output.split())
    assert "tags: (root) > each of tags ('(none)' if missing or empty)" in words
    assert "items: (root) > kind of each of items > sku of each of items" in words
    assert "a key counts once in each of its leaves and once in every node above them" in words
    assert "10 of the first 10 events" in words


def test_a_guess_of_cells_that_hold_the_text_of_an_array(tmp_path: Path) -> None:
    events = tmp_path / "orders.csv"
    events.write_text('id,amount,tags\n1,5,"[""red"",""big""]"\n2,7,[]\n')
    assert '{ each = "tags", missing = "(none)" }' in guess(str(events))


def test_what_only_the_engine_keeps_is_said_with_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.toml"
    measures = 'least = { min = "a" }\nmost = { max = "a" }\nwho = { distinct = "b" }\nearly = { first = "a" }\n'
    head = 'name = "orders"\n[event]\nkey = "id"\ntime = "at"\n[rollups]\nt = []\n[measures]\na = { sum = "a" }\n'
    path.write_text(head + measures + 'late = { last = "a" }\n')
    words = " ".join(run(check, path).output.split())
    assert "on AWS not least, most, who, early, late: a stack's functions keep sums, counts and averages" in words
    assert "oncefold run PIPELINE.toml kinesis://STREAM --store FILE" in words
    assert "the least a, 0 decimal places (more are rejected); kept by the engine alone" in words
    assert main(["aws", "template", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "cannot keep least (min), most (max), who (distinct), early (first), late (last)" in shown.err
    assert "`oncefold run PIPELINE.toml kinesis://STREAM --store FILE`" in shown.err
    path.write_text(head)
    assert "on AWS" not in run(check, path).output
    assert main(["aws", "template", str(path)]) == 0
