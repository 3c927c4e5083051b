"""The time of the shapes in which common writers give events, and of bad streams, against plain JSON Lines."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from bench.definition import PIPELINE, TEXT
from bench.probes.common import read_through, sources
from bench.totals import digest_of_store
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.engine.session import Session

Lines = list[bytes]

_VALUE: Final = re.compile(rb'"Value": (\d+)\.(\d\d)')
_REGION: Final = re.compile(rb'"Region": "(\w+)"')
_CONFLICT_EACH, _REJECT_EACH, _CONFLICTING_KEYS, _MEASURES = 25, 20, 1_000, 10
_REPEAT, _FEW = 3, 10_000
"""Runs of each shape, all shapes in turn; the fastest counts. So few events run once."""


def _replaced(pattern: bytes, by: bytes) -> Callable[[Lines], Lines]:
    return lambda lines: [re.sub(pattern, by, line) for line in lines]


def _reversed(lines: Lines) -> Lines:
    """Another order of fields, and no blanks, as Go's encoder and PHP's leave them out."""
    found = (json.loads(line, parse_float=_Text, parse_int=_Text) for line in lines)
    return [_compact(dict(reversed(record.items()))) for record in found]


class _Text(str):
    """A number as it was written."""

    __slots__ = ()


def _compact(record: dict[str, Any]) -> bytes:
    members = (
        f'"{name}":{value if isinstance(value, _Text) else json.dumps(value, separators=(",", ":"))}'
        for name, value in record.items()
    )
    return ("{" + ",".join(members) + "}\n").encode()


def _conflicting(each: int) -> Callable[[Lines], Lines]:
    """One event of so many is the event before once more, under its version with another value."""

    def shaped(lines: Lines) -> Lines:
        pairs = zip([lines[0], *lines], lines, strict=False)
        return [
            _VALUE.sub(rb'"Value": 1\1.\2', before) if number % each == 1 else line
            for number, (before, line) in enumerate(pairs)
        ]

    return shaped


def _all_conflicting(lines: Lines) -> Lines:
    """Few keys, each with one version and ever other values."""
    return [
        _VALUE.sub(rb'"Value": %d.%02d' % (number * 7_919 % 1_000_003, number % 100), lines[number % _CONFLICTING_KEYS])
        for number in range(len(lines))
    ]


def _broken(pattern: bytes, by: bytes, each: int = 1) -> Callable[[Lines], Lines]:
    """One event of so many with a fault."""
    return lambda lines: [
        re.sub(pattern, by, line) if number % each == 0 else line for number, line in enumerate(lines)
    ]


def _cut(lines: Lines) -> Lines:
    """Lines that break off, each somewhere else."""
    return [line[: 20 + number * 31 % (len(line) - 22)] + b"\n" for number, line in enumerate(lines)]


def _many_measures(lines: Lines) -> Lines:
    more = b"".join(b', "V%d": %d.%d5' % (number, number * 137, number) for number in range(1, _MEASURES))
    return [line.replace(b"}\n", more + b"}\n") for line in lines]


def _csv(quoting: int, region: str = "{}") -> Callable[[Lines], Lines]:
    """As CSV; the region is put into a text that may need quotes."""

    def rows(lines: Lines) -> Iterator[bytes]:
        names = ["TradeID", "Value", "Version", "Timestamp", "RiskType", "Region", "TradeDesk"]
        text = io.StringIO()
        writer = csv.writer(text, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
        writer.writerow([f"Hierarchy.{name}" if name in names[4:] else name for name in names])
        for line in lines:
            record = json.loads(line, parse_float=_Text, parse_int=_Text)
            record.update(record.pop("Hierarchy"))
            record["Region"] = region.format(record["Region"])
            writer.writerow([record[name] for name in names])
        yield from (row.encode() for row in text.getvalue().splitlines(keepends=True))

    return lambda lines: list(rows(lines))


@dataclass(frozen=True, slots=True)
class Shape:
    """A form of the events."""

    form: str
    shaped: Callable[[Lines], Lines]
    """Makes it of plain lines."""
    pipeline: Pipeline = PIPELINE


_TEN: Final = parse_toml(
    TEXT + "".join(f'v{number} = {{ sum = "V{number}", scale = 2 }}\n' for number in range(1, _MEASURES))
)
_HOURS: Final = parse_toml(TEXT.replace('"Hierarchy.Region"]', '{ field = "Timestamp", window = "1h" }]'))
_NO_NUMBER: Final = (rb'"Value": [\d.]+', b'"Value": "none"')

SHAPES: Final[dict[str, Shape]] = {
    "plain": Shape("jsonl", lambda lines: lines),
    r"Python: a label with `\u00c9`": Shape("jsonl", _replaced(rb'"AMER"', rb'"AM\\u00C9R"')),
    r"PHP: `\/` in every key": Shape("jsonl", _replaced(rb'"TradeID": "', rb'"TradeID": "t\\/')),
    r"Go: `\u0026` in a label": Shape("jsonl", _replaced(rb'"EMEA"', rb'"E\\u0026A"')),
    "Java, JavaScript: numbers with exponents": Shape("jsonl", lambda lines: [
        _VALUE.sub(rb'"Value": \1\2E-2', line) for line in lines
    ]),
    "Go, JavaScript: no blanks, another order": Shape("jsonl", _reversed),
    "numbers in quotes": Shape("jsonl", lambda lines: [_VALUE.sub(rb'"Value": "\1.\2"', line) for line in lines]),
    "letters beyond ASCII, one line not UTF-8": Shape("jsonl", lambda lines: [
        *(_REGION.sub("\"Region\": \"\\1é\"".encode(), line) for line in lines[:-1]), b"\xff" + lines[-1]
    ]),
    "1 kB records": Shape("jsonl", _replaced(rb"\}\n", rb', "note": "' + b"n" * 800 + b'"}\n')),
    "ten measures": Shape("jsonl", _many_measures, _TEN),
    "a level of hours": Shape("jsonl", lambda lines: lines, _HOURS),
    "CSV": Shape("csv", _csv(csv.QUOTE_MINIMAL)),
    "spreadsheets: CSV, every cell quoted": Shape("csv", _csv(csv.QUOTE_ALL)),
    "spreadsheets: CSV, commas in quotes": Shape("csv", _csv(csv.QUOTE_MINIMAL, "{}, all of it")),
    "spreadsheets: CSV, doubled quotes": Shape("csv", _csv(csv.QUOTE_MINIMAL, '{} 5" pipes')),
    "4 % conflicts": Shape("jsonl", _conflicting(_CONFLICT_EACH)),
    "a third in conflict": Shape("jsonl", _conflicting(3)),
    "all in conflict": Shape("jsonl", _all_conflicting),
    "5 % rejects: no number": Shape("jsonl", _broken(*_NO_NUMBER, _REJECT_EACH)),
    "5 % rejects: no JSON": Shape("jsonl", _broken(rb"\}\}\n", b"}\n", _REJECT_EACH)),
    "all rejects: no number": Shape("jsonl", _broken(*_NO_NUMBER)),
    "all rejects: no number, each another": Shape("jsonl", lambda lines: [
        _VALUE.sub(rb'"Value": "\1,\2"', line) for line in lines
    ]),
    "all rejects: more decimals than the scale": Shape("jsonl", lambda lines: [
        _VALUE.sub(rb'"Value": \1.1\g<2>1', line) for line in lines
    ]),
    "all rejects: a field is missing": Shape("jsonl", _broken(rb'"Value": [\d.]+, ', b"")),
    "all rejects: a time in another form": Shape(
        "jsonl", _broken(rb'"Timestamp": (\d{7})(\d\d)\d*', b'"Timestamp": "22.03.2021 11:\\2", "Seconds": \\1\\2')
    ),
    "all rejects: no JSON": Shape("jsonl", _broken(rb"\}\}\n", b"}\n")),
    "all rejects: lines cut anywhere": Shape("jsonl", _cut),
    "all rejects: not UTF-8": Shape("jsonl", _broken(rb'"Region": "', b'"Region": "\xc9')),
}  # fmt: skip
"""By what is unusual."""


def measure(files: list[str], store: str) -> dict[str, Any]:
    """The processor time, and the rate, of a run of each shape; the store is that of the plain one."""
    (file,) = files
    lines = Path(file).read_bytes().splitlines(keepends=True)
    least = dict.fromkeys(SHAPES, (float("inf"), float("inf")))
    with TemporaryDirectory(dir=Path(store).parent) as folder:
        for number, shape in enumerate(SHAPES.values()):
            (Path(folder) / f"{number}.{shape.form}").write_bytes(b"".join(shape.shaped(lines)))
        repeat = _REPEAT if len(lines) > _FEW else 1
        for run in range(repeat):
            for number, (name, shape) in enumerate(SHAPES.items()):
                path = f"{folder}/{number}.{shape.form}"
                read_through(path)
                kept = name == "plain" and run == repeat - 1
                taken = _seconds(path, store if kept else f"{folder}/{number}-{run}.db", shape.pipeline)
                least[name] = tuple(map(min, least[name], taken))  # type: ignore[assignment]
    return {
        "events": len(lines),
        "seconds": least["plain"][1],
        "shapes": {name: cpu / len(lines) * 1e9 for name, (cpu, _) in least.items()},
        "rates": {name: len(lines) / elapsed for name, (_, elapsed) in least.items()},
        "sha256": digest_of_store(store),
    }


def _seconds(file: str, store: str, pipeline: Pipeline) -> tuple[float, float]:
    """(processor time, elapsed) of a run into a fresh store."""
    began, at = process_time(), perf_counter()
    with Session.open(store, pipeline) as session:
        session.run(sources(file, session.positions, pipeline).blocks())
    return process_time() - began, perf_counter() - at
