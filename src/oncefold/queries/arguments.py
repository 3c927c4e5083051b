"""What a person may write for a node, a key or a past state, and what is meant by it. Raises InvalidQueryError."""

import re
import sys
from collections.abc import Sequence
from datetime import date, datetime

from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidQueryError, QueryError
from oncefold.core.nodepath import join, split
from oncefold.core.timestamps import parse_timestamp
from oncefold.queries.converters import to_nanos
from oncefold.queries.model import RollupShape, Shape

Node = str | Sequence[str]
"""Labels joined by `/` (escapes as in `oncefold.core.nodepath`), or the labels themselves; the root is empty."""

Key = str | int | Sequence[str | int]
"""A key as it is written, or the parts of a composite one."""

AsOf = int | str | datetime | None
"""A commit's number, a time, or None for now."""

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_LAST_OF_MICROSECOND = 999


def labels_of_node(node: Node) -> tuple[str, ...]:
    """The labels of a node."""
    if not isinstance(node, str):
        return tuple(node)
    try:
        return split(node)
    except ValueError as error:
        raise InvalidQueryError(
            f"not a node: {error}; a node is its labels joined by /, the root the empty text"
        ) from None


def key_text(pipeline: Pipeline, key: Key) -> str:
    """The key as the store knows it."""
    if isinstance(key, int):
        return str(key)
    if isinstance(key, str):
        return key if len(pipeline.key) == 1 else join(_checked(pipeline, _parts(pipeline, key)))
    parts = _checked(pipeline, [str(part) for part in key])
    return parts[0] if len(parts) == 1 else join(parts)


def _parts(pipeline: Pipeline, key: str) -> Sequence[str]:
    try:
        return split(key)
    except ValueError as error:
        raise InvalidQueryError(f"not a key: {error}; {_key_words(pipeline)}") from None


def _checked(pipeline: Pipeline, parts: Sequence[str]) -> Sequence[str]:
    if len(parts) != len(pipeline.key):
        found = "1 part" if len(parts) == 1 else f"{len(parts)} parts"
        raise InvalidQueryError(f"the key {join(parts)} has {found}; {_key_words(pipeline)}")
    return parts


def _key_words(pipeline: Pipeline) -> str:
    names = " and ".join(map(str, pipeline.key))
    if len(pipeline.key) == 1:
        return f"a key of this pipeline is one text, its {names}"
    return f"a key of this pipeline is its {names}, joined by / (a / inside one is written \\/)"


def commit_or_time(as_of: AsOf) -> tuple[int | None, int | None]:
    """The commit's number, or the time in nanoseconds since the epoch; neither for now.

    A datetime means the whole of its microsecond, so that the time of a commit finds that commit.
    """
    if as_of is None:
        return None, None
    if isinstance(as_of, int):
        return as_of, None
    if isinstance(as_of, datetime):
        if as_of.utcoffset() is None:
            raise InvalidQueryError(f"{as_of} has no time zone; give one, such as datetime(..., tzinfo=timezone.utc)")
        return None, to_nanos(as_of) + _LAST_OF_MICROSECOND
    if isinstance(as_of, str):
        return _read(as_of.strip())
    raise InvalidQueryError(
        f"a past state is named by a commit's number, a text or a datetime, not by a {_kind(as_of)}"
    )


def _read(text: str) -> tuple[int | None, int | None]:
    if _NUMBER.fullmatch(text):
        return int(text), None
    if not re.match(r"[0-9]{4}-", text):
        raise InvalidQueryError(f"{text!r} is neither a commit's number nor a time such as 2026-01-31T09:30:00Z")
    try:
        return None, parse_timestamp(text)
    except ValueError as error:
        raise InvalidQueryError(str(error)) from None


def _kind(value: object) -> str:
    return "date (a datetime says which moment of the day)" if isinstance(value, date) else type(value).__name__


def checked(number: int | None, name: str) -> int | None:
    """A depth or limit. Raises InvalidQueryError for a negative one."""
    if number is not None and number < 0:
        raise InvalidQueryError(f"{name} is {number}; give 0 or more, or None for all")
    return number


def limited(limit: int | None) -> int:
    """A limit as a number. Raises InvalidQueryError for a negative one."""
    return sys.maxsize if checked(limit, "limit") is None else int(limit or 0)


def rollup_of(shape: Shape, name: str | None) -> RollupShape:
    """The rollup with this name; it may be left out where there is only one. Raises QueryError."""
    known = ", ".join(rollup.name for rollup in shape.rollups)
    if name is None and len(shape.rollups) > 1:
        raise InvalidQueryError(f"there are several rollups: {known}; name the one you mean")
    for rollup in shape.rollups:
        if name in {None, rollup.name}:
            return rollup
    raise QueryError(f"there is no rollup {name!r}; there is: {known}")
