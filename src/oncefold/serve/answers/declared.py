"""A route of queries as one declaration: its parameters, how it is answered, in which forms, and its OpenAPI text."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from oncefold.queries.model import Answer, SearchResult
from oncefold.queries.render.arrow import arrow_stream
from oncefold.queries.render.rows import csv_lines, json_lines
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.http.response import Problem

MEDIA_TYPE: Final = "application/problem+json"
_UNREADABLE: Final = 200
"""Characters of an input that a message repeats."""

__all__ = ["MEDIA_TYPE", "Problem", "shown"]


def shown(text: str) -> str:
    """An input in a message: its beginning, in quotes."""
    return repr(text if len(text) <= _UNREADABLE else f"{text[:_UNREADABLE]}...")


MOST_DIGITS = 18
_WHOLE = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}", re.ASCII)


class UnreadableError(ValueError):
    """A value is not what its parameter takes; the message says what that is."""


Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query, or of a path."""

    name: str
    read: Read = field(repr=False)
    """Reads its text. Raises UnreadableError."""
    schema: Mapping[str, Any]
    """What its text may be, as JSON Schema has it."""
    description: str
    default: Any = None
    repeats: bool = False
    """It may be given several times; its value is a tuple then."""
    required: bool = False
    example: Any = None


def number(least: int, most: int) -> tuple[Read, Mapping[str, Any]]:
    """Reads a whole number within limits; and its schema."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise UnreadableError(f"a whole number from {least} to {most}")
        return int(text)

    return read, {"type": "integer", "minimum": least, "maximum": most}


def number_or_all(least: int, most: int) -> tuple[Read, Mapping[str, Any]]:
    """Reads a whole number within limits, or the word all, which is None; and its schema."""
    of_number, schema = number(least, most)

    def read(text: str) -> int | None:
        if text == "all":
            return None
        try:
            value: int = of_number(text)
        except UnreadableError as error:
            raise UnreadableError(f"{error}, or the word all") from None
        return value

    return read, {"anyOf": [schema, {"const": "all"}]}


def choice(*values: str) -> tuple[Read, Mapping[str, Any]]:
    """Reads one of some values; and its schema."""

    def read(text: str) -> str:
        if text not in values:
            raise UnreadableError(f"one of {', '.join(values)}")
        return text

    return read, {"type": "string", "enum": list(values)}


def flag() -> tuple[Read, Mapping[str, Any]]:
    """Reads true or false; and its schema."""
    read_word, _ = choice("true", "false")
    return lambda text: read_word(text) == "true", {"type": "boolean"}


def text(most: int, least: int = 0) -> tuple[Read, Mapping[str, Any]]:
    """Reads a text of a limited length; and its schema."""

    def read(value: str) -> str:
        if not least <= len(value) <= most:
            raise UnreadableError(f"a text of {least} to {most} characters")
        return value

    return read, {"type": "string", "minLength": least, "maxLength": most}


def read_query(query: bytes, declared: Sequence[Parameter]) -> dict[str, Any]:
    """The values of all declared parameters. Raises Problem 422 for unknown, repeated, missing or ill-formed ones."""
    known = {parameter.name: parameter for parameter in declared}
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            there_is = f"this route takes {', '.join(known)}" if known else "this route takes none"
            raise Problem(422, f"there is no parameter {shown(name)}; {there_is}")
        given.setdefault(name, []).append(value)
    return {parameter.name: _value(parameter, given.get(parameter.name, [])) for parameter in declared}


def _value(parameter: Parameter, given: Sequence[str]) -> Any:
    if not given:
        if parameter.required:
            raise Problem(422, f"the parameter {parameter.name} is missing; it is {parameter.description}")
        return parameter.default
    if len(given) > 1 and not parameter.repeats:
        raise Problem(422, f"the parameter {parameter.name} is given {len(given)} times; give it once")
    values = tuple(read_one(parameter, text) for text in given)
    return values if parameter.repeats else values[0]


def read_one(parameter: Parameter, text: str) -> Any:
    """One value. Raises Problem 422 if the parameter cannot be that."""
    try:
        return parameter.read(text)
    except UnreadableError as error:
        raise Problem(422, f"the parameter {parameter.name} is {shown(text)}; it must be {error}") from None


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
CSV_SAFE = Form("csv-safe", CSV.media_type, CSV.content_type, partial(csv_lines, safe=True))
"""For spreadsheets: see `csv_lines`."""
ARROW = Form(
    "arrow",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.stream",
    lambda answer: [arrow_stream(answer)],
)
ROWS = (JSON, JSON_LINES, CSV, CSV_SAFE, ARROW)
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
        known = ", ".join(dict.fromkeys(form.media_type for form in offered))
        raise Problem(406, f"Accept is {shown(accept)}, and this answer comes as {known}; request one of these")
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
class DeclaredRoute:
    """A route of queries; the last parameter of its path may hold slashes."""

    path: str
    """With its parameters in braces."""
    query: RouteQuery
    described: Described
    in_path: Sequence[Parameter] = ()
    in_query: Sequence[Parameter] = ()
    methods: Sequence[str] = ("GET",)
