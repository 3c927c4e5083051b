"""Processor time per event for the shapes in which common writers give the same events, against plain JSON Lines."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, Final

from bench.definition import PIPELINE
from bench.probes.common import read_through, sources
from bench.totals import digest_of_store
from oncefold.engine.session import Session

Lines = list[bytes]

_VALUE: Final = re.compile(rb'"Value": (\d+)\.(\d\d)')
_CONFLICT_EACH, _REJECT_EACH = 25, 20
_REPEAT: Final = 3
"""Runs of each shape, all shapes in turn; the fastest counts."""


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


def _conflicting(lines: Lines) -> Lines:
    """Now and then the event before once more, under its version with another value."""
    pairs = zip([lines[0], *lines], lines, strict=False)
    return [
        _VALUE.sub(rb'"Value": 1\1.\2', before) if number % _CONFLICT_EACH == 1 else line
        for number, (before, line) in enumerate(pairs)
    ]


def _broken(lines: Lines) -> Lines:
    return [
        _VALUE.sub(rb'"Value": "none"', line) if number % _REJECT_EACH == 0 else line
        for number, line in enumerate(lines)
    ]


def _csv(quoting: int) -> Callable[[Lines], Lines]:
    def rows(lines: Lines) -> Iterator[bytes]:
        names = ["TradeID", "Value", "Version", "Timestamp", "RiskType", "Region", "TradeDesk"]
        text = io.StringIO()
        writer = csv.writer(text, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
        writer.writerow([f"Hierarchy.{name}" if name in names[4:] else name for name in names])
        for line in lines:
            record = json.loads(line, parse_float=_Text, parse_int=_Text)
            record.update(record.pop("Hierarchy"))
            writer.writerow([record[name] for name in names])
        yield from (row.encode() for row in text.getvalue().splitlines(keepends=True))

    return lambda lines: list(rows(lines))


SHAPES: Final[dict[str, tuple[str, Callable[[Lines], Lines]]]] = {
    "plain": ("jsonl", lambda lines: lines),
    r"a label with `\u00c9` (Python, PHP)": ("jsonl", _replaced(rb'"AMER"', rb'"AM\\u00c9R"')),
    r"`\/` in every key (PHP)": ("jsonl", _replaced(rb'"TradeID": "', rb'"TradeID": "t\\/')),
    r"`\u0026` in a label (Go)": ("jsonl", _replaced(rb'"EMEA"', rb'"E\\u0026A"')),
    "numbers with exponents (Java, JavaScript)": ("jsonl", lambda lines: [
        _VALUE.sub(rb'"Value": \1\2E-2', line) for line in lines
    ]),
    "another order of fields, no blanks": ("jsonl", _reversed),
    "1 kB records": ("jsonl", _replaced(rb"\}\n", rb', "note": "' + b"n" * 800 + b'"}\n')),
    "4 % conflicts": ("jsonl", _conflicting),
    "5 % rejects": ("jsonl", _broken),
    "CSV": ("csv", _csv(csv.QUOTE_MINIMAL)),
    "CSV, every cell quoted (spreadsheets)": ("csv", _csv(csv.QUOTE_ALL)),
}  # fmt: skip
"""By what is unusual: the format, and how plain lines become such ones."""


def measure(files: list[str], store: str) -> dict[str, Any]:
    """The processor time of a run of each shape; the store is that of the plain one."""
    (file,) = files
    lines = Path(file).read_bytes().splitlines(keepends=True)
    times = dict.fromkeys(SHAPES, float("inf"))
    with TemporaryDirectory(dir=Path(store).parent) as folder:
        for name, (form, shaped) in SHAPES.items():
            (Path(folder) / f"{_number(name)}.{form}").write_bytes(b"".join(shaped(lines)))
        for run in range(_REPEAT):
            for name, (form, _) in SHAPES.items():
                path = f"{folder}/{_number(name)}.{form}"
                read_through(path)
                kept = name == "plain" and run == _REPEAT - 1
                times[name] = min(times[name], _seconds(path, store if kept else f"{folder}/{_number(name)}-{run}.db"))
    return {
        "events": len(lines),
        "seconds": times["plain"],
        "shapes": {name: seconds / len(lines) * 1e9 for name, seconds in times.items()},
        "sha256": digest_of_store(store),
    }


def _number(name: str) -> int:
    return list(SHAPES).index(name)


def _seconds(file: str, store: str) -> float:
    began = process_time()
    with Session.open(store, PIPELINE) as session:
        session.run(sources(file, session.positions).blocks())
    return process_time() - began
