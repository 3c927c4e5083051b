"""Answers as rows and columns: one description from which JSON, JSON Lines, CSV and Arrow are made.

Each measure has a column of its own: `measure_` and its name, behind the prefix of what it belongs to, as in
`kept_measure_amount`. No other column begins so, whatever measures are called; in JSON measures are an object of their
own (`measures`, `kept_measures`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from oncefold.queries.changes.model import Change
from oncefold.queries.event_model import Conflicts, Explanation, History, RejectReasons, Rejects
from oncefold.queries.model import Answer, AsOfCommit, Cell, KeyValue, Series, Shape, Totals, Verification
from oncefold.queries.status_model import Status

Kind = Literal["int", "text", "texts", "bytes", "time", "decimal"]

MEASURE = "measure_"


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one kind; times are RFC 3339 texts, exact to the nanosecond, and None is null in every kind.

    Of `texts` each value is a tuple of texts: an array in JSON and Arrow, the JSON text of one in CSV.
    """

    name: str
    kind: Kind
    values: Sequence[Any]
    scale: int = 0
    group: str = ""
    """Of a measure: the object that holds it in JSON."""
    measure: str = ""
    cut: Sequence[bool] = ()
    """Of bytes: whether each is only a beginning."""


def columns_of(answer: Answer[Any]) -> list[Column]:
    """The columns of an answer."""
    for kind, columns in _COLUMNS.items():
        if isinstance(answer, kind):
            return list(columns(answer))
    raise TypeError(f"no rows are defined for {type(answer).__name__}")


def to_dicts(columns: Sequence[Column]) -> list[dict[str, Cell]]:
    """The rows, each a dictionary by column."""
    names = [column.name for column in columns]
    rows = zip(*(column.values for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _measures(
    shape: Shape, rows: Sequence[Mapping[str, KeyValue]], prefix: str = "", *, of_keys: bool = False
) -> Iterator[Column]:
    texts = shape.text_measures if of_keys else frozenset()
    for measure, scale in shape.scales.items():
        values = [row.get(measure) for row in rows]
        kind: Kind = "text" if measure in texts else "decimal"
        yield Column(f"{prefix}{MEASURE}{measure}", kind, values, scale, f"{prefix}measures", measure)


def _commit(answer: Answer[Any]) -> Iterator[Column]:
    """Which commit all rows are as of."""
    if isinstance(answer.as_of, AsOfCommit):
        yield Column("commit", "int", [answer.as_of.commit.number] * len(answer))


def _versions(answer: Answer[Any]) -> Column:
    """The versions: whole numbers, or times where the pipeline's versions are timestamps."""
    if answer.shape.version_type == "timestamp":
        return Column("version", "time", [row.version_text or None for row in answer])
    if answer.shape.version_type == "text":
        return Column("version", "text", [row.version_text or None for row in answer])
    return Column("version", "int", [row.version for row in answer])


def _totals(answer: Totals) -> Iterator[Column]:
    rows = answer.rows
    yield from _commit(answer)
    yield Column("rollup", "text", [answer.rollup] * len(rows))
    yield Column("path", "text", [row.path for row in rows])
    yield Column("depth", "int", [row.depth for row in rows])
    yield Column("label", "text", [row.label for row in rows])
    yield Column("count", "int", [row.count for row in rows])
    yield Column("children", "int", [row.children for row in rows])
    yield from _measures(answer.shape, [row.sums for row in rows])


def _change(answer: Change) -> Iterator[Column]:
    rows = answer.rows
    yield from _commit(answer)
    yield Column("rollup", "text", [row.rollup for row in rows])
    yield Column("path", "text", [row.path for row in rows])
    yield Column("count", "int", [row.count for row in rows])
    yield from _measures(answer.shape, [row.sums for row in rows])


def _series(answer: Series) -> Iterator[Column]:
    yield Column("commit", "int", [row.commit.number for row in answer])
    yield Column("time", "time", [row.commit.time_text for row in answer])
    yield Column("count", "int", [row.amounts.count for row in answer])
    yield from _measures(answer.shape, [row.amounts.sums for row in answer])


def _explanation(answer: Explanation) -> Iterator[Column]:
    yield from _commit(answer)
    yield Column("key", "text", [row.key for row in answer])
    yield _versions(answer)
    yield Column("leaf", "text", [row.leaf for row in answer])
    if answer.shape.has_several_leaves:
        yield Column("leaves", "texts", [row.leaves for row in answer])
    yield from _measures(answer.shape, [row.values for row in answer], of_keys=True)


def _history(answer: History) -> Iterator[Column]:
    yield Column("key", "text", [answer.key] * len(answer))
    yield Column("commit", "int", [row.commit.number for row in answer])
    yield Column("time", "time", [row.commit.time_text for row in answer])
    yield Column("outcome", "text", [row.outcome for row in answer])
    yield _versions(answer)
    yield Column("leaf", "text", [row.leaf for row in answer])
    yield from _measures(answer.shape, [row.values for row in answer], of_keys=True)


def _rejects(answer: Rejects) -> Iterator[Column]:
    rows, of_store = answer.rows, isinstance(answer.as_of, AsOfCommit)
    yield Column("id", "int" if of_store else "text", [row.id for row in rows])
    if of_store:
        yield Column("commit", "int", [row.commit.number if row.commit else None for row in rows])
    yield Column("time", "time", [row.time_text for row in rows])
    yield Column("source", "text", [row.source for row in rows])
    if not of_store:
        yield Column("sequence", "text", [row.sequence for row in rows])
    yield Column("position", "int", [row.position for row in rows])
    yield Column("unit", "text", [row.unit for row in rows])
    yield Column("reason", "text", [row.reason for row in rows])
    yield Column("raw", "bytes", [row.raw for row in rows], cut=[row.cut for row in rows])
    yield Column("size", "int", [row.size for row in rows])
    yield Column("format", "text", [row.format for row in rows])
    yield Column("context", "text", [row.context for row in rows])


def _reject_reasons(answer: RejectReasons) -> Iterator[Column]:
    yield Column("reason", "text", [row.reason for row in answer])
    yield Column("events", "int", [row.events for row in answer])
    yield Column("newest", "int", [row.newest for row in answer])
    yield Column("newest_commit", "int", [row.newest_commit for row in answer])


def _conflicts(answer: Conflicts) -> Iterator[Column]:
    rows = answer.rows
    if isinstance(answer.as_of, AsOfCommit):
        yield Column("id", "int", [row.id for row in rows])
        yield Column("commit", "int", [row.commit.number if row.commit else None for row in rows])
        yield Column("time", "time", [row.commit.time_text if row.commit else None for row in rows])
    yield Column("key", "text", [row.key for row in rows])
    yield _versions(answer)
    yield Column("kept_leaf", "text", [row.kept.leaf for row in rows])
    yield Column("dropped_leaf", "text", [row.dropped.leaf for row in rows])
    yield from _measures(answer.shape, [row.kept.values for row in rows], "kept_", of_keys=True)
    yield from _measures(answer.shape, [row.dropped.values for row in rows], "dropped_", of_keys=True)


def _verification(answer: Verification) -> Iterator[Column]:
    rows, shape = answer.rows, answer.shape
    pending = not isinstance(answer.as_of, AsOfCommit)
    yield from _commit(answer)
    yield Column("rollup", "text", [row.rollup for row in rows])
    yield Column("path", "text", [row.path for row in rows])
    yield Column("fault", "text", [row.fault for row in rows])
    yield Column("stored_count", "int", [None if row.stored is None else row.stored.count for row in rows])
    if pending:
        yield Column("pending_count", "int", [row.pending.count if row.pending else 0 for row in rows])
    yield Column("recomputed_count", "int", [row.recomputed.count for row in rows])
    yield from _measures(shape, [{} if row.stored is None else row.stored.sums for row in rows], "stored_")
    if pending:
        yield from _measures(shape, [{} if row.pending is None else row.pending.sums for row in rows], "pending_")
    yield from _measures(shape, [row.recomputed.sums for row in rows], "recomputed_")


def _status(answer: Status) -> Iterator[Column]:
    yield Column("source", "text", [row.source for row in answer])
    yield Column("kind", "text", [row.kind for row in answer])
    yield Column("commit", "int", [row.commit for row in answer])
    yield Column("offset", "int", [row.offset for row in answer])
    yield Column("file_bytes", "int", [row.file_bytes for row in answer])
    yield Column("read_bytes", "int", [row.read_bytes for row in answer])
    yield Column("lag_bytes", "int", [row.lag_bytes for row in answer])


_COLUMNS: Mapping[type[Answer[Any]], Callable[[Any], Iterator[Column]]] = {
    Totals: _totals,
    Change: _change,
    Series: _series,
    Explanation: _explanation,
    History: _history,
    Rejects: _rejects,
    RejectReasons: _reject_reasons,
    Conflicts: _conflicts,
    Verification: _verification,
    Status: _status,
}


_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_VERSION = "version"
"""A whole number that JSON readers might turn into a float; it is written as text, as sums are."""
_UTF8_TAIL = 3
"""Bytes of a character that a cut can leave at an end."""


def pretty_json(document: Mapping[str, Any]) -> bytes:
    """A document for people to read too, ended by a line feed; sums are exact text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=exact).encode() + b"\n"


def compact_json(document: Mapping[str, Any]) -> bytes:
    """A document in as few bytes as it takes; sums are exact text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=exact).encode()


def exact(value: object) -> str:
    """A sum as JSON has it: all its digits as text."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not for JSON")
    return f"{value:f}"


def json_rows(answer: Answer[Any], *without: str) -> Iterator[dict[str, Any]]:
    """The rows as JSON has them: sums, versions and times as exact text, measures as an object of their own."""
    columns = [column for column in columns_of(answer) if column.name not in without]
    plain = [item for column in columns if not column.group for item in _plain(column)]
    measures = {
        group: [(column.measure, _texts_of(column)) for column in columns if column.group == group]
        for group in _groups_of(answer)
    }
    names = [name for name, _ in plain]
    for index in range(len(answer)):
        row = dict(zip(names, (values[index] for _, values in plain), strict=True))
        for group, members in measures.items():
            row[group] = {measure: values[index] for measure, values in members}
        yield row


def _groups_of(answer: Answer[Any]) -> tuple[str, ...]:
    """The objects that hold measures; they are there for a pipeline without measures, too."""
    if isinstance(answer, Conflicts):
        return ("kept_measures", "dropped_measures")
    return () if isinstance(answer, Rejects | RejectReasons | Status | Verification) else ("measures",)


def _plain(column: Column) -> Iterator[tuple[str, Sequence[Any]]]:
    if column.kind == "bytes":
        pairs = [_as_text(value, cut=cut) for value, cut in zip(column.values, column.cut, strict=True)]
        yield column.name, [text for text, _ in pairs]
        yield f"{column.name}_base64", [encoded for _, encoded in pairs]
    elif column.kind == "decimal" or column.name == _VERSION:
        yield column.name, _texts_of(column)
    else:
        yield column.name, column.values


def _texts_of(column: Column) -> Sequence[str | None]:
    if column.kind == "decimal":
        return [None if value is None else f"{value:f}" for value in column.values]
    return [None if value is None else str(value) for value in column.values]


def _as_text(raw: bytes, *, cut: bool) -> tuple[str | None, str | None]:
    """Bytes as text where they are text, but for a character that was cut at the end; else in base 64."""
    for end in range(len(raw), len(raw) - _UTF8_TAIL - 1 if cut else len(raw) - 1, -1):
        try:
            return raw[: max(end, 0)].decode(), None
        except UnicodeDecodeError:
            continue
    return None, base64.b64encode(raw).decode()


def json_lines(answer: Answer[Any]) -> Iterator[bytes]:
    """The rows as JSON Lines."""
    for row in json_rows(answer):
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def csv_lines(answer: Answer[Any], *, safe: bool = False) -> Iterator[bytes]:
    """The rows as RFC 4180 has them but for its line ends: null is nothing, an empty text is a pair of quotes.

    With `safe` a text that a spreadsheet would compute as a formula has an apostrophe before it.
    """
    columns = [
        (name, [_no_formula(value) for value in values] if safe and column.kind in _TEXTS else values)
        for column in columns_of(answer)
        for name, values in _plain(column)
    ]
    lines: Iterable[tuple[str, ...]] = zip(
        *([_cell(name), *map(_cell, values)] for name, values in columns), strict=True
    )
    return ((",".join(line) + "\n").encode() for line in lines)


_TEXTS: Final = frozenset({"text", "bytes"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these the cells begin that a spreadsheet computes."""


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else str(value)
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
