"""What a route takes, declared once: read by this, checked by this, and described by this in the OpenAPI text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

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


def choice(*words: str) -> tuple[Read, Mapping[str, Any]]:
    """Reads one of some words; and its schema."""

    def read(text: str) -> str:
        if text not in words:
            raise UnreadableError(f"one of {', '.join(words)}")
        return text

    return read, {"type": "string", "enum": list(words)}


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
