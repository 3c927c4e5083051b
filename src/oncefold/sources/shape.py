"""Which shape a JSON stream has, by its first bytes: a record per line, one array, or objects one after another."""

import json
from typing import Final, Literal

Shape = Literal["lines", "array", "objects"]

SHAPE_BYTES: Final = 2**16
"""First bytes that decide; an object that goes on over several lines to here is one of many."""

_BLANKS: Final = b"\0 \t\r\n"
_SEPARATOR: Final = b"\x1e"
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)
"""Which converts no number: one may be too long for that."""
_CUT_CHARS: Final = 8
"""A fault so near the end may be one only because the text is cut there."""


def shape_of(head: bytes, *, whole: bool) -> Shape | None:
    """The shape of the stream that begins with these bytes, or is these; None if more of it will tell.

    The answer is the same however much more than the deciding bytes is known.
    """
    head = head.lstrip(_BLANKS)[:SHAPE_BYTES]
    whole = whole or len(head) == SHAPE_BYTES
    if head.startswith(b"["):
        return _shape_of_array(head[1:].lstrip(_BLANKS), whole=whole)
    if head.startswith(_SEPARATOR):
        first = head[1:].lstrip(_BLANKS)[:1]
        return "objects" if first == b"{" else "lines" if first or whole else None
    if head and not head.startswith(b"{"):
        return "lines"
    line, newline, _ = head.partition(b"\n")
    if not newline and not whole:
        return None
    return "lines" if _is_json(line) else _shape_of_objects(head, len(line), whole=whole)


def _shape_of_array(first: bytes, *, whole: bool) -> Shape | None:
    """The same where an array begins, and this follows its bracket."""
    if first.startswith(b"]") and first[1:].lstrip(_BLANKS):
        return "lines"
    if not first or first.startswith(b"]"):
        return "array" if whole else None
    return "array" if first.startswith(b"{") else "lines"


def _shape_of_objects(head: bytes, first_line: int, *, whole: bool) -> Shape | None:
    """The same where an object begins that its first line does not end."""
    text = head.decode("utf-8", "replace")
    try:
        end = _DECODER.raw_decode(text)[1]
    except RecursionError:
        return "lines"
    except json.JSONDecodeError as error:
        is_no_name = error.msg.startswith("Expecting property name") and text[error.pos : error.pos + 1].strip()
        if is_no_name or ("Unterminated" not in error.msg and error.pos < len(text.rstrip()) - _CUT_CHARS):
            return "lines"
    else:
        rest = text[end:].lstrip(" \t\r")
        is_followed = len(rest) < len(text) - end and rest.startswith("{")
        return "objects" if "\n" in text[:end] or is_followed else "lines"
    if not whole:
        return None
    others = head[first_line + 1 :].split(b"\n")
    is_broken_line = not any(map(bytes.strip, others)) or any(
        line.startswith(b"{") and _is_json(line) for line in others
    )
    return "lines" if is_broken_line else "objects"


def _is_json(line: bytes) -> bool:
    try:
        _DECODER.decode(line.decode("utf-8", "replace").strip())
    except (ValueError, RecursionError):
        return False
    return True
