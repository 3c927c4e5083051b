"""A route of queries as one declaration: what it takes, how it is answered, in which forms, and its OpenAPI text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from oncefold.queries.model import Answer, SearchResult
from oncefold.queries.render.arrow import arrow_stream
from oncefold.queries.render.text import csv_lines, json_lines
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers.parameters import Parameter, Problem, shown

_MOST_RANGES = 64


@dataclass(frozen=True, slots=True)
class Form:
    """One form: its name in `form=`, its media type, and how rows are written in it."""

    name: str
    media_type: str
    content_type: str
    write: Callable[[Answer[Any]], Iterable[bytes]] | None = None
    """None for JSON documents, which hold more than rows."""


JSON = Form("json", "application/json", "application/json")
JSON_LINES = Form("jsonl", "application/x-ndjson", "application/x-ndjson", json_lines)
CSV = Form("csv", "text/csv", "text/csv; charset=utf-8; header=present", csv_lines)
ARROW = Form(
    "arrow",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.stream",
    lambda answer: [arrow_stream(answer)],
)
ROWS = (JSON, JSON_LINES, CSV, ARROW)
"""The forms of answers that are rows."""
ONLY_JSON = (JSON,)


def named(name: str) -> Form:
    """The form with this name, which is one."""
    return next(form for form in ROWS if form.name == name)


def accepted(accept: str, offered: Sequence[Form]) -> Form:
    """The offered form that an Accept header likes best, the first of equals. Raises Problem 406 if it likes none."""
    if not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")[:_MOST_RANGES]]
    liked = [(_liking(form, ranges), -index) for index, form in enumerate(offered)]
    (best, index) = max(liked)
    if best <= 0:
        known = ", ".join(form.media_type for form in offered)
        raise Problem(406, f"Accept is {shown(accept)}, and this answer comes as {known}; ask for one of these")
    return offered[-index]


def _range(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_type, _quality(value.strip())
    return media_type, 1.0


def _quality(text: str) -> float:
    whole, _, fraction = text.partition(".")
    if whole in {"0", "1"} and (not fraction or (fraction.isascii() and fraction.isdigit() and len(fraction) <= 3)):
        return min(1.0, float(f"{whole}.{fraction or 0}"))
    return 0.0


def _liking(form: Form, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that covers a form; 0 if none does."""
    group = f"{form.media_type.partition('/')[0]}/*"
    for name in (form.media_type, group, "*/*"):
        found = [quality for media_type, quality in ranges if media_type == name]
        if found:
            return max(found)
    return 0.0


Values = Mapping[str, Any]
"""The values of a request's parameters, those of its path included."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """A query that a route answers."""

    answer: Callable[[StoreReader, Values], Answer[Any] | SearchResult]
    """Called in a thread of a lane, at one commit."""
    forms: Sequence[Form] = ONLY_JSON
    lane: Literal["quick", "slow"] = "slow"
    kept: bool = True
    """Whether its answer is kept until the next commit, and has an entity tag."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the OpenAPI text says of a route."""

    summary: str
    description: str = ""
    answer: Schema = field(default_factory=dict)
    """Of its JSON document."""
    errors: Sequence[int] = (422, 503)
    tag: str = "queries"
    operation_id: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of queries; the last parameter of its path may hold slashes."""

    path: str
    """With its parameters in braces."""
    query: RouteQuery
    described: Described
    in_path: Sequence[Parameter] = ()
    in_query: Sequence[Parameter] = ()
    methods: Sequence[str] = ("GET",)
