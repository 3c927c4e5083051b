"""What a notebook and the interactive interpreter show of an answer: one line, and a short table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from oncefold.queries.changes.model import Change
from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
from oncefold.queries.model import AsOfCommit, Cell, SearchResult, Series, Totals, Verification
from oncefold.queries.render import formatting
from oncefold.queries.render.rows import MEASURE, columns_of
from oncefold.queries.status_model import StoreStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold.queries.model import Answer
    from oncefold.queries.render.rows import Column

MOST_ROWS = 20
"""Rows of a table in a notebook."""
_LONGEST = 80
_NUMBERS = frozenset({"int", "decimal"})
_RIGHT = ' style="text-align: right"'


def line(answer: Answer[Any] | SearchResult) -> str:
    """An answer in one line: its kind, what it is about, how much it holds, and as of when."""
    return f"<{type(answer).__name__} {', '.join([*_facts(answer), _as_of(answer)])}>"


def _facts(answer: Answer[Any] | SearchResult) -> list[str]:  # noqa: PLR0911 - one for each kind of answer
    """What is said of an answer."""
    many = formatting.many
    match answer:
        case Totals() | Series():
            kind = "node" if isinstance(answer, Totals) else "point"
            return [f"{answer.rollup} {formatting.node(_path(answer))}", many(len(answer), kind)]
        case Change():
            return [answer.reset or many(len(answer), "changed node")]
        case Explanation():
            part = "" if answer.complete else f"{len(answer):,} of "
            return [f"{answer.rollup} {formatting.node(answer.path)}", part + many(answer.count, "key")]
        case History():
            return [formatting.printable(answer.key), many(len(answer), "arrival")]
        case Rejects() | Conflicts():
            noun = "reject" if isinstance(answer, Rejects) else "conflict"
            return [many(len(answer), noun) + (f" of {answer.total:,}" if len(answer) < answer.total else "")]
        case Verification():
            verdict = "exact" if answer.exact else many(len(answer), "wrong node")
            return [verdict, many(answer.nodes, "node"), many(answer.keys, "key")]
        case StoreStatus():
            return [
                answer.pipeline,
                many(answer.events, "event"),
                f"{answer.live:,} live of {many(answer.keys, 'key')}",
            ]
        case SearchResult():
            return [many(len(answer.nodes), "node"), many(len(answer.keys), "key")]
    return [answer.shape.pipeline, many(len(answer), "row")]


def _path(answer: Totals | Series) -> str:
    return answer.node.path if isinstance(answer, Totals) else answer.path


def _as_of(answer: Answer[Any] | SearchResult) -> str:
    if isinstance(answer.as_of, AsOfCommit):
        return f"commit {answer.as_of.commit.number}"
    return f"{answer.as_of.stack} at {answer.as_of.time_text}"


def html(answer: Answer[Any]) -> str:
    """The first rows as a table, under the line; every text is escaped."""
    columns = [column for column in columns_of(answer) if not _is_said(answer, column)]
    heads = "".join(f"<th{_side(column)}>{escape(column.name.removeprefix(MEASURE))}</th>" for column in columns)
    shown = min(len(answer), MOST_ROWS)
    body = "".join(f"<tr>{''.join(_cell(column, index) for column in columns)}</tr>" for index in range(shown))
    left = len(answer) - shown
    more = f"<p>and {formatting.many(left, 'more row')}</p>" if left else ""
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>" if shown else ""
    return f"<div><p>{escape(line(answer)[1:-1])}</p>{table}{more}</div>"


def _is_said(answer: Answer[Any], column: Column) -> bool:
    """Whether the line above the table says it, the same for all rows, or other columns do."""
    if isinstance(answer, Totals):
        return column.name in {"commit", "rollup", "depth", "label"}
    return column.name == "commit" and isinstance(answer, Explanation | Verification)


def _side(column: Column) -> str:
    return _RIGHT if column.kind in _NUMBERS else ""


def _cell(column: Column, index: int) -> str:
    return f"<td{_side(column)}>{escape(_text(column.name, column.values, index))}</td>"


def _text(name: str, values: Sequence[Cell], index: int) -> str:
    value = values[index]
    if value is None:
        return ""
    if isinstance(value, bytes):
        return formatting.piece(value, _LONGEST)
    if isinstance(value, tuple):
        return ", ".join(map(formatting.node, value))
    if isinstance(value, str):
        return formatting.node(value) if name == "path" else formatting.printable(value)
    return str(value) if name in {"version", "commit", "id"} else formatting.number(value)
